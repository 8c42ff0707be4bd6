"""Every table that there is to tell of a subject, in the order in which people read them."""

import importlib
from collections.abc import Sequence

from itaudit.analysis.table import Table
from itaudit.experiments.published import published_tables
from itaudit.report.subjects import Subject
from itaudit.runs.cells import Cell

BUILDERS = (
    "itaudit.experiments.shift_tables",
    "itaudit.experiments.enhancement_tables",
    "itaudit.evaluation.task_tables",
    "itaudit.evaluation.judge_tables",
    "itaudit.evaluation.rating_tables",
    "itaudit.style.tables",
    "itaudit.report.cause_tables",
)
"""Modules with `tables(cells, reference)`; each is imported when its tables are asked for."""


def all_tables(subjects: Sequence[Subject]) -> list[tuple[Subject, list[Table]]]:
    """The tables of each subject; a subject of which nothing is scored has none."""
    return [(subject, cell_tables(subject.cells, subject.reference, subject.published)) for subject in subjects]


def cell_tables(cells: Sequence[Cell], reference: str, published: str = "") -> list[Table]:
    """The tables of some cells, and the published figures where a publication is named.

    Raises UserError for a publication that there is not, and for files that can't be read.
    """
    first, *rest = [importlib.import_module(name).tables(cells, reference) for name in BUILDERS]
    others: list[Table] = [table for tables in rest for table in tables]
    return [*first, *published_tables(published, cells, reference, others), *others]
