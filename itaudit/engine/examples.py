"""Instances as token ids and labels, tokenised once for all runs of an experiment."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import filelock
import orjson
import pyarrow as pa

from itaudit.data.instance import Instance
from itaudit.engine.context import ContextBuilder, Example, conversation
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.runs.run import Run
from itaudit.runs.tables import map_table, write_table

_IDS = pa.list_(pa.int32())
_EXAMPLES = pa.schema([("key", pa.binary()), ("ids", _IDS), ("labels", _IDS), ("truncated", pa.bool_())])


def build_examples(dataset: Iterable[Instance], builder: ContextBuilder, max_length: int) -> list[Example]:
    """Every instance that has a response, as token ids and labels, in the order of the dataset."""
    return [builder.example(instance, max_length=max_length) for instance in dataset if instance.response is not None]


def run_examples(run: Run, builder: ContextBuilder, max_length: int) -> list[Example]:
    """As `build_examples` of a run's dataset; what another run of its experiment tokenised is read, not made again."""
    experiment = Experiment.around(run)
    if experiment is None:
        return build_examples(run.dataset, builder, max_length)
    instances = [instance for instance in run.dataset if instance.response is not None]
    folder = experiment.shared_path / "examples" / _builder_key(builder, max_length)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Processes that tune together all come here.
        with filelock.FileLock(folder / "lock"):
            return _kept(instances, builder, max_length, folder)
    except OSError as error:
        raise UserError(f"{folder}: can't write: {error.strerror or error}; make room there") from None


def _kept(instances: list[Instance], builder: ContextBuilder, max_length: int, folder: Path) -> list[Example]:
    keys = [_instance_key(instance) for instance in instances]
    known = _read(folder, set(keys))
    new: dict[bytes, Example] = {}
    for key, instance in zip(keys, instances, strict=True):
        if key not in known and key not in new:
            new[key] = builder.example(instance, max_length=max_length)
    if new:
        rows = [{"key": key, "ids": e.ids, "labels": e.labels, "truncated": e.truncated} for key, e in new.items()]
        part = folder / f"{len(list(folder.glob('*.arrow'))) + 1:06d}.arrow"
        write_table(pa.Table.from_pylist(rows, schema=_EXAMPLES), part)
    known |= new
    return [known[key] for key in keys]


def _read(folder: Path, wanted: set[bytes]) -> dict[bytes, Example]:
    found: dict[bytes, Example] = {}
    for part in sorted(folder.glob("*.arrow")):
        for row in map_table(part, _EXAMPLES).to_pylist():
            if row["key"] in wanted:
                found[row["key"]] = Example(row["ids"], row["labels"], row["truncated"])
    return found


def _builder_key(builder: ContextBuilder, max_length: int) -> str:
    """What decides beside the instance: tokenizer, template, system message and length."""
    tokenizer, template = builder.tokenizer, Path(builder.template)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    told = [
        type(tokenizer).__name__,
        backend.to_str() if backend is not None else sorted(tokenizer.get_vocab().items()),
        str(tokenizer.chat_template),
        sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items()),
        template.read_text(encoding="utf-8") if template.is_file() else builder.template,
        builder.system,
        builder.kind,
        max_length,
    ]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()[:32]


def _instance_key(instance: Instance) -> bytes:
    told = [conversation(instance), len(instance.history), instance.response]
    return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).digest()[:16]
