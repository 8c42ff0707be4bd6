"""An experiment in words: its head, its matrix line by line, and the cell under the cursor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from textual.content import Content

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.shift import ShiftSummary
from itaudit.analysis.table import Table, Value, digits_of, shown
from itaudit.experiments.progress import CellProgress, ExperimentProgress, RunProgress
from itaudit.runs.state import RunState
from itaudit.sanitize import visible_line
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.matrix import Matrix, Row, Spot
from itaudit.tui.progress import job_mark, job_words, stage_lines, stage_share
from itaudit.tui.table_text import wrapped
from itaudit.units import bar, duration_text

Metric = Literal["KL", "shifted", "marginal", "unshifted", "tokens"]
METRICS: tuple[Metric, ...] = ("KL", "shifted", "marginal", "unshifted", "tokens")
METRIC_WORDS: Mapping[Metric, str] = {
    "KL": "mean KL (nats)",
    "shifted": "share shifted",
    "marginal": "share marginal",
    "unshifted": "share unshifted",
    "tokens": "tokens a response",
}
COLUMN, NARROW_COLUMN = 14, 12
"""Cells of a column of the matrix, and of one where there is little room."""
_NARROW = 50
MUTED = "$foreground-muted"
CELL_MARKS = {
    "waiting": ("·", MUTED),
    "running": ("▶", "bold $primary"),
    "done": ("✓", "$success"),
    "stopped": ("■", "$warning"),
    "failed": ("✗", "bold $error"),
}
"""A mark and a style for each state of a cell: told by shape as well as by colour."""
LEGEND = (
    ("·", "waits for its turn"),
    ("▶", "at work: stage and per cent"),
    ("✓", "done: the figure that m chooses"),
    ("■", "stopped; R goes on"),
    ("✗", "its run failed; the others go on"),
    ("+", "taken for side by side"),
)


def head_text(name: str, progress: ExperimentProgress, now: float, *, cancelling: bool) -> Content:
    """The experiment's name, its job, cells done, and the time that it took or that is left."""
    # Why it failed stands in lines of its own: here it would push out how many cells are done.
    words = "cancelling" if cancelling else progress.job if progress.job == "failed" else job_text(progress)
    parts = Content.assemble((visible_line(name), "bold"), " ▸ ", job_mark(progress.job), f" {visible_line(words)}")
    if progress.job == "failed":
        parts = parts.stylize("$error")
    parts += Content.styled(f"   cells {progress.done}/{progress.total}", MUTED)
    if progress.failed:
        parts += Content.styled(f"   {len(progress.failed)} failed", "$error")
    if progress.job in ("failed", "cancelled"):
        parts += Content.styled("   R goes on", MUTED)
    if progress.at_work:
        if progress.seconds_left is not None:
            parts += Content.styled(f"   {duration_text(progress.seconds_left)} left", MUTED)
        elif progress.started:
            parts += Content.styled(f"   {duration_text(now - progress.started)} so far", MUTED)
    return parts


def job_text(progress: ExperimentProgress) -> str:
    """The state of an experiment's job in a few words, with its reason where there is one."""
    return job_words(RunState(job=progress.job, waiting_for=progress.waiting_for, error=progress.error))


