"""Instruction-following difficulty (IFD): how little an instruction helps a model to say the response.

Li et al. 2023, "From Quantity to Quality: Boosting LLM Performance with Self-Guided Data Selection for Instruction
Tuning" (arXiv 2308.12032): the mean loss of the response's tokens after the instruction, over their mean loss without
it, both teacher-forced and from the base model. *With* is the context that tuning and generation read, earlier turns
included. *Without* is the response after the opening of an answer alone (see `ContextBuilder.opening_ids`), so that
both losses are over the same tokens; the EOS after the response counts in neither.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import orjson
import torch

from itaudit import atomic, paths, transforms
from itaudit.data.dataset import Dataset
from itaudit.data.instance import Instance
from itaudit.engine.context import ContextBuilder, prompt_messages
from itaudit.engine.device import choose_device, choose_dtype, release_memory
from itaudit.engine.models import LoadedModel, ModelFiles, find_model, load_model, max_positions
from itaudit.engine.score import ScoredSequence, response_logits
from itaudit.errors import UserError
from itaudit.recipe import Base, Context
from itaudit.steps import Ifd

MAX_LENGTH = 1024
"""Tokens of prompt and response together, as in the paper; longer responses are measured over their beginning."""

PART = 4096
"""Instances whose token ids are in memory at once; batches of like length are made within a part."""

BATCH_TOKENS = {"cpu": 2048, "mps": 4096, "cuda": 8192}
"""Tokens of a forward pass, padding included: their logits over a vocabulary of 150,000 take 5 GB at the most."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """Mean losses of a response's tokens in nats, after its instruction and without it, and how many tokens."""

    loss_with: float
    loss_without: float
    tokens: int

    @property
    def ifd(self) -> float | None:
        """The ratio; None where the response is certain without the instruction too."""
        return self.loss_with / self.loss_without if self.loss_without > 0 else None


class LossFile:
    """Mean losses by the hash of a sequence, in a file that grows batch by batch: a killed job goes on from there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.losses: dict[str, float] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    self.losses |= orjson.loads(line)
                except (ValueError, TypeError):
                    # A line that a crash tore; its sequences are measured again.
                    continue

    def add(self, losses: dict[str, float]) -> None:
        """Keeps the losses of a batch. Raises UserError where they can't be written."""
        self.losses |= losses
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic.append_line(self._path, orjson.dumps(losses))
        except OSError as error:
            raise UserError(
                f"{self._path}: can't be written: {error.strerror or error}; make room there, or set "
                "ITAUDIT_CACHE_DIR to another directory"
            ) from error


def loss_file(files: ModelFiles, device: torch.device, dtype: torch.dtype) -> LossFile:
    """The cached losses of a model: its weights by place, size and time, and how it computes."""
    digest = hashlib.sha256(f"{device.type} {dtype} {files.path}".encode("utf-8", "surrogateescape"))
    for path in sorted(files.path.glob("*.safetensors")):
        stat = path.stat()
        digest.update(f"\n{path.name} {stat.st_size} {stat.st_mtime_ns}".encode("utf-8", "surrogateescape"))
    return LossFile(paths.cache_dir() / "ifd" / f"{digest.hexdigest()[:32]}.jsonl")


def load_for_ifd(base: Base, device: str) -> LoadedModel:
    """The model that measures, on a device as recipes name it. Raises UserError where it can't be had."""
    place = choose_device(device)
    files = find_model(base.model, revision=base.revision, code=base.trust_remote_code)
    dtype = choose_dtype(base.dtype, place)
    return load_model(files, device=place, dtype=dtype, code=base.trust_remote_code)


def measured_by(
    base: Base, device: str, context: Context, progress: Callable[[int, int], None] = lambda *_: None
) -> transforms.Difficulties:
    """What the step `ifd` asks for its numbers: the model that it names, else `base`, is loaded when it is asked."""

    def measure(dataset: Dataset, step: Ifd) -> list[float | None]:
        other = step.model and step.model != base.model
        chosen = base.model_copy(update={"model": step.model, "revision": "main"}) if other else base
        loaded = load_for_ifd(chosen, device)
        found = difficulties(loaded, dataset, context, progress=progress)
        place = loaded.device
        del loaded
        release_memory(place)
        return [one.ifd if one else None for one in found]

    return measure


