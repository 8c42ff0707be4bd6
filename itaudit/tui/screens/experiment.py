"""An experiment: its matrix with the figure of each cell, how far it is, and the tables of its results."""

import os
import time
from collections.abc import Callable, Mapping
from typing import ClassVar

import orjson
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from itaudit.analysis.shift import ShiftSummary
from itaudit.analysis.table import Table
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import ExperimentProgress, ExperimentWatch, RunProgress
from itaudit.runs.cells import Cell, check_scores
from itaudit.runs.left_out import checked
from itaudit.runs.run import BASE
from itaudit.runs.side_by_side import MOST
from itaudit.sanitize import visible_line
from itaudit.tui import clipboard
from itaudit.tui.beside import Beside
from itaudit.tui.experiment_job import ExperimentJob
from itaudit.tui.experiment_text import (
    LEGEND,
    METRIC_WORDS,
    METRICS,
    cell_lines,
    doing_text,
    head_text,
    heads_text,
    metric_text,
    row_text,
    short_progress,
    state_of,
)
from itaudit.tui.matrix import Matrix, Spot, cell_of, cell_progress, matrix_of, run_progress
from itaudit.tui.navigation import navigator
from itaudit.tui.pages_text import pages_text
from itaudit.tui.result_pages import CELLS, page_tables, pages_of
from itaudit.tui.screens.side_by_side import show_beside
from itaudit.tui.table_text import left_out_text
from itaudit.tui.tables_told import TablesTold
from itaudit.tui.telling import say, told
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.ladder_plot import LADDERS, LadderPlot, has_ladder
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.tables_text import TablesText


def poll_seconds() -> float:
    """Between two looks at an experiment that works; every repaint costs bandwidth over SSH."""
    return 1.0 if os.environ.get("SSH_CONNECTION") else 0.5


