"""Every table that there is to tell of a subject, in the order in which people read them."""

import importlib
from collections.abc import Sequence

from itaudit.experiments.published import Published
from itaudit.runs.cells import Cell
from itaudit.runs.left_out import Told, together, told_by

MAKERS = (
    "itaudit.experiments.shift_tables",
    "itaudit.experiments.enhancement_tables",
    "itaudit.evaluation.task_tables",
    "itaudit.evaluation.judge_tables",
    "itaudit.evaluation.rating_tables",
    "itaudit.style.tables",
    "itaudit.report.cause_tables",
)
"""Modules with `check(cell)` and `tables(cells, reference)`; each is imported when its tables are asked for."""


def cell_tables(cells: Sequence[Cell], reference: str, published: str = "") -> Told:
    """The tables of some cells, and the published figures where a publication is named; none where nothing is scored.

    What can't be read is left out of them, and told.
    """
    first, *rest = [told_by(importlib.import_module(name), cells, reference) for name in MAKERS]
    others = [table for told in rest for table in told.tables]
    return together([first, told_by(Published(published, others), cells, reference), *rest])
