"""Where shifted words come from, beside what chance would give: the causal analysis of each model as a table."""

from collections.abc import Sequence

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, Value
from itaudit.analysis.verdicts import UNTOLD
from itaudit.detect.flagged_causes import run_cause_report
from itaudit.runs.cells import Cell, check_scores
from itaudit.trace.cause_report import Beside

_COLUMNS = (
    Column("variant", "variant", "text"),
    Column("size", "instances", "count"),
    Column("seed", "seed", "count"),
    Column("model", "model", "text"),
    Column("words", "content words", "count"),
    Column("to_explain", "ask for an explanation", "count"),
    Column("traced", "traced", "share"),
    Column("expected_instances", "traced to random instances", "share"),
    Column("lift_instances", "lift", "times", 2),
    Column("expected_words", "traced of other words", "share"),
    Column("lift_words", "lift over other words", "times", 2),
    Column("verdict", "against chance", "text"),
)


def check(cell: Cell) -> None:
    """Raises UserError where the causes of a model's words can't be read, or the dataset that they are in."""
    if _is_told(cell):
        check_scores(cell)
        cell.run.table("causes", cell.label).read()
        _ = cell.run.dataset


def tables(cells: Sequence[Cell], reference: str) -> list[Table]:  # noqa: ARG001 — the signature of all builders
    """`causes`: a row for each model whose causes are known; nothing is computed for the others."""
    # An experiment does the ends of a ladder first; people read it from the smallest up.
    variants = list(dict.fromkeys(cell.variant for cell in cells))
    ordered = sorted(cells, key=lambda cell: (variants.index(cell.variant), cell.size or 0))
    told = [cell for cell in ordered if _is_told(cell)]
    if not told:
        return []
    rows = [_row(cell) for cell in told]
    columns = [column for column in _COLUMNS if any(row.get(column.key) not in (None, "") for row in rows)]
    for key in ("variant", "seed"):
        if len({row.get(key) for row in rows}) < 2:
            columns = [column for column in columns if column.key != key]
    causes = told[0].run.recipe.causes
    note = (
        f"Content words that the base model ranks {causes.rank} or lower ask for an explanation; traced are those that "
        f"stand in an answer of the {causes.k} instances most similar to the prompt. By chance: the same look-up in "
        "random instances of like length, and for other words of like frequency; the lift is how many times that is "
        "found. Intervals are 95 %, over prompts; “not apart from chance”: one of both intervals holds 1."
    )
    return [Table("causes", "Where shifted words come from", tuple(columns), tuple(rows), note)]


def _is_told(cell: Cell) -> bool:
    return not cell.is_base and cell.scored and cell.run.table("causes", cell.label).closed


def _row(cell: Cell) -> dict[str, Value]:
    report = run_cause_report(cell.run, cell.label, "shifted", brief=True)
    told = report.trace
    beside = told.by_instances, told.by_words
    return {
        "variant": cell.variant,
        "size": cell.size,
        "seed": cell.seed,
        "model": cell.label,
        "words": report.words,
        "to_explain": report.to_explain,
        "traced": told.rate,
        "expected_instances": told.by_instances.expected,
        "expected_words": told.by_words.expected,
        "lift_instances": _lift(told.by_instances, told.prompts),
        "lift_words": _lift(told.by_words, told.prompts),
        "verdict": "nothing to trace" if not told.count else _verdict([_lift(one, told.prompts) for one in beside]),
    }


def _lift(beside: Beside, prompts: int) -> Estimate:
    return Estimate(beside.lift, beside.low, beside.high, prompts)


def _verdict(lifts: Sequence[Estimate]) -> str:
    if any(lift.value is None or lift.low is None for lift in lifts):
        return UNTOLD
    if not all(lift.apart_from(1) for lift in lifts):
        return "not apart from chance"
    above = [lift.value is not None and lift.value > 1 for lift in lifts]
    return "more than chance" if all(above) else "less than chance" if not any(above) else "not apart from chance"