class ExperimentScreen(ExperimentJob):
    """Follows an experiment; the job goes on when this screen, or the whole app, is left."""

    CSS = """
    ExperimentScreen { layout: vertical; background: $background; }
    ExperimentScreen #title, ExperimentScreen #pages { height: 1; padding: 0 1; }
    ExperimentScreen #doing { height: auto; max-height: 4; padding: 0 1; }
    ExperimentScreen #title { background: $panel; }
    ExperimentScreen #cells { height: 1fr; }
    ExperimentScreen #heads { height: 1; }
    ExperimentScreen LineList { height: 1fr; min-height: 2; }
    ExperimentScreen #cell {
        height: auto; max-height: 55%; padding: 0 1; border-top: solid $foreground 30%; scrollbar-size-vertical: 1;
    }
    ExperimentScreen #cell Static { height: auto; }
    ExperimentScreen #results { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    ExperimentScreen LadderPlot { height: 16; margin: 0 0 1 0; }
    ExperimentScreen #message { height: auto; max-height: 4; padding: 0 1; background: $panel; display: none; }
    ExperimentScreen #message.-said { display: block; }
    """
    MARKS = LEGEND
    KEY_ORDER = (
        "experiment.left",
        "experiment.right",
        "list.open",
        "experiment.page_next",
        "experiment.down",
        "experiment.up",
        "experiment.take",
        "experiment.beside",
        "experiment.metric",
        "experiment.cancel",
        "experiment.resume",
        "experiment.live",
        "experiment.back",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "page(1)", "page", id="experiment.page_next", tooltip="Cells, then the tables of results"),
        Binding("shift+tab", "page(-1)", "page", id="experiment.page_previous", show=False, tooltip="Previous page"),
        Binding("h,left", "column(-1)", "cell", id="experiment.left", tooltip="Cell to the left"),
        Binding("l,right", "column(1)", "cell", id="experiment.right", tooltip="Cell to the right"),
        Binding("m", "metric", "figure", id="experiment.metric", tooltip="KL, shares of classes, or length in cells"),
        Binding("space", "take", "take", id="experiment.take", tooltip="Take the cell, or leave it, for side by side"),
        Binding("b", "beside", "side by side", id="experiment.beside", tooltip="The cells taken, side by side"),
        Binding("L", "live", "live", id="experiment.live", tooltip="Watch the stages of the cell's run"),
        Binding("j,down", "scroll(1)", "scroll", id="experiment.down", tooltip="Scroll down"),
        Binding("k,up", "scroll(-1)", "scroll", id="experiment.up", tooltip="Scroll up"),
        Binding("J,pagedown", "leaf(1)", "page down", id="experiment.page_down", show=False, tooltip="Scroll down"),
        Binding("K,pageup", "leaf(-1)", "page up", id="experiment.page_up", show=False, tooltip="Scroll up"),
        Binding("y", "copy", "copy", id="experiment.copy", show=False, tooltip="Copy the tables as JSON"),
    ]
    AUTO_FOCUS: ClassVar[str | None] = "LineList"

    def __init__(self, experiment: Experiment, *, clock: Callable[[], float] = time.time) -> None:
        """Raises UserError where the experiment's recipe can't be read."""
        super().__init__()
        self.experiment = experiment
        self.clock = clock
        self.matrix: Matrix = matrix_of(experiment.spec)
        self.metric = METRICS[0]
        self.page = CELLS
        self.column = 0
        self.taken: list[Spot] = []
        self._watch = ExperimentWatch(experiment)
        self.progress: ExperimentProgress = self._watch.poll()
        self._summaries: dict[tuple[str, str], ShiftSummary] = {}
        self._unread: dict[tuple[str, str], str] = {}
        self._told = TablesTold(self, self._tables_came)
        self._ladder_shown: object = None
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="pages", markup=False)
        yield Static(id="doing", markup=False)
        with Vertical(id="cells"):
            yield Static(id="heads", markup=False)
            yield LineList(self._line, len(self.matrix.rows), id="rows")
            with VerticalScroll(id="cell", can_focus=False):
                yield Static(id="cell-lines", markup=False)
        with VerticalScroll(id="results", can_focus=False):
            yield LadderPlot()
            yield Static(id="left-out", markup=False)
            yield TablesText(id="tables")
        yield Static(id="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._ask()
        self.draw()
        self.set_interval(poll_seconds(), self.look)

    def on_unmount(self) -> None:
        self._told.close()

    def on_resize(self, _: events.Resize) -> None:
        # Widths stand only after the layout.
        self.call_after_refresh(self.draw)

    def on_screen_resume(self) -> None:
        self.look()

    def look(self) -> None:
        """Takes in what the worker has written, without moving the user."""
        if not self.is_mounted or not self.is_current:
            return
        before, problem = self.progress, ""
        try:
            self.progress = self._watch.poll()
        except UserError as error:
            problem = str(error)
        if problem != self._problem:
            self._problem = problem
            self.say(problem, "$error")
        if self._cancelling and not self.progress.at_work:
            self._cancelling = False
            self.say("")
        if self.progress.done != before.done:
            self._ask()
        if self.progress != before or self.progress.at_work:
            self.draw()

    def _ask(self) -> None:
        """Has the tables counted, where there are models to count."""
        if self.progress.done:
            request = orjson.dumps({"experiment": str(self.experiment.path)}).decode()
            self._told.ask(request, self.progress.done)

    def _tables_came(self) -> None:
        # More may have been done while these were counted.
        self._ask()
        self.draw()

    def draw(self) -> None:
        """Brings the page up to date."""
        if not self.is_mounted:
            return
        width = max(10, self.app.size.width - 2)
        head = head_text(self.experiment.name, self.progress, self.clock(), cancelling=self._cancelling)
        self.query_one("#title", Static).update(head.truncate(width, ellipsis=True))
        pages = pages_of(self._told.tables)
        current = self.page if self.page in pages else CELLS
        self.query_one("#pages", Static).update(pages_text(pages, current, width))
        doing = self.query_one("#doing", Static)
        doing.display = self.progress.at_work or bool(self.progress.job == "failed" and self.progress.error)
        doing.update(doing_text(self.progress, width))
        on_cells = self.page == CELLS
        self.query_one("#cells").display = on_cells
        self.query_one("#results").display = not on_cells
        if on_cells:
            self._draw_cells(width)
        else:
            self._draw_results(width - 1)

    def _draw_cells(self, width: int) -> None:
        self.query_one("#heads", Static).update(heads_text(self.matrix, self._row_width(), self.column))
        lines = self.query_one(LineList)
        lines.border_title = ""
        lines.remake()
        spot = self.spot
        if spot is None:
            text = Content.styled("nothing is planned here", "$foreground-muted")
        else:
            run = run_progress(self.progress, spot)
            # Rows pool the seeds, and would tell of others in place of one that can't be read.
            tables = {} if (spot.planned.name, spot.label) in self._unread else self._told.tables
            problems = self._problems(run, spot.label)
            text = cell_lines(spot, run, cell_progress(run, spot), tables, problems, self.clock(), width - 1)
            if self._told.busy:
                text += Content.styled("\ncounting intervals …", "$foreground-muted")
        self.query_one("#cell-lines", Static).update(text)
        words = f"{METRIC_WORDS[self.metric]} in cells · m for others"
        self.query_one("#cell").border_title = Content(f" {words} ")

    def _row_width(self) -> int:
        return max(self.query_one(LineList).scrollable_content_region.width - 2, 10)

    def _draw_results(self, width: int) -> None:
        tables, left_out = page_tables(self._told.tables, self.page), self._told.left_out
        self._draw_ladder(tables)
        text, width = self.query_one(TablesText), max(20, width)
        gone = self.query_one("#left-out", Static)
        gone.display = bool(left_out)
        gone.update(left_out_text(left_out, width))
        if self._told.problem:
            text.say(self._told.problem, width, "$error")
        elif tables:
            text.show(list(tables.values()), width)
        else:
            nothing = "" if left_out else "No cell is done yet: there is nothing to tell."
            waiting = "counting …" if self._told.busy else nothing
            text.say(waiting, width)

    def _draw_ladder(self, tables: Mapping[str, Table]) -> None:
        shown = (self.app.size.height, [tables.get(name) for name in LADDERS])
        if shown == self._ladder_shown:
            # An experiment at work is drawn twice a second.
            return
        self._ladder_shown = shown
        plot = self.query_one(LadderPlot)
        plot.display = has_ladder(tables)
        plot.styles.height = max(8, min(18, self.app.size.height // 2))
        if plot.display:
            plot.show(tables)

    @property
    def spot(self) -> Spot | None:
        """The cell under the cursor."""
        row = self.query_one(LineList).cursor
        return self.matrix.rows[row].spots[self.column] if row < len(self.matrix.rows) else None

    def _line(self, position: int, width: int) -> Content:
        here = position == self.query_one(LineList).cursor
        return row_text(
            self.matrix, self.matrix.rows[position], width, (self.column, here), self._cell_text, self.taken
        )

    def _cell_text(self, spot: Spot) -> tuple[str, str]:
        """The state of a cell, and its figure where it is scored, else how far it is."""
        run = run_progress(self.progress, spot)
        cell = cell_progress(run, spot)
        state = state_of(run, cell)
        summary = self._summary(run, spot.label)
        if (spot.planned.name, spot.label) in self._unread:
            return "failed", "unreadable"
        return state, metric_text(self.metric, summary) if summary is not None else short_progress(cell)

    def _summary(self, run: RunProgress | None, label: str) -> ShiftSummary | None:
        cell = cell_of(run, label)
        if run is None or cell is None:
            return None
        key = (run.planned.name, label)
        if key not in self._summaries and key not in self._unread:
            (cell,) = checked([cell], check_scores)
            if cell.problem:
                # Once: a file that is broken now is broken at the next look, too.
                self._unread[key] = cell.problem
                self.app.notify(visible_line(cell.problem), severity="error", markup=False)
            elif cell.scored:
                self._summaries[key] = cell.run.summary(label)
        return self._summaries.get(key)

    def _problems(self, run: RunProgress | None, label: str) -> list[str]:
        """Why a cell, or some of its figures, can't be told."""
        cell = cell_of(run, label)
        if run is None or cell is None:
            return []
        told = [one.problem for one in self._told.left_out if one.concerns(cell.run.path, label)]
        unread = self._unread.get((run.planned.name, label))
        return list(dict.fromkeys([*([unread] if unread else []), *told]))

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """What concerns a cell is offered where cells are shown."""
        if action in ("column", "metric", "take", "beside", "live"):
            return self.page == CELLS
        return self.page != CELLS if action == "scroll" else True

    def on_line_list_moved(self) -> None:
        self._asked_cancel = False
        self.draw()

    def on_line_list_opened(self, _: LineList.Opened) -> None:
        spot = self.spot
        run = run_progress(self.progress, spot) if spot else None
        if spot is None or run is None or run.run is None:
            self.say("This cell is not begun yet: there is nothing to open.")
        else:
            navigator(self).open_run(run.run.path, spot.label)

    def action_column(self, by: int) -> None:
        self.column = max(0, min(self.column + by, len(self.matrix.columns) - 1))
        self.draw()

    def action_metric(self) -> None:
        self.metric = METRICS[(METRICS.index(self.metric) + 1) % len(METRICS)]
        self.draw()

    def action_page(self, by: int) -> None:
        pages = pages_of(self._told.tables)
        place = pages.index(self.page) if self.page in pages else 0
        self.page = pages[(place + by) % len(pages)]
        self.query_one("#results").scroll_home(animate=False)
        self.refresh_bindings()
        self.set_focus(self.query_one(LineList) if self.page == CELLS else None)
        self.draw()
        self.call_after_refresh(self.draw)

    def action_scroll(self, by: int) -> None:
        self.query_one("#results").scroll_relative(y=by, animate=False)

    def action_leaf(self, direction: int) -> None:
        box = self.query_one("#cell" if self.page == CELLS else "#results")
        box.scroll_relative(y=direction * max(1, box.size.height - 2), animate=False)

    def action_take(self) -> None:
        spot = self.spot
        if spot is None:
            return
        if spot in self.taken:
            self.taken.remove(spot)
        elif len(self.taken) == MOST:
            say(self.app, f"{MOST} models stand side by side at most; leave one with space first")
        else:
            self.taken.append(spot)
        self.draw()

    def action_beside(self) -> None:
        cells = self._chosen_cells()
        if not cells:
            self.say("This cell is not begun yet: there is nothing to show side by side.")
            return
        show_beside(self, lambda: Beside(cells), reference=self.experiment.spec.reference)

    def _chosen_cells(self) -> list[Cell]:
        """The cells that were taken; without any, the base model and the tuned ones of the run at the cursor."""
        if self.taken:
            found = [cell_of(run_progress(self.progress, spot), spot.label) for spot in self.taken]
        else:
            spot = self.spot
            run = run_progress(self.progress, spot) if spot else None
            labels = [spot.label, *(cell.label for cell in run.cells)] if spot and run else []
            chosen = list(dict.fromkeys([*labels[:1], BASE, *labels]))[:MOST]
            found = [cell_of(run, label) for label in labels[1:] if label in chosen]
        return [cell for cell in found if cell is not None]

    def action_live(self) -> None:
        spot = self.spot
        run = run_progress(self.progress, spot) if spot else None
        if run is None or run.run is None:
            self.say("The run of this cell is not begun yet.")
        else:
            navigator(self).open_live(run.run.path)

    def action_copy(self) -> None:
        tables = page_tables(self._told.tables, self.page) or self._told.tables
        with told(self.app):
            document = [table.to_json() for table in tables.values()]
            path = clipboard.copy(self.app, orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
            say(self.app, f"copied {len(document)} tables as JSON, also to {path}")
