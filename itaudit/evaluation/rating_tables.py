"""What people's blind ratings say of models: means by aspect, differences to the reference, and their agreement."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from itaudit.analysis.intervals import difference, estimate, pooled
from itaudit.analysis.rater_agreement import Units, ordinal_agreement
from itaudit.analysis.table import Column, Table, Value, telling_columns
from itaudit.analysis.verdicts import NOT_APART, verdict
from itaudit.evaluation.aspects import ASPECTS, HIGHEST, LOWEST
from itaudit.evaluation.blind import is_done, responses
from itaudit.evaluation.unblinding import opinions, unblinded
from itaudit.runs.cells import Cell, by_group, runs_of
from itaudit.runs.ratings import Rated, Ratings

ALL = "all five"
_INTERVALS = "Intervals are 95 %, by bootstrap over prompts."
_PLACE = (
    Column("variant", "variant", "text"),
    Column("size", "instances", "count"),
    Column("model", "model", "text"),
)

Sums = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Opinions:
    """What was said of one cell's answers, by rater and prompt."""

    cell: Cell
    said: Mapping[tuple[str, str], Rated]

    def totals(self, aspect: str, raters: Iterable[tuple[str, str]] | None = None) -> dict[str, tuple[float, float]]:
        """(sum of ratings, ratings) by prompt of an aspect or ALL; of some raters' opinions only, where given."""
        found: dict[str, tuple[float, float]] = {}
        for rater, prompt_id in self.said if raters is None else raters:
            values = self.said[rater, prompt_id].values
            told = list(values.values()) if aspect == ALL else [values[aspect]] if aspect in values else []
            if told:
                total, number = found.get(prompt_id, (0.0, 0.0))
                found[prompt_id] = (total + sum(told), number + len(told))
        return found

    def both(self, other: "_Opinions", aspect: str) -> list[tuple[str, str]]:
        """The raters and prompts with an opinion on an aspect of both answers; for ALL, on all aspects of both."""
        asked = ASPECTS if aspect == ALL else (aspect,)
        return [
            key
            for key, rated in self.said.items()
            if key in other.said and all(one in rated.values and one in other.said[key].values for one in asked)
        ]


def check(cell: Cell) -> None:
    """Raises UserError where ratings can't be read, or the responses of any model of the run that was rated.

    A rating is of a text, and only all responses together tell whose text it was.
    """
    if Ratings(cell.run.ratings_path).raters:
        for label in cell.run.labels:
            responses(cell.run, label)


def tables(cells: Sequence[Cell], reference: str) -> list[Table]:
    """`ratings`, `rating_differences`, `rating_agreement` and `raters`; none where nobody has rated an answer.

    Differences are told only where the same people rated both answers to a prompt. Raises UserError where a file of
    ratings can't be read.
    """
    cells = [cell for cell in cells if not cell.problem]
    files = {run.ratings_path: Ratings(run.ratings_path) for run in runs_of(cells)}
    if not any(ratings.raters for ratings in files.values()):
        return []
    groups = _groups(cells, files)
    found = [_means(groups), _differences(groups, reference), _agreement(cells, files), _raters(cells, files)]
    return [table for table in found if table.rows]


def _groups(cells: Sequence[Cell], files: Mapping[Path, Ratings]) -> dict[tuple[str, int | None, str], list[_Opinions]]:
    told: dict[tuple[Path, str], Mapping[tuple[str, str], Rated]] = {}
    for run in runs_of(cells):
        labels = [cell.label for cell in cells if cell.run.path == run.path]
        for label, several in opinions(run, files[run.ratings_path], labels).items():
            told[run.path, label] = {(rater, prompt_id): rated for rater, prompt_id, rated in several if rated.values}
    groups = {}
    for key, seeds in by_group(cells).items():
        opined = [_Opinions(cell, told[cell.run.path, cell.label]) for cell in seeds]
        if any(one.said for one in opined):
            groups[key] = opined
    return groups


def _means(groups: Mapping[tuple[str, int | None, str], Sequence[_Opinions]]) -> Table:
    rows: list[dict[str, Value]] = []
    for key, seeds in groups.items():
        raters = {rater for one in seeds for rater, _ in one.said}
        rated = sum(len({prompt_id for _, prompt_id in one.said}) for one in seeds)
        row: dict[str, Value] = {**_place(key), "raters": len(raters), "answers": rated}
        row |= {aspect: estimate(pooled(one.totals(aspect) for one in seeds)) for aspect in ASPECTS}
        rows.append({**row, "all": estimate(pooled(one.totals(ALL) for one in seeds))})
    columns = (
        *_PLACE,
        Column("raters", "raters", "count"),
        Column("answers", "answers rated", "count"),
        *(Column(aspect, aspect, digits=2) for aspect in ASPECTS),
        Column("all", ALL, digits=2),
    )
    note = f"Means of ratings from {LOWEST} to {HIGHEST}, given without knowing the model; more is better. {_INTERVALS}"
    return Table("ratings", "Blind ratings by people", telling_columns(columns, rows), tuple(rows), note)


