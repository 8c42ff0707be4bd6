"""What a judge says of models: ratings by aspect, preferences, its bias for a place, and where it did not judge."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from itaudit.analysis.intervals import Totals, contrast, difference, estimate, means, pooled
from itaudit.analysis.table import Column, Table, Value, telling_columns
from itaudit.analysis.verdicts import NOT_APART, verdict
from itaudit.analysis.words import word_texts
from itaudit.evaluation.aspects import ASPECTS, HIGHEST, LOWEST
from itaudit.evaluation.blind import responses
from itaudit.evaluation.pairs import BothOrders, both_orders
from itaudit.runs.cells import Cell, by_group
from itaudit.runs.judgements import (
    FAILURES,
    AspectRating,
    Failure,
    Preference,
    aspect_ratings,
    check_judgements,
    judged_pairs,
    preferences,
)
from itaudit.runs.run import Run

ALL = "all five"
_INTERVALS = "Intervals are 95 %, by bootstrap over prompts."
_VARIANT, _SIZE = Column("variant", "variant", "text"), Column("size", "instances", "count")
_MODEL, _JUDGE = Column("model", "model", "text"), Column("judge", "judge", "text")
_AGAINST = Column("against", "against", "text")

_Ratings = Mapping[str, AspectRating]
_Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class _Rated:
    """What one judge said of one model's answers, a mapping by prompt id a run; runs are told apart by their seed."""

    place: _Place
    label: str
    judge: str
    runs: Mapping[str, _Ratings]


@dataclass(slots=True)
class _Compared:
    """What one judge said of two models' answers in both orders, a list of runs."""

    place: _Place
    first: str
    second: str
    judge: str
    told: list[Mapping[str, BothOrders]] = field(default_factory=list)
    longer: list[Mapping[str, float]] = field(default_factory=list)
    """Points of the longer answer, for those of unlike length."""
    asked: list[Preference] = field(default_factory=list)

    def totals(self, figure: str, *, same: bool = True) -> Totals:
        """Totals of a figure of BothOrders; without those that both models answered alike, where `same` is off."""
        return pooled(
            means({id: float(getattr(one, figure)) for id, one in told.items() if same or not one.same})
            for told in self.told
        )

    def count(self, winner: str | None) -> int:
        return sum(one.winner == winner for told in self.told for one in told.values())


def check(cell: Cell) -> None:
    """Raises UserError where what a judge said of a model, alone or beside another, or compared can't be read."""
    check_judgements(cell.run, cell.label)
    if any(cell.label in pair for pair in judged_pairs(cell.run)):
        responses(cell.run, cell.label)


def tables(cells: Sequence[Cell], reference: str) -> list[Table]:
    """`judge_ratings`, `judge_differences`, `judge_pairs`, `judge_order` and `judge_failures`; none without a judge.

    Only what a judge made a judgement of counts in a figure; what it did not is counted in `judge_failures`. What
    several judges said is told apart.
    """
    rated, compared = _rated(cells), _compared(cells, reference)
    found = [
        ratings_table(rated),
        differences_table(rated, reference),
        pairs_table(compared),
        order_table(compared),
        failures_table(rated, compared),
    ]
    return [table for table in found if table.rows]


def _rated(cells: Sequence[Cell]) -> list[_Rated]:
    found = []
    for (variant, size, label), seeds in by_group(cells).items():
        ratings = {str(cell.run.path): aspect_ratings(cell.run, label) for cell in seeds}
        for judge in dict.fromkeys(one.judge for told in ratings.values() for one in told.values()):
            own = {run: {id: one for id, one in told.items() if one.judge == judge} for run, told in ratings.items()}
            found.append(_Rated((variant, size), label, judge, own))
    return found


def _compared(cells: Sequence[Cell], reference: str) -> list[_Compared]:
    """The pairs of each variant and size by judge; the reference is the second of its pairs."""
    found: dict[tuple[_Place, str, str, str], _Compared] = {}
    shown = {(cell.run.path, cell.label): cell for cell in cells if not cell.problem}
    for cell in {cell.run.path: cell for cell in shown.values()}.values():
        run, place = cell.run, (cell.variant, cell.size)
        for first, second in judged_pairs(run):
            if not {(run.path, first), (run.path, second)} <= shown.keys():
                continue
            one, other = (second, first) if first == reference else (first, second)
            ahead, behind = preferences(run, one, other), preferences(run, other, one)
            for judge in dict.fromkeys(p.judge for p in (*ahead.values(), *behind.values())):
                key = (place, one, other, judge)
                group = found.setdefault(key, _Compared(place, one, other, judge))
                asked = [p for told in (ahead, behind) for p in told.values() if p.judge == judge]
                group.asked += asked
                told = dict(_in_both_orders(ahead, behind, judge))
                group.told.append(told)
                group.longer.append(_points_of_longer(run, one, other, told))
    return list(found.values())


