"""Does an enhancement method do anything that plain tuning does not? Each model against the plain one, by budget.

The plain one is the reference in the first variant that has it: other models of that variant change the method
(noise, rank of the adapter), other variants change what is learnt (fewer, longer or simpler responses).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itaudit.analysis.intervals import difference, estimate, quotient
from itaudit.analysis.table import Column, Table, Value
from itaudit.analysis.verdicts import NOT_APART, verdict
from itaudit.experiments.shift_totals import Group, paired, shift_groups, tuned_on
from itaudit.runs.cells import Cell, check_scores
from itaudit.tuning_settings import Lft, Sft


def check(cell: Cell) -> None:
    """Raises UserError where the shift of a tuned model can't be read, or what its tuning took."""
    if not cell.is_base:
        check_scores(cell)
        cell.run.state()


def tables(cells: Sequence[Cell], reference: str) -> list[Table]:
    """`against_plain`: every scored model of every variant against the reference in the first one, size by size.

    None where there is one variant alone, or where nothing stands beside the plain model.
    """
    groups = shift_groups(cells)
    # Where the plain model of a size is missing, none of another variant passes for it.
    first = next((cell.variant for cell in cells if cell.label == reference), "")
    plain = {group.size: group for group in groups if (group.variant, group.label) == (first, reference)}
    beside = [group for group in groups if group.size in plain]
    if len({group.variant for group in groups}) < 2 or len(beside) == len(plain):
        return []
    return [_table(beside, plain, reference)]


@dataclass(frozen=True, slots=True)
class Budget:
    """What tuning read: how many different instances, and in all its steps how many instances and tokens."""

    instances: int
    read: int
    tokens: float


def budget(cell: Cell) -> Budget | None:
    """The budget of a model that was tuned here; None of others, and before its tuning is done."""
    settings = cell.run.recipe.models[cell.label]
    instances = tuned_on(cell)
    if not isinstance(settings, Lft | Sft) or instances is None:
        return None
    facts = cell.run.state().stages[f"tune:{cell.label}"].facts
    # Packing makes fewer rows of the instances, and a batch counts rows.
    rows = int(facts.get("rows") or instances)
    read = rows_read(rows, settings) * instances / rows
    return Budget(instances, round(read), read * float(facts["tokens"]) / instances)


def rows_read(rows: int, settings: Lft | Sft) -> int:
    """How many rows tuning reads in all its steps, repeated ones too: an epoch's last batch has what is left of it."""
    in_epoch = math.ceil(rows / settings.batch_size)
    steps = settings.steps or max(math.ceil(settings.epochs * in_epoch), 1)
    whole, more = divmod(steps, in_epoch)
    return whole * rows + min(more * settings.batch_size, rows)


def _table(groups: Sequence[Group], plain: Mapping[int | None, Group], reference: str) -> Table:
    rows = [_row(group, plain[group.size]) for group in groups]
    first = next(iter(plain.values())).variant
    columns = [
        Column("variant", "variant", "text"),
        Column("size", "size", "count"),
        Column("model", "model", "text"),
        Column("instances", "instances", "count"),
        Column("read", "instances read", "count"),
        Column("tokens", "tokens read", "count"),
        Column("kl", "KL (nats)"),
        Column("times", "KL, times plain", "times", 2),
        Column("kl_difference", "KL above plain (nats)", "difference"),
        Column("verdict", "KL against plain", "text"),
        Column("shifted", "shifted", "share"),
        Column("shifted_difference", "share shifted above plain", "points"),
        Column("shifted_verdict", "share shifted against plain", "text"),
    ]
    note = (
        f"Plain is {reference} of {first}. Instances read: over all optimiser steps, repeated ones too; where they "
        "differ, the budget does. Intervals are 95 %, by bootstrap over the prompts that both answered, resampled "
        f"together; “{NOT_APART}”: the interval of the difference holds 0."
    )
    told = tuple(column for column in columns if any(row.get(column.key) not in (None, "") for row in rows))
    return Table("against_plain", f"Each method against plain {reference}", told, tuple(rows), note)


def _row(group: Group, plain: Group) -> dict[str, Value]:
    row: dict[str, Value] = {"variant": group.variant, "size": group.size, "model": group.label}
    if (spent := budget(group.cells[0])) is not None:
        row |= {"instances": spent.instances, "read": spent.read, "tokens": round(spent.tokens)}
    row |= {name: estimate(totals) for name in ("kl", "shifted") if (totals := group.totals(name))}
    if group is plain:
        return row | {"verdict": "plain"}
    kl, shifted = paired("kl", group, plain), paired("shifted", group, plain)
    if all(kl):
        further = difference(*kl)
        said = verdict(further, 0, "further from the base", "nearer to the base")
        row |= {"times": quotient(*kl), "kl_difference": further, "verdict": said}
    more = difference(*shifted)
    return row | {"shifted_difference": more, "shifted_verdict": verdict(more, 0, "more shifted", "less shifted")}
