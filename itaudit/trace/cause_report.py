"""What the causal analysis of many responses adds up to: counts, and rates beside what chance would give."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from itaudit.analysis.lift import lift, permutation_p, studentised
from itaudit.analysis.shift import CLASSES, ShiftClass, Thresholds, shift_class
from itaudit.trace.causes import OUTCOMES, Bits, Causes, CauseWord, Outcome

Stretch = tuple[int, int]
KINDS = ("flagged", "other")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Beside:
    """A rate beside what chance gives, `expected`; interval of the lift by bootstrap over prompts, p one-sided.

    What can't be told is None, and `reason` says why.
    """

    expected: float | None
    lift: float | None
    low: float | None
    high: float | None
    p: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TraceRate:
    """How many of some words, or phrases, are traced; `prompts` are those that have any of them."""

    count: int
    traced: int
    prompts: int
    rate: float | None
    by_instances: Beside
    by_words: Beside


@dataclass(frozen=True, slots=True)
class Cell:
    """Words of one shift class among the flagged words, or among the others; `share` is 0 to 1 of those."""

    words: int
    share: float | None
    traced: int


@dataclass(frozen=True, slots=True)
class CauseReport:
    """The causal analysis of a model's responses at one set of flags.

    `words` are content words, `flagged` those that a flag touches, `to_explain` the flagged ones whose base rank asks
    for an explanation, and `absent` how many of these no answer of the dataset holds. `cross` is flagged or other ×
    shift class. `outcomes` counts the flagged words, `all_outcomes` all. `trace` is over the words that ask for an
    explanation, `trace_outside_prompt` over those of them that the prompt does not hold, and `strict` over flagged
    phrases with such a word, all content words of which have to stand in one turn; these two are None in a brief
    report.
    """

    model: str
    flags: str
    rank: int
    k: int
    draws: int
    instances: int
    responses: int
    flagged_responses: int
    words: int
    flagged: int
    in_prompt: int
    to_explain: int
    to_explain_in_prompt: int
    absent: int
    phrases: int
    cross: dict[str, dict[ShiftClass, Cell]]
    outcomes: dict[Outcome, int]
    all_outcomes: dict[Outcome, int]
    trace: TraceRate
    trace_outside_prompt: TraceRate | None
    strict: TraceRate | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def cause_report(
    analyses: Iterable[tuple[Causes, Sequence[Stretch] | None]],
    *,
    model: str,
    flags: str,
    rank: int,
    k: int,
    thresholds: Thresholds,
    brief: bool = False,
) -> CauseReport:
    """The report of analyses with the flagged stretches of each response; None flags what asks for an explanation.

    `rank` is the lowest base rank that asks for one. Words without a rank are left out.
    """
    counted = _Counts()
    for causes, stretches in analyses:
        spans = stretches_to_explain(causes, rank) if stretches is None else stretches
        counted.add(causes, spans, rank, thresholds, brief)
    return CauseReport(
        model=model,
        flags=flags,
        rank=rank,
        k=k,
        draws=counted.draws,
        instances=counted.instances,
        responses=counted.responses,
        flagged_responses=counted.flagged_responses,
        words=counted.words,
        flagged=counted.flagged,
        in_prompt=counted.in_prompt,
        to_explain=counted.to_explain,
        to_explain_in_prompt=counted.to_explain_in_prompt,
        absent=counted.absent,
        phrases=counted.phrases,
        cross=_cells(counted.cross),
        outcomes=counted.flagged_outcomes,
        all_outcomes=counted.outcomes,
        trace=counted.trace.rate(),
        trace_outside_prompt=None if brief else counted.outside_prompt.rate(),
        strict=None if brief else counted.strict.rate(),
    )


def stretches_to_explain(causes: Causes, rank: int) -> list[Stretch]:
    """The words whose base rank asks for an explanation; those with one character between them are one stretch."""
    stretches: list[Stretch] = []
    for word in causes.words:
        if word.rank < rank:
            continue
        if stretches and word.start - stretches[-1][1] <= 1:
            stretches[-1] = stretches[-1][0], word.end
        else:
            stretches.append((word.start, word.end))
    return stretches


def _cells(counts: dict[tuple[str, ShiftClass], list[int]]) -> dict[str, dict[ShiftClass, Cell]]:
    table: dict[str, dict[ShiftClass, Cell]] = {}
    for kind in KINDS:
        total = sum(counts[kind, name][0] for name in CLASSES)
        table[kind] = {
            name: Cell(words, words / total if total else None, traced)
            for name in CLASSES
            for words, traced in [counts[kind, name]]
        }
    return table


class _Counts:
    """What a report counts, response by response."""

    def __init__(self) -> None:
        self.draws = self.instances = self.responses = self.flagged_responses = self.words = self.flagged = 0
        self.in_prompt = self.to_explain = self.to_explain_in_prompt = self.absent = self.phrases = 0
        self.cross = {(kind, name): [0, 0] for kind in KINDS for name in CLASSES}
        self.flagged_outcomes: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        self.outcomes: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
        self.trace, self.outside_prompt, self.strict = _Tally(), _Tally(), _Tally()

    def add(self, causes: Causes, spans: Sequence[Stretch], rank: int, thresholds: Thresholds, brief: bool) -> None:
        """Counts one response with its flagged stretches."""
        groups = [group for span in spans if (group := [w for w in causes.between(*span) if w.rank >= 0])]
        flagged = {word.start: word for group in groups for word in group}
        asking = [word for word in flagged.values() if word.rank >= rank]
        for word in causes.words:
            if word.rank < 0:
                continue
            outcome = causes.outcome(word, rank)
            cell = self.cross["flagged" if word.start in flagged else "other", shift_class(word.rank, thresholds)]
            cell[0] += 1
            cell[1] += word.found
            self.words += 1
            self.outcomes[outcome] += 1
            self.flagged_outcomes[outcome] += word.start in flagged
        self.draws, self.instances = causes.draws, causes.instances
        self.responses += 1
        self.flagged_responses += bool(flagged)
        self.flagged += len(flagged)
        self.in_prompt += sum(word.in_prompt for word in flagged.values())
        self.to_explain += len(asking)
        self.to_explain_in_prompt += sum(word.in_prompt for word in asking)
        self.absent += sum(not word.frequency for word in asking)
        self.phrases += len(groups)
        self.trace.add(causes, [[word] for word in asking])
        if brief:
            return
        self.outside_prompt.add(causes, [[word] for word in asking if not word.in_prompt])
        self.strict.add(causes, [group for group in groups if any(word.rank >= rank for word in group)])


@dataclass
class _Tally:
    """Totals a prompt of units, words or phrases, all words of which have to stand in one turn."""

    counts: list[int] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    by_instances: list[Floats] = field(default_factory=list)
    by_words: list[Floats] = field(default_factory=list)

    def add(self, causes: Causes, units: Sequence[Sequence[CauseWord]]) -> None:
        """Adds the units of one response; nothing where there are none."""
        if not units:
            return
        known: dict[tuple[str, ...], tuple[Bits, Bits]] = {}
        found, by_instances, by_words = 0, np.zeros(causes.draws), np.zeros(causes.draws)
        for unit in units:
            keys = tuple(sorted({word.key for word in unit}))
            if keys not in known:
                known[keys] = causes.phrase_draws(unit)
            by_instances += known[keys][0]
            by_words += known[keys][1]
            found += bool(causes.strict_sources(unit))
        self.counts.append(len(units))
        self.found.append(found)
        self.by_instances.append(by_instances)
        self.by_words.append(by_words)

    def rate(self) -> TraceRate:
        count, traced = sum(self.counts), sum(self.found)
        nothing = Beside(None, None, None, None, None, "nothing to trace")
        by_instances = by_words = nothing
        if count:
            dealt, replaced = np.stack(self.by_instances), np.stack(self.by_words)
            by_instances = self._beside(dealt)
            # Words of a response hang together, and so do the same words in random instances, while the words drawn
            # for them do not: the interval and p have to stand before both.
            by_words = self._beside(replaced, dealt)
        return TraceRate(count, traced, len(self.counts), traced / count if count else None, by_instances, by_words)

    def _beside(self, draws: Floats, *others: Floats) -> Beside:
        found, expected = np.array(self.found, dtype=np.float64), draws.mean(axis=1)
        nulls = [draws, *others]
        told = lift(found, expected, nulls=nulls)
        observed = float(studentised(found - expected))
        p = max(permutation_p(observed, studentised(null - null.mean(axis=1, keepdims=True))) for null in nulls)
        return Beside(told.expected / sum(self.counts), told.lift, told.low, told.high, p, told.reason)