def _in_both_orders(
    ahead: Mapping[str, Preference], behind: Mapping[str, Preference], judge: str
) -> Iterator[tuple[str, BothOrders]]:
    for prompt_id, shown in ahead.items():
        swapped = behind.get(prompt_id)
        if swapped is not None and shown.judge == swapped.judge == judge:
            told = both_orders(shown, swapped)
            if told is not None:
                yield prompt_id, told


def _points_of_longer(run: Run, first: str, second: str, told: Mapping[str, BothOrders]) -> dict[str, float]:
    """Points of the answer with more words, by prompt; none where both have as many."""
    lengths = [{id: len(word_texts(text)) for id, text in responses(run, label).items()} for label in (first, second)]
    more = {id: lengths[0].get(id, 0) - lengths[1].get(id, 0) for id in told}
    return {id: one.points if more[id] > 0 else 1 - one.points for id, one in told.items() if more[id]}


def _totals(ratings: Iterable[_Ratings], aspect: str) -> dict[str, tuple[float, float]]:
    """Scores of an aspect, or of ALL, by prompt; several runs are pooled."""
    return pooled(
        {
            id: (float(sum(values)), float(len(values)))
            for id, one in told.items()
            if (values := list(one.scores.values()) if aspect == ALL else [one.scores[aspect]] if one.scores else [])
        }
        for told in ratings
    )


def ratings_table(rated: Sequence[_Rated]) -> Table:
    """A row for each variant, size, model and judge: the mean of each aspect."""
    columns = (
        _VARIANT,
        _SIZE,
        _MODEL,
        _JUDGE,
        Column("judged", "answers judged", "count"),
        Column("unjudged", "without judgement", "count"),
        *(Column(aspect, aspect, digits=2) for aspect in ASPECTS),
        Column("all", ALL, digits=2),
    )
    rows: list[dict[str, Value]] = []
    for group in rated:
        ratings = [one for told in group.runs.values() for one in told.values()]
        judged = sum(bool(one.scores) for one in ratings)
        row: dict[str, Value] = {**_place(group.place), "model": group.label, "judge": group.judge}
        row |= {"judged": judged, "unjudged": len(ratings) - judged}
        row |= {aspect: estimate(_totals(group.runs.values(), aspect)) for aspect in ASPECTS if judged}
        rows.append(row | ({"all": estimate(_totals(group.runs.values(), ALL))} if judged else {}))
    note = (
        f"Means of a judge's scores from {LOWEST} to {HIGHEST}; more is better. Answers without a judgement count in "
        f"no mean. {_INTERVALS}"
    )
    return Table("judge_ratings", "Ratings by a judge", telling_columns(columns, rows), tuple(rows), note)


def differences_table(rated: Sequence[_Rated], reference: str) -> Table:
    """A row for each aspect of each model that has a reference of the same variant, size and judge beside it."""
    beside = {(group.place, group.judge): group for group in rated if group.label == reference}
    rows: list[dict[str, Value]] = []
    for group in rated:
        other = beside.get((group.place, group.judge))
        if other is None or group.label == reference:
            continue
        # Of each run, the answers to those prompts on which both have a judgement.
        shared = [
            [id for id in told if told[id].scores and id in other.runs[run] and other.runs[run][id].scores]
            for run, told in group.runs.items()
            if run in other.runs
        ]
        mine = [told for run, told in group.runs.items() if run in other.runs]
        theirs = [other.runs[run] for run in group.runs if run in other.runs]
        for aspect in (*ASPECTS, ALL):
            first, second = (
                _totals(({id: told[id] for id in ids} for told, ids in zip(side, shared, strict=True)), aspect)
                for side in (mine, theirs)
            )
            if first:
                told = difference(first, second)
                row: dict[str, Value] = {**_place(group.place), "model": group.label, "judge": group.judge}
                said = verdict(told, 0, "higher", "lower")
                rows.append(row | {"aspect": aspect, "difference": told, "verdict": said})
    columns = (
        _VARIANT,
        _SIZE,
        _MODEL,
        _JUDGE,
        Column("aspect", "aspect", "text"),
        Column("difference", f"above {reference}", "difference", 2),
        Column("verdict", f"against {reference}", "text"),
    )
    note = (
        f"Each model against {reference} of the same variant and size, over the prompts on which the judge has a "
        f"judgement of both. {_INTERVALS} “{NOT_APART}”: the interval of the difference holds 0."
    )
    title = f"Ratings by a judge against {reference}"
    return Table("judge_differences", title, telling_columns(columns, rows), tuple(rows), note)


