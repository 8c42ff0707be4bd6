"""The tables of style and pattern copying: what runs, experiments and reports show."""

from collections.abc import Sequence

from itaudit.analysis.table import Table
from itaudit.runs.cells import Cell, check_scores
from itaudit.style.copied_table import copied_table
from itaudit.style.form_tables import distance_tables, form_table, opening_table
from itaudit.style.kind_tables import kind_table, word_table
from itaudit.style.subjects import measured, places


def check(cell: Cell) -> None:
    """Raises UserError where the responses of a model, their scores, the prompts or the dataset can't be read."""
    if measured(cell):
        cell.run.table("responses", cell.label).read()
        check_scores(cell)
        cell.run.prompts()
        _ = cell.run.dataset


def tables(cells: Sequence[Cell], reference: str) -> list[Table]:
    """The tables of the cells whose responses are scored; none where there are none.

    Models are compared with the base model and with the one labelled `reference`, within the same variant and size.
    What is not measured yet is measured, and kept in the runs.
    """
    there = places(cells)
    if not there:
        return []
    style = there[0].tuned[0].runs[0].recipe.style
    found = [
        form_table(there),
        *distance_tables(there, reference),
        opening_table(there, style.top, style.opening_words),
        copied_table(there, style.span_words, reference),
        kind_table(there, reference),
        word_table(there, style.top),
    ]
    return [table for table in found if table.rows]