def difficulties(
    loaded: LoadedModel,
    instances: Sequence[Instance],
    context: Context,
    *,
    max_length: int = MAX_LENGTH,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Difficulty | None]:
    """The difficulty of every instance; None where no token of a response is left to measure.

    `progress` is told sequences done and in all, two an instance, after every batch; what it raises ends the work,
    and a later call with the same model goes on from there.
    """
    builder = ContextBuilder(loaded.tokenizer, loaded.kind, template=context.template, system=context.system)
    length = min(max_length, max_positions(loaded.model) or max_length)
    opening = builder.opening_ids()
    kept = loss_file(loaded.files, loaded.device, next(loaded.model.parameters()).dtype)
    found: list[Difficulty | None] = []
    done, total = 0, 2 * len(instances)
    for start in range(0, len(instances), PART):
        pairs = [_sequences(instance, builder, opening, length) for instance in instances[start : start + PART]]
        wanted = {_key(sequence): sequence for pair in pairs if pair for sequence in pair}
        waiting = {key: sequence for key, sequence in wanted.items() if key not in kept.losses}
        done += 2 * len(pairs) - len(waiting)
        progress(done, total)
        for batch in _batches(waiting, BATCH_TOKENS[loaded.device.type]):
            kept.add(_mean_losses(loaded, batch))
            done += len(batch)
            progress(done, total)
        found += [pair and _difficulty(*pair, kept.losses) for pair in pairs]
    return found


def _sequences(
    instance: Instance, builder: ContextBuilder, opening: list[int], length: int
) -> tuple[ScoredSequence, ScoredSequence] | None:
    if not instance.response:
        return None
    context = builder.ids(builder.text(prompt_messages(instance)))
    ids = builder.response_ids(instance.response)
    if builder.kind == "seq2seq":
        context, ids = context[:length], ids[:length]
    else:
        ids = ids[: max(length - max(len(context), len(opening)), 0)]
    return (ScoredSequence(context, ids), ScoredSequence(opening, ids)) if ids else None


def _difficulty(after_context: ScoredSequence, alone: ScoredSequence, losses: Mapping[str, float]) -> Difficulty:
    return Difficulty(losses[_key(after_context)], losses[_key(alone)], len(alone.ids))


def _batches(waiting: Mapping[str, ScoredSequence], tokens: int) -> Iterator[dict[str, ScoredSequence]]:
    """Sequences of like length, longest first: what does not fit into memory fails at once."""
    rest = iter(sorted(waiting.items(), key=lambda item: (-_length(item[1]), item[0])))
    while first := next(rest, None):
        room = max(tokens // _length(first[1]), 1)
        yield dict([first, *islice(rest, room - 1)])


def _mean_losses(loaded: LoadedModel, batch: Mapping[str, ScoredSequence]) -> dict[str, float]:
    """The mean negative log-probability, in nats, of the response tokens of each sequence."""
    logits = response_logits(loaded.model, loaded, list(batch.values()))
    return {key: _loss(rows, sequence.ids) for (key, sequence), rows in zip(batch.items(), logits, strict=True)}


def _loss(logits: torch.Tensor, ids: Sequence[int]) -> float:
    emitted = torch.tensor(ids, device=logits.device)
    loss = float(torch.nn.functional.cross_entropy(logits.float(), emitted))
    if not math.isfinite(loss):
        raise UserError(
            "the model's logits are not numbers (NaN): its weights are broken, or they overflow; use float32"
        )
    return loss


def _length(sequence: ScoredSequence) -> int:
    return len(sequence.context_ids) + len(sequence.ids)


def _key(sequence: ScoredSequence) -> str:
    return hashlib.sha256(orjson.dumps([sequence.context_ids, sequence.ids])).hexdigest()[:32]