def pairs_table(compared: Sequence[_Compared]) -> Table:
    """A row for each pair of models: how often the judge prefers the one, over both orders."""
    columns = (
        _VARIANT,
        _SIZE,
        _MODEL,
        _AGAINST,
        _JUDGE,
        Column("prompts", "prompts", "count"),
        Column("wins", "wins", "count"),
        Column("losses", "losses", "count"),
        Column("ties", "ties", "count"),
        Column("same", "same answer", "count"),
        Column("preferred", "preferred", "share"),
        Column("verdict", "in words", "text"),
    )
    rows: list[dict[str, Value]] = []
    for group in compared:
        told = contrast([(1, group.totals("points"))])
        row = {**_pair(group), "prompts": sum(map(len, group.told)), "preferred": told}
        row |= {"wins": group.count("first"), "losses": group.count("second"), "ties": group.count(None)}
        row["same"] = sum(one.same for both in group.told for one in both.values())
        words = f"{group.first} is preferred", f"{group.second} is preferred"
        rows.append(row | {"verdict": verdict(told, 0.5, *words)})
    note = (
        "Each pair of answers is judged in both orders. Preferred: the mean over both orders, where a tie is half a "
        "point; 50 % is no preference. A win is a pair that both orders give to the model, or one order where the "
        f"other has a tie. Prompts without a judgement in either order count nowhere here. {_INTERVALS} "
        f"“{NOT_APART}”: the interval holds 50 %."
    )
    return Table("judge_pairs", "Preferences of a judge", telling_columns(columns, rows), tuple(rows), note)


def order_table(compared: Sequence[_Compared]) -> Table:
    """A row for each pair of models: how much the order in which answers are shown decides, and their length."""
    columns = (
        _VARIANT,
        _SIZE,
        _MODEL,
        _AGAINST,
        _JUDGE,
        Column("prompts", "prompts", "count"),
        Column("order_decides", "the order decides", "share"),
        Column("shown_first", "what is shown first is preferred", "share"),
        Column("verdict", "in words", "text"),
        Column("longer", "the longer is preferred", "share"),
    )
    rows: list[dict[str, Value]] = []
    for group in compared:
        first, decides = group.totals("shown_first", same=False), group.totals("order_decides", same=False)
        if not first:
            continue
        told = contrast([(1, first)])
        prompts = sum(not one.same for both in group.told for one in both.values())
        row = {**_pair(group), "prompts": prompts, "order_decides": estimate(decides), "shown_first": told}
        row["verdict"] = verdict(told, 0.5, "favours the first", "favours the second")
        if longer := pooled(means(points) for points in group.longer):
            row["longer"] = contrast([(1, longer)])
        rows.append(row)
    note = (
        "The order decides: both orders have a judgement, and say different things of the models. What is shown first "
        "is preferred: over both orders, where a tie is half; 50 % is no bias. Pairs of the very same answer are left "
        "out. The longer: the answer with more words, of pairs where one has; far above 50 % the judge may favour "
        f"length, or longer answers may be better. {_INTERVALS} “{NOT_APART}”: the interval holds 50 %."
    )
    return Table("judge_order", "Position bias of a judge", telling_columns(columns, rows), tuple(rows), note)


def failures_table(rated: Sequence[_Rated], compared: Sequence[_Compared]) -> Table:
    """A row for each model, and each pair: what a judge was asked, and how often and why there is no judgement."""
    columns = (
        _VARIANT,
        _SIZE,
        _MODEL,
        _AGAINST,
        _JUDGE,
        Column("asked", "asked", "count"),
        Column("judged", "judged", "count"),
        *(Column(failure.replace(" ", "_"), failure, "count") for failure in FAILURES),
    )
    rows: list[dict[str, Value]] = []
    for one in rated:
        row: dict[str, Value] = {**_place(one.place), "model": one.label, "judge": one.judge}
        rows.append(row | _failures([rating.failure for told in one.runs.values() for rating in told.values()]))
    for pair in compared:
        rows.append(_pair(pair) | _failures([asked.failure for asked in pair.asked if not asked.same]))
    note = (
        "nonsense: could not be read as the JSON object that was asked for, twice. refused: the judge declined. cut "
        "off: its answer reached the longest length. empty: it answered nothing. unusable: the server sent no text, or "
        "the question did not fit the model. Each counts here and in no mean. Pairs are asked in both orders."
    )
    return Table("judge_failures", "Where a judge did not judge", telling_columns(columns, rows), tuple(rows), note)


def _failures(failures: Sequence[Failure | None]) -> dict[str, Value]:
    told: dict[str, Value] = {"asked": len(failures), "judged": failures.count(None)}
    return told | {failure.replace(" ", "_"): failures.count(failure) for failure in FAILURES}


def _pair(group: _Compared) -> dict[str, Value]:
    return {**_place(group.place), "model": group.first, "against": group.second, "judge": group.judge}


def _place(place: _Place) -> dict[str, Value]:
    variant, size = place
    return {"variant": variant or None, "size": size}