def _differences(groups: Mapping[tuple[str, int | None, str], Sequence[_Opinions]], reference: str) -> Table:
    rows: list[dict[str, Value]] = []
    for (variant, size, label), seeds in groups.items():
        beside = {one.cell.run.path: one for one in groups.get((variant, size, reference), ())}
        pairs = [(one, beside[one.cell.run.path]) for one in seeds if one.cell.run.path in beside]
        if label == reference:
            continue
        for aspect in (*ASPECTS, ALL):
            shared = [(one, other, one.both(other, aspect)) for one, other in pairs]
            if not any(keys for _, _, keys in shared):
                continue
            told = difference(
                pooled(one.totals(aspect, keys) for one, _, keys in shared),
                pooled(other.totals(aspect, keys) for _, other, keys in shared),
            )
            row = {
                **_place((variant, size, label)),
                "aspect": aspect,
                "difference": told,
                "verdict": verdict(told, 0, "higher", "lower"),
            }
            rows.append(row)
    columns = (
        *_PLACE,
        Column("aspect", "aspect", "text"),
        Column("difference", f"above {reference}", "difference", 2),
        Column("verdict", f"against {reference}", "text"),
    )
    note = (
        f"Each model against {reference} of the same variant and size, over what the same people said of both answers "
        f"to a prompt. {_INTERVALS} “{NOT_APART}”: the interval of the difference holds 0."
    )
    return Table(
        "rating_differences", f"Blind ratings against {reference}", telling_columns(columns, rows), tuple(rows), note
    )


def _agreement(cells: Sequence[Cell], files: Mapping[Path, Ratings]) -> Table:
    rows: list[dict[str, Value]] = []
    for aspect in ASPECTS:
        told = ordinal_agreement(_units(cells, files, aspect), LOWEST, HIGHEST)
        if told.units:
            row: dict[str, Value] = {"aspect": aspect, "answers": told.units, "alpha": told.alpha}
            rows.append({**row, "equal": told.equal, "near": told.near, "reason": told.reason or None})
    columns = (
        Column("aspect", "aspect", "text"),
        Column("answers", "answers rated by two or more", "count"),
        Column("alpha", "Krippendorff's alpha", digits=2),
        Column("equal", "pairs equal", "share"),
        Column("near", "pairs within 1", "share"),
        Column("reason", "why there is no alpha", "text"),
    )
    note = (
        "Ordinal alpha: 1 is perfect agreement, 0 what chance would bring. Pairs are ratings of the same answer by two "
        f"people. {_INTERVALS}"
    )
    return Table("rating_agreement", "Agreement of the raters", telling_columns(columns, rows), tuple(rows), note)


def _units(cells: Sequence[Cell], files: Mapping[Path, Ratings], aspect: str) -> Units:
    """The values that each answer got, by prompt; an answer that two models gave is one."""
    found: dict[str, list[list[int]]] = {}
    for run in runs_of(cells):
        labels = {cell.label for cell in cells if cell.run.path == run.path}
        given = unblinded(run)
        values: dict[tuple[str, str], list[int]] = {}
        for (_, prompt_id, answer), rated in files[run.ratings_path].all().items():
            if aspect in rated.values and labels & set(given.get((prompt_id, answer), ())):
                values.setdefault((prompt_id, answer), []).append(rated.values[aspect])
        for (prompt_id, _), several in values.items():
            found.setdefault(prompt_id, []).append(several)
    return found


def _raters(cells: Sequence[Cell], files: Mapping[Path, Ratings]) -> Table:
    said: dict[str, list[Rated]] = {}
    for run in runs_of(cells):
        given = unblinded(run)
        for (rater, prompt_id, answer), rated in files[run.ratings_path].all().items():
            if (prompt_id, answer) in given:
                said.setdefault(rater, []).append(rated)
    rows: list[dict[str, Value]] = []
    for rater, several in said.items():
        values = [value for rated in several for value in rated.values.values()]
        skipped = sum(rated.skipped for rated in several)
        row: dict[str, Value] = {"rater": rater, "rated": sum(map(is_done, several)) - skipped, "skipped": skipped}
        begun = sum(bool(rated.values) and not is_done(rated) for rated in several)
        mean = sum(values) / len(values) if values else None
        rows.append({**row, "begun": begun, "notes": sum(bool(rated.note) for rated in several), "mean": mean})
    columns = (
        Column("rater", "rater", "text"),
        Column("rated", "answers rated", "count"),
        Column("begun", "begun", "count"),
        Column("skipped", "skipped", "count"),
        Column("notes", "notes", "count"),
        Column("mean", "mean rating", digits=2),
    )
    return Table("raters", "The raters", columns, tuple(rows), "The mean is over all aspects and answers.")


def _place(key: tuple[str, int | None, str]) -> dict[str, Value]:
    variant, size, label = key
    return {"variant": variant or None, "size": size, "model": label}
