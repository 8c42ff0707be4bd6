"""The most telling responses: tokens that tuning moved most, and the instances that they lead to."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from itaudit.analysis.shift import CLASSES, ShiftClass, class_codes
from itaudit.runs.cells import Cell, check_scores
from itaudit.runs.rows import Response, TokenScores
from itaudit.runs.run import Run
from itaudit.sanitize import visible, visible_line
from itaudit.trace.evidence import fields
from itaudit.trace.types import Evidence, Span

RESPONSES_SHOWN = 8
"""Responses in all, shared out among the models; each model has at least one."""
TOKENS_SHOWN = 6
"""Tokens of a response whose alternatives are told."""
ALTERNATIVES_SHOWN = 3
_CONTEXT = 90
"""Characters shown on either side of evidence."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a response: one token, or what stands between tokens, whose class is empty. Text is visible."""

    text: str
    shift: ShiftClass | str
    rank: int | None = None
    kl: float | None = None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Evidence inside its instance, all of it visible text; `index` is the row of the source file."""

    index: int
    instruction: str
    field: str
    before: str
    match: str
    after: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A token that tuning moved: its position, its base rank, KL in nats, and what was likeliest instead.

    Positions are from 1, as people count, ranks from 0, as the field has them. Alternatives are (text, probability) of
    the base model; `tuned` is the tuned model's probability of the token.
    """

    position: int
    text: str
    rank: int
    kl: float | None
    base: float
    tuned: float | None
    alternatives: tuple[tuple[str, float], ...]
    source: Excerpt | None

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """The alternatives with their probabilities as people read them."""
        return tuple((text, f"{p:.2f}" if p >= 0.005 else "<0.01") for text, p in self.alternatives)

    @property
    def kl_shown(self) -> str:
        return "–" if self.kl is None else f"{self.kl:.2f}"


@dataclass(frozen=True, slots=True)
class Telling:
    """One response with what is telling in it."""

    run: Run
    label: str
    place: str
    prompt_id: str
    prompt: str
    cut_off: bool
    pieces: tuple[Piece, ...]
    moved: tuple[Moved, ...]


def check(cell: Cell) -> None:
    """Raises UserError where the responses of a scored model can't be read, token by token with their traces."""
    if cell.is_base or not cell.scored:
        return
    check_scores(cell)
    cell.run.prompts()
    cell.run.token_text(0)
    if cell.run.table("traces", cell.label).closed:
        cell.run.table("traces", cell.label).read()
        _ = cell.run.dataset


