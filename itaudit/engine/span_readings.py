"""What a model makes of spans: their log-probability within their responses, and whether it still says them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import regex
import torch

from itaudit.engine.generate import Query, generate_batch
from itaudit.engine.models import LoadedModel, max_positions
from itaudit.engine.offsets import token_offsets
from itaudit.engine.score import ScoredSequence, response_logits
from itaudit.errors import UserError
from itaudit.proof.results import Reading
from itaudit.proof.spec import Target
from itaudit.recipe import Generate
from itaudit.runs.rows import Response
from itaudit.runs.run import Run

MARGIN = 16
"""Tokens that an answer may say a span later than the response did, and still says it."""
_TOKENS = 4096
"""Most tokens that are read in one pass."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The tokens of a target within its response, as half-open positions of `ids`."""

    start: int
    end: int


class SpanReader:
    """The targets of a proof, ready to be read by one model after the other."""

    def __init__(self, run: Run, label: str, targets: Sequence[Target], tokenizer: Any) -> None:
        """Raises UserError for a span that no token of its response covers."""
        self.targets = targets
        self._settings = run.recipe.generate
        self._seed = run.recipe.seed
        self._responses: dict[str, Response] = {}
        self._places: list[_Place] = []
        orders = {prompt.id: prompt.order for prompt in run.prompts()}
        self._orders = {target.prompt_id: orders[target.prompt_id] for target in targets}
        offsets = {}
        for target in targets:
            if target.prompt_id not in self._responses:
                response = run.response(label, target.prompt_id)
                if response is None:
                    raise UserError(f"{run.path}: {label} has no response to prompt {target.prompt_id!r} any more")
                self._responses[target.prompt_id] = response
                offsets[target.prompt_id] = token_offsets(tokenizer, response.ids)
            where = offsets[target.prompt_id]
            covered = [
                position
                for position, (start, end) in enumerate(zip(where.starts, where.ends, strict=True))
                if start < target.end and end > target.start
            ]
            if not covered or where.text[target.start : target.end] != target.text:
                raise UserError(
                    f"prompt {target.prompt_id}, span {target.start}:{target.end}: {target.text!r} does not stand "
                    "there any more; the response changed since the proof was made"
                )
            self._places.append(_Place(covered[0], covered[-1] + 1))

    @torch.no_grad()
    def read(self, loaded: LoadedModel, wanted: Collection[int] | None = None) -> list[Reading | None]:
        """The readings of the wanted targets, by position; of all of them without `wanted`. Nothing is decoded."""
        chosen = sorted(range(len(self.targets)) if wanted is None else wanted)
        by_prompt: dict[str, list[int]] = {}
        for position in chosen:
            by_prompt.setdefault(self.targets[position].prompt_id, []).append(position)
        found: list[Reading | None] = [None] * len(self.targets)
        for batch in self._batches(by_prompt):
            sequences = [
                ScoredSequence(
                    self._responses[prompt].context_ids,
                    # Nothing behind its last span changes what stands before it.
                    self._responses[prompt].ids[: max(self._places[p].end for p in by_prompt[prompt])],
                )
                for prompt in batch
            ]
            for prompt, logits in zip(batch, response_logits(loaded.model, loaded, sequences), strict=True):
                for position in by_prompt[prompt]:
                    place = self._places[position]
                    ids = self._responses[prompt].ids[place.start : place.end]
                    found[position] = _reading(logits[place.start : place.end], ids)
        return found

    def _batches(self, prompts: Collection[str]) -> list[list[str]]:
        """Prompts of like length, as many as may be read at once."""
        lengths = {p: len(self._responses[p].context_ids) + len(self._responses[p].ids) for p in prompts}
        batches: list[list[str]] = []
        for prompt in sorted(prompts, key=lambda p: -lengths[p]):
            if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= _TOKENS:
                batches[-1].append(prompt)
            else:
                batches.append([prompt])
        return batches

    def says(self, loaded: LoadedModel) -> list[bool]:
        """Whether the model's own greedy answers still say each span: as whole words, in any case, and not more than
        16 tokens later than the response did."""
        limits = {p: 0 for p in self._responses}
        positions = max_positions(loaded.model)
        for target, place in zip(self.targets, self._places, strict=True):
            taken = len(self._responses[target.prompt_id].context_ids) if loaded.kind == "causal" else 0
            most = place.end + MARGIN if positions is None else min(place.end + MARGIN, positions - taken)
            limits[target.prompt_id] = max(limits[target.prompt_id], most)
        answers: dict[str, list[int]] = {}
        # Answers of like length together: a batch goes on until its longest one ends.
        ordered = sorted(limits, key=lambda p: (-limits[p], p))
        for start in range(0, len(ordered), self._settings.batch_size):
            batch = ordered[start : start + self._settings.batch_size]
            queries = [
                Query(self._orders[p], p, self._responses[p].context, self._responses[p].context_ids) for p in batch
            ]
            rows = generate_batch(loaded, queries, self._greedy(limits[batch[0]]), self._seed)
            answers |= {row["prompt_id"]: row["ids"] for row in rows}
        return [
            contains(token_offsets(loaded.tokenizer, answers[target.prompt_id][: place.end + MARGIN]).text, target.text)
            for target, place in zip(self.targets, self._places, strict=True)
        ]

    def _greedy(self, tokens: int) -> Generate:
        changes = {"sample": False, "beams": 1, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": tokens}
        return self._settings.model_copy(update=changes)


def _reading(logits: torch.Tensor, ids: Sequence[int]) -> Reading:
    column = torch.tensor(ids, device=logits.device).unsqueeze(1)
    values = logits.float()
    own = values.gather(1, column)
    logprobs = values.log_softmax(-1).gather(1, column)
    if logprobs.isnan().any():
        raise UserError("the model's logits are not numbers (NaN): tuning diverged; lower learning_rate")
    # As when scoring: of equal logits the lower token id is decoded.
    lower = torch.arange(values.shape[1], device=values.device) < column
    ahead = ((values > own) | ((values == own) & lower)).any()
    return Reading(float(logprobs.cpu().sum(dtype=torch.float64)), not bool(ahead))


def contains(text: str, span: str) -> bool:
    """Whether a text holds a span as whole words, whatever the case and the white space."""
    words = [regex.escape(word) for word in span.casefold().split()]
    pattern = r"\s+".join(words)
    before, after = (
        (r"(?<!\w)" if span.strip()[:1].isalnum() else ""),
        (r"(?!\w)" if span.strip()[-1:].isalnum() else ""),
    )
    return regex.search(f"{before}{pattern}{after}", text.casefold()) is not None