def doing_text(progress: ExperimentProgress, width: int) -> Content:
    """A bar over all cells, and what is at work; of a job that failed, why."""
    if progress.job == "failed":
        return Content.styled(visible_line(progress.error), "$error")
    share = progress.done / progress.total if progress.total else 0.0
    line = Content.assemble((bar(share, min(24, width // 4)), "$primary"), f"  {visible_line(progress.doing)}")
    return line.truncate(max(1, width), ellipsis=True)


def state_of(run: RunProgress | None, cell: CellProgress | None) -> str:
    """The state of a cell, failed where its run failed before it was done."""
    if cell is None:
        return "waiting"
    failed = run is not None and run.job == "failed" and cell.state != "done"
    return "failed" if failed else cell.state


def metric_text(metric: Metric, summary: ShiftSummary | None) -> str:
    """A figure of a scored model as it stands in its cell."""
    if summary is None or not summary.tokens:
        return "–"
    if metric == "KL":
        return "–" if summary.kl_mean is None else f"{summary.kl_mean:.{digits_of(summary.kl_mean, 3)}f}"
    if metric == "tokens":
        return f"{summary.tokens / summary.responses:.0f}"
    return f"{100 * getattr(summary, metric):.1f} %"


def column_width(width: int) -> int:
    """Cells of a column in a matrix of so many."""
    return COLUMN if width >= _NARROW else NARROW_COLUMN


def columns_shown(matrix: Matrix, names: int, width: int, cursor: int) -> range:
    """The columns that have room, the cursor's among them."""
    room = max(1, (width - names - 2) // column_width(width))
    first = max(0, min(cursor - room // 2, len(matrix.columns) - room))
    return range(first, min(first + room, len(matrix.columns)))


def names_width(matrix: Matrix, width: int) -> int:
    """Cells of the names of the rows."""
    longest = max((text_cells(visible_line(row.name)) for row in matrix.rows), default=0)
    return min(max(longest, text_cells(matrix.corner)), max(8, width // 3))


def heads_text(matrix: Matrix, width: int, cursor: int) -> Content:
    """The line above the matrix."""
    names = names_width(matrix, width)
    columns, cells = columns_shown(matrix, names, width, cursor), column_width(width) - 2
    line = Content.styled(f"  {shortened(matrix.corner, names):<{names}}  ", MUTED)
    for number in columns:
        name = shortened(visible_line(matrix.columns[number]), cells)
        line += Content.styled(f"  {name}{' ' * (cells - text_cells(name))}", "bold")
    if columns.stop < len(matrix.columns):
        line += Content.styled("›", MUTED)
    return line.truncate(max(1, width + 2), ellipsis=True)


def row_text(
    matrix: Matrix,
    row: Row,
    width: int,
    cursor: tuple[int, bool],
    cell_text: Callable[[Spot], tuple[str, str]],
    chosen: Sequence[Spot],
) -> Content:
    """A line of the matrix; `cursor` is its column and whether it stands on this row.

    `cell_text` gives a cell's state and its figure, or how far it is.
    """
    names = names_width(matrix, width)
    name = shortened(visible_line(row.name), names)
    line = Content.assemble((name + " " * (names - text_cells(name)), "bold"), "  ")
    column, here = cursor
    cells = column_width(width)
    gap = 2 if cells == COLUMN else 1
    for number in columns_shown(matrix, names, width, column):
        spot = row.spots[number]
        if spot is None:
            line += Content(" " * cells)
            continue
        state, text = cell_text(spot)
        mark, style = CELL_MARKS[state]
        taken = "+" if spot in chosen else " "
        words = f"{shortened(text, cells - 2 - gap):<{cells - 2 - gap}}"
        at = "reverse" if here and number == column else ""
        line += Content.assemble(
            (mark, style), (f"{taken}{words}", at or ("bold" if spot in chosen else "")), " " * gap
        )
    return line


def short_progress(cell: CellProgress | None) -> str:
    """How far a cell is, in as many characters as fit in the matrix."""
    if cell is None or not cell.stages:
        return ""
    if cell.stage is not None:
        return f"{shortened(cell.stage.stage, 4).rstrip('…')} {100 * stage_share(cell.stage):.0f} %"
    return f"{cell.stages_done}/{cell.stages}"


def cell_lines(
    spot: Spot,
    run: RunProgress | None,
    cell: CellProgress | None,
    tables: Mapping[str, Table],
    problems: Sequence[str],
    now: float,
    width: int,
) -> Content:
    """All that is known of a cell: its place and state, its stages while they go on, its figures with intervals.

    `problems` say what of it can't be read.
    """
    planned = spot.planned
    place = [visible_line(planned.name), visible_line(spot.label)]
    if planned.size is not None:
        place.append(f"{planned.size:,} instances")
    state = state_of(run, cell)
    mark, style = CELL_MARKS[state]
    words = {"waiting": "waits for its turn", "stopped": "stopped; R goes on"}.get(state, state)
    if run is not None and run.job == "queued":
        words = "waits for its turn"
    lines = [Content.assemble((" · ".join(place), "bold"), "  ", (mark, style), f" {words}")]
    if run is not None and run.error:
        lines.append(Content.styled(shortened(visible_line(run.error), width), "$error"))
    lines += [line for problem in problems for line in wrapped(problem, width, "$error")]
    if run is not None and state in ("running", "stopped", "failed"):
        stages = [stage for stage in run.state.stages.values() if stage.model in ("", spot.label)]
        lines += stage_lines(stages, now, width)
    lines += _figures(spot, tables, width)
    return Content("\n").join(line.truncate(max(1, width), ellipsis=True) for line in lines)


def _figures(spot: Spot, tables: Mapping[str, Table], width: int) -> list[Content]:
    found = []
    for name in ("methods", "against_reference"):
        table = tables.get(name)
        row = _row_of(spot, table) if table else None
        if table is None or row is None:
            continue
        facts = [
            f"{column.title} {shown(row[column.key], column)}"
            for column in table.columns
            if isinstance(row.get(column.key), Estimate) or column.key.endswith("verdict")
            if column.key in row
        ]
        found += _in_lines(facts, width)
    return found


def _row_of(spot: Spot, table: Table) -> Mapping[str, Value] | None:
    """The row of a cell's group; figures pool the seeds."""
    place = (spot.planned.variant, spot.planned.size, spot.label)
    for row in table.rows:
        if (row.get("variant", place[0]), row.get("size"), row.get("model")) == place:
            return row
    return None


def _in_lines(facts: Sequence[str], width: int) -> list[Content]:
    """Facts one after another, as many a line as fit."""
    lines: list[str] = []
    for fact in facts:
        if lines and text_cells(lines[-1]) + text_cells(fact) + 3 <= width:
            lines[-1] += f" · {fact}"
        elif text_cells(fact) > width:
            # The interval below, unbroken.
            figure, bracket, interval = fact.partition(" (")
            lines += [figure, f"  ({interval}"] if bracket else [figure]
        else:
            lines.append(fact)
    return [Content(visible_line(line)) for line in lines]