def telling_responses(cells: Sequence[Cell]) -> list[Telling]:
    """Of each model, at its largest size and first seed, the responses with most KL on shifted tokens with a source.

    Where nothing is traced, sources are not asked for; where KL is not known, the tokens are counted instead.
    """
    chosen = list(largest_cells(cells))
    each = max(1, RESPONSES_SHOWN // max(1, len(chosen)))
    variants = len({cell.variant for cell in chosen}) > 1
    return [told for cell in chosen for told in _most_telling(cell, each, _place(cell, variants=variants))]


def largest_cells(cells: Sequence[Cell]) -> Iterator[Cell]:
    """The scored cell of each variant and model, other than the base model, at its largest size and first seed.

    Where that can't be read, another seed does, but no smaller size passes for it.
    """
    best: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        if not cell.is_base and (cell.problem or cell.scored):
            before = best.get((cell.variant, cell.label))
            larger = before is None or (cell.size or 0) > (before.size or 0)
            if larger or (before is not None and before.problem and cell.size == before.size):
                best[cell.variant, cell.label] = cell
    yield from (cell for cell in best.values() if not cell.problem)


def _place(cell: Cell, *, variants: bool) -> str:
    parts = [cell.label, *([cell.variant] if variants else []), *([f"{cell.size:,} instances"] if cell.size else [])]
    return " · ".join(parts)


def _most_telling(cell: Cell, count: int, place: str) -> list[Telling]:
    run, label = cell.run, cell.label
    traced = run.table("traces", label).closed
    weights: dict[str, float] = {}
    for prompt in run.prompts():
        scores = run.token_scores(label, prompt.id)
        spans = (run.spans(label, prompt.id) if traced else None) or ()
        if scores is not None:
            positions = _telling_positions(run, scores, spans if traced else None)
            weights[prompt.id] = sum(1.0 if scores.kl is None else scores.kl[at] for at in positions)
    best = sorted((id for id, weight in weights.items() if weight > 0), key=lambda id: -weights[id])[:count]
    return [told for prompt_id in best if (told := _telling(cell, prompt_id, place)) is not None]


def _telling_positions(run: Run, scores: TokenScores, spans: Sequence[Span] | None) -> list[int]:
    codes = class_codes(scores.rank_base, run.thresholds)
    shifted = [at for at in range(len(scores)) if CLASSES[codes[at]] == "shifted"]
    if spans is None:
        return shifted
    return [at for at in shifted if _span_of(scores.starts[at], scores.ends[at], spans) is not None]


def _span_of(start: int, end: int, spans: Sequence[Span]) -> Span | None:
    """The span with evidence over a token; one of the shifted kind before others."""
    over = [
        span
        for span in spans
        if span.start < end and start < span.end and any(source.evidence for source in span.sources)
    ]
    return min(over, key=lambda span: span.kind != "shifted", default=None)


def _telling(cell: Cell, prompt_id: str, place: str) -> Telling | None:
    run, label = cell.run, cell.label
    response, scores = run.response(label, prompt_id), run.token_scores(label, prompt_id)
    if response is None or scores is None:
        return None
    spans = run.spans(label, prompt_id) if run.table("traces", label).closed else None
    positions = _telling_positions(run, scores, spans)
    kl = scores.kl
    positions.sort(key=lambda at: -scores.rank_base[at] if kl is None else -kl[at])
    moved = tuple(_moved(run, response, scores, at, spans or ()) for at in sorted(positions[:TOKENS_SHOWN]))
    return Telling(
        run=run,
        label=label,
        place=place,
        prompt_id=prompt_id,
        prompt=visible(run.prompt(prompt_id).prompt),
        cut_off=response.finish == "cut_off",
        pieces=tuple(_pieces(run, response, scores)),
        moved=moved,
    )


def _pieces(run: Run, response: Response, scores: TokenScores) -> Iterator[Piece]:
    codes = class_codes(scores.rank_base, run.thresholds)
    # The marks of a text stand one to one for its characters, so that offsets hold.
    text, reach = visible(response.response), 0
    for at in range(len(scores)):
        start, end = max(scores.starts[at], reach), scores.ends[at]
        if end <= start:
            # The end of the sequence, and tokens that only together make a character.
            continue
        if start > reach:
            yield Piece(text[reach:start], "")
        kl = None if scores.kl is None else scores.kl[at]
        yield Piece(text[start:end], CLASSES[codes[at]], scores.rank_base[at], kl)
        reach = end
    if reach < len(text):
        yield Piece(text[reach:], "")


def _moved(run: Run, response: Response, scores: TokenScores, at: int, spans: Sequence[Span]) -> Moved:
    start, end = scores.starts[at], scores.ends[at]
    text = response.response[start:end] or run.token_text(scores.ids[at])
    span = _span_of(start, end, spans)
    return Moved(
        position=at + 1,
        text=visible_line(text),
        rank=scores.rank_base[at],
        kl=None if scores.kl is None else scores.kl[at],
        base=math.exp(scores.logprob_base[at]),
        tuned=None if scores.logprob_tuned is None else math.exp(scores.logprob_tuned[at]),
        alternatives=tuple(
            (visible_line(run.token_text(token)), math.exp(logprob))
            for token, logprob in scores.top_base[at][:ALTERNATIVES_SHOWN]
        ),
        source=_excerpt(run, span) if span else None,
    )


def _excerpt(run: Run, span: Span) -> Excerpt | None:
    """The first evidence of the best source that has some; None where the dataset lacks it by now."""
    for source in span.sources:
        for evidence in source.evidence:
            found = _in_instance(run, source.index, source.instruction, evidence)
            if found is not None:
                return found
    return None


def _in_instance(run: Run, index: int, instruction: str, evidence: Evidence) -> Excerpt | None:
    try:
        instance = run.dataset[run.dataset.position(index)]
    except KeyError:
        return None
    text = dict(fields(instance)).get(evidence.field, "")
    if text[evidence.start : evidence.end] != evidence.text:
        return None
    before = text[max(0, evidence.start - _CONTEXT) : evidence.start]
    after = text[evidence.end : evidence.end + _CONTEXT]
    return Excerpt(
        index,
        visible_line(instruction[: 2 * _CONTEXT]),
        evidence.field,
        ("…" if evidence.start > _CONTEXT else "") + visible_line(before),
        visible_line(evidence.text),
        visible_line(after) + ("…" if evidence.end + _CONTEXT < len(text) else ""),
    )
