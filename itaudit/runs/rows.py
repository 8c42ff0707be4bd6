"""What the rows of a run's tables hold, as typed values: prompts, responses, their scores, and traced spans."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from itaudit.trace.types import Evidence, Source, Span


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a run, in the order of the prompts file."""

    order: int
    id: str
    prompt: str
    reference: str | None
    messages: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """One model's answer to one prompt; `finish` is eos, cut_off, empty or imported."""

    prompt_id: str
    response: str
    finish: str
    ids: list[int]
    context_ids: list[int]
    context: str


@dataclass(frozen=True, slots=True)
class TokenScores:
    """A response position by position: lists of one value a position, as the SCORES schema describes them."""

    prompt_id: str
    ids: list[int]
    starts: list[int]
    ends: list[int]
    rank_base: list[int]
    logprob_base: list[float]
    logprob_tuned: list[float] | None
    kl: list[float] | None
    kl_reverse: list[float] | None
    kl_aligntds: list[float] | None
    top_base: list[list[tuple[int, float]]]
    """(token id, log-probability in nats), most likely first, a list a position."""
    top_tuned: list[list[tuple[int, float]]] | None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class PromptShift:
    """What the list of prompts shows of one scored response: counts of positions by class, KL in nats."""

    prompt_id: str
    unshifted: int
    marginal: int
    shifted: int
    kl_sum: float | None

    @property
    def tokens(self) -> int:
        return self.unshifted + self.marginal + self.shifted

    @property
    def share_shifted(self) -> float:
        return self.shifted / self.tokens if self.tokens else 0.0

    @property
    def kl_mean(self) -> float | None:
        return None if self.kl_sum is None or not self.tokens else self.kl_sum / self.tokens


def scores_of(row: Mapping[str, Any]) -> TokenScores:
    """The scores in a row of the SCORES schema."""
    positions = len(row["ids"])

    def top(model: str) -> list[list[tuple[int, float]]] | None:
        ids, logprobs = row[f"top_{model}_ids"], row[f"top_{model}_logprobs"]
        if ids is None:
            return None
        k = len(ids) // positions if positions else 0
        return [list(zip(ids[p * k : p * k + k], logprobs[p * k : p * k + k], strict=True)) for p in range(positions)]

    names = TokenScores.__dataclass_fields__.keys() - {"top_base", "top_tuned"}
    return TokenScores(**{name: row[name] for name in names}, top_base=top("base") or [], top_tuned=top("tuned"))


def span_row(span: Span) -> dict[str, Any]:
    """A span as a row of the TRACES schema."""
    sources = [
        {
            "index": source.index,
            "score": source.score,
            "instruction": source.instruction,
            "evidence": [{"field": e.field, "start": e.start, "end": e.end, "text": e.text} for e in source.evidence],
            "words": [{"word": word, "score": score} for word, score in source.words],
        }
        for source in span.sources
    ]
    return {
        "start": span.start,
        "end": span.end,
        "text": span.text,
        "kind": span.kind,
        "frequency": span.frequency,
        "sources": sources,
    }


def span_of(row: Mapping[str, Any]) -> Span:
    """The span in a row of the TRACES schema."""
    sources = tuple(
        Source(
            index=source["index"],
            score=source["score"],
            instruction=source["instruction"],
            evidence=tuple(Evidence(**evidence) for evidence in source["evidence"]),
            words=tuple((word["word"], word["score"]) for word in source["words"]),
        )
        for source in row["sources"]
    )
    return Span(row["start"], row["end"], row["text"], row["kind"], row["frequency"], sources)
