"""What a trace is made of: spans, the sources they lead to, and the evidence inside each source."""

from dataclasses import dataclass
from typing import Literal

SpanKind = Literal["shifted", "marginal", "verbatim", "selected", "similar"]
"""`similar`: looked up in the instances most similar to the prompt; all others by the span and its sentence."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stretch of a source's field that matches the span; half-open character offsets of that field's text.

    `field` is `instruction`, `input`, `response`, `history[N]` or `later[N]`.
    """

    field: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A retrieved instance.

    `index` is its row in the source file; `words` the BM25 score by query word, largest first, which adds up to
    `score`.
    """

    index: int
    score: float
    instruction: str
    evidence: tuple[Evidence, ...]
    words: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a response, half-open character offsets, with its sources, best first.

    `frequency` is the number of instances that hold the span's text as whole words.
    """

    start: int
    end: int
    text: str
    kind: SpanKind
    frequency: int
    sources: tuple[Source, ...]
