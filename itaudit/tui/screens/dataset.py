"""A dataset: its instances as a list that fills while they are read, and the one under the cursor to read."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from itaudit.data.cache import Cached
from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset, EditedRow
from itaudit.data.versions import overlay_of
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.trace.types import Evidence
from itaudit.tui.clipboard import copy
from itaudit.tui.dataset_lines import LEGEND, DatasetLines
from itaudit.tui.dataset_searching import SearchActions
from itaudit.tui.dataset_selecting import SelectActions
from itaudit.tui.dataset_title import dataset_title
from itaudit.tui.dataset_view import SHOWN, Shown
from itaudit.tui.edited_text import row_text
from itaudit.tui.feed import Feed, InMemory
from itaudit.tui.instance_text import InstanceText, instance_json
from itaudit.tui.listing import Listing
from itaudit.tui.pace import repaint_seconds
from itaudit.tui.recent import RecentDataset, remember_dataset
from itaudit.tui.screens.rejected import RejectedScreen
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.reading_pane import ReadingPane
from itaudit.tui.workshop_actions import Workshop
from itaudit.units import duration_text, size_text

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

# Below 100 columns panels stand below each other or take turns; so they do where there are few lines.
WIDTHS = [(0, "-narrow"), (100, "-wide")]
HEIGHTS = [(0, "-short"), (16, "-high")]


class DatasetScreen(SelectActions, SearchActions, Workshop):
    """Shows a dataset, or a source while it is still read; `index` is the source row to stand on."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    CSS_PATH = "dataset.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("exclamation_mark", "rejected", "rejected", id="dataset.rejected", tooltip="Rows that were rejected"),
        Binding("y", "copy", "copy", id="dataset.copy", tooltip="Copy the instance as JSON"),
        Binding("tab", "switch", "list/text", id="dataset.switch", tooltip="From the list to the text and back"),
        Binding("J,shift+down", "read(1)", "scroll text down", id="dataset.read_down", show=False),
        Binding("K,shift+up", "read(-1)", "scroll text up", id="dataset.read_up", show=False),
        Binding("equals_sign", "shown", "original", id="dataset.shown", tooltip="As edited, original, difference"),
        Binding("escape", "back", "back", id="dataset.back"),
    ]
    MARKS = LEGEND
    KEY_ORDER = (
        "dataset.search",
        "dataset.filter",
        "dataset.sort",
        "dataset.facets",
        "dataset.simplify",
        "dataset.edit",
        "dataset.undo",
        "dataset.delete",
        "dataset.tags",
        "dataset.export",
        "dataset.statistics",
        "dataset.ask",
        "dataset.jump",
        "dataset.columns",
        "dataset.batch",
        "dataset.review",
        "dataset.log",
    )

    def __init__(
        self,
        source: Dataset | Path | Cached,
        *,
        index: int | None = None,
        highlights: Sequence[Evidence] = (),
        version: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.source = source
        self.version = version
        self.index = index
        self.highlights = tuple(highlights)
        self.clock = clock
        self.shown: Shown = "edited"
        self._sought = index
        self._read: tuple[object, ...] = ()
        self._header = Content()
        self._begun = clock()

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="loading", markup=False)
        with Horizontal(id="body"):
            with Vertical(id="list"):
                yield Static(id="columns", markup=False)
                # Told by a call: a message would come too late for both to be painted at once.
                yield LineList(self._line, moved=self._paint, id="instances")
            yield ReadingPane(id="reading")
        yield PromptLine(id="prompt")
        yield KeyBar()

    def on_mount(self) -> None:
        source = self.source
        self.feed = (
            InMemory(source, self)
            if isinstance(source, Dataset)
            else Cached.open(source)
            if isinstance(source, Path)
            else source
        )
        self.query_one("#body").display = False
        self._ticking = self.set_interval(repaint_seconds(), self._poll)
        self._poll(first=True)

    def on_unmount(self) -> None:
        self.close_ranker()
        self.stop_looking()
        if self.feed is not None:
            self.feed.close()

    def _poll(self, first: bool = False) -> None:
        """Takes in the rows that came since, and keeps the list up with them."""
        feed = self.feed
        # A dataset must not grow under a selection that is being made in it.
        if feed is None or self.selecting:
            return
        came = feed.poll()
        if came or (first and feed.dataset is not None):
            self._take_rows(feed)
        self.keep_up()
        if self.edited is None:
            self._paint_loading(feed)
        elif not self.complete or came:
            self._paint_title()
        if (feed.complete or feed.problem) and self.complete and feed.measures is not None:
            self._ticking.stop()

    def _take_rows(self, feed: Feed) -> None:
        dataset = feed.dataset
        if feed.problem and dataset is not None:
            self.tell(f"{feed.problem} Only the rows up to there are shown.", "$error")
        if feed.warning:
            self.tell(feed.warning, "$warning")
        if dataset is None:
            return
        newly = set()
        if self.edited is None:
            if not self._begin(dataset):
                return
        else:
            newly = self.edited.grow(dataset)
        assert self.edited is not None and self.lines is not None
        columns = self.lines.available()
        self.measures = self.lines.measures = feed.measures
        if newly:
            self.lines.rows = _with_edits(self.edited)
        just_now = feed.complete and not self.complete
        self.complete = feed.complete or bool(feed.problem)
        self.rows_came()
        if self.lines.available() != columns:
            self.repaint()
        self.search_on()
        self.seek_index()
        if just_now:
            self.rows_are_complete()
        if just_now and not isinstance(self.source, Dataset):
            remember_dataset(RecentDataset(dataset.path, dataset.format, len(dataset), self.clock()))
        if just_now and self.sort:
            self.tell(f"All {len(dataset):,} instances are sorted.")

    def _begin(self, dataset: Dataset) -> bool:
        """Shows the first rows; False where the edits can't be read."""
        try:
            self.edited = EditedDataset(dataset, overlay_of(dataset.path, self.version))
        except UserError as error:
            self.query_one("#loading", Static).update(Content.styled(visible_line(str(error)), "$error"))
            self._ticking.stop()
            return False
        self.lines = DatasetLines(self.edited, rows=_with_edits(self.edited), chosen=self.chosen_columns())
        self.query_one("#loading").display = False
        self.query_one("#body").display = True
        self.query_one(LineList).focus()
        return True

    def seek_index(self) -> None:
        """Goes to the row that was asked for, once it is there."""
        if self._sought is None or self.edited is None:
            return
        sought = self._sought
        if self.go_to_index(sought):
            self._sought = None
        elif self.complete:
            self._sought = None
            self.tell(f"Row {sought} is not in this dataset.", "$error")

    def _paint_loading(self, feed: Feed) -> None:
        path = Path(feed.source)
        self.query_one("#title", Static).update(Content.styled(visible_line(path.name), "bold"))
        if feed.problem:
            self.query_one("#loading", Static).update(Content.styled(visible_line(feed.problem), "$error"))
            self._ticking.stop()
            return
        try:
            size = f", {size_text(path.stat().st_size)}" if path.is_file() else ""
        except OSError:
            size = ""
        waited = self.clock() - self._begun
        words = f"Reading {visible_line(feed.source)}{size} … {duration_text(waited) if waited >= 1 else ''}"
        self.query_one("#loading", Static).update(Content.styled(words, "$foreground-muted"))

    def position(self) -> int | None:
        return self.listing.position(self.query_one(LineList).cursor)

    def stand_on(self, position: int) -> bool:
        line = self.listing.line(position)
        if line is not None:
            self.query_one(LineList).stand_on(line)
        return line is not None

    def changed(self, positions: set[int]) -> None:
        if self.edited is None or self.lines is None:
            return
        self.lines.rows = _with_edits(self.edited)
        self.search_again(positions)
        if self.selects:
            self.reselect()
        self.repaint()

    def tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)

    def show_listing(self, listing: Listing, *, top: bool = False) -> None:
        lines = self.query_one(LineList)
        here = self.position()
        before, self.listing = self.listing, listing
        same_order = before.ascending and listing.ascending and not (self.selects or self.ranking or self.grouping)
        if same_order and len(before) and len(str(len(before))) == len(str(len(listing))):
            lines.grow(len(listing))
            self._paint_title()
            return
        below = lines.cursor - lines.scroll_offset.y
        lines.show(len(listing))
        if top or here is None:
            lines.stand_on(0, below=0)
        else:
            lines.stand_on(listing.nearest_line(here), below=below)
        self.repaint()

    def repaint(self) -> None:
        if self.lines is not None:
            self.lines.found, self.lines.grouped = self.found, self.grouped
            self.lines.copies = self.copies
            self.lines.patterns = [*self._filter_patterns(), *(("", pattern) for pattern in self._patterns())]
            self.lines.scores = None if self.ranking is None else self.ranking.scores
        self.query_one(LineList).remake()
        self._paint()

    def on_resize(self) -> None:
        self.call_after_refresh(self._paint)

    def on_line_list_opened(self) -> None:
        self.action_switch()

    @on(PromptLine.Answered)
    @on(PromptLine.Cancelled)
    def _to_list(self) -> None:
        # A question that is asked again keeps the focus.
        if not self.query_one(PromptLine).question:
            self.query_one(LineList).focus()

    def action_back(self) -> None:
        prompt = self.query_one(PromptLine)
        if prompt.question:
            prompt.action_cancel()
        elif self.query_one(ReadingPane).has_focus:
            self.action_switch()
        elif self.pattern:
            self.search("")
            self.tell("")
        elif self.ranking is not None:
            self.stop_asking()
            self.tell("")
        elif self.grouping:
            self.stop_grouping()
            self.tell("")
        elif self.selection_text:
            self.select("")
            self.tell("")
        else:
            self.app.pop_screen()

    def show_all(self) -> None:
        self.ranking, self.grouping = None, False
        self.select("")

    def action_switch(self) -> None:
        """From the list to the text and back; where there is room for one only, that one is shown."""
        if self.edited is None:
            return
        lines, reading = self.query_one(LineList), self.query_one(ReadingPane)
        to_text = not reading.has_focus
        self.set_class(to_text, "-reading")
        (reading if to_text else lines).focus()

    def action_read(self, step: int) -> None:
        self.query_one(ReadingPane).scroll_relative(y=3 * step, animate=False)

    def action_shown(self) -> None:
        """From an instance as edited to its original, to what was changed, and back."""
        position = self.position()
        if self.edited is None or position is None:
            return
        if not self.edited.row(position).changed:
            self.tell("Nothing in this instance was changed.")
            return
        self.shown = SHOWN[(SHOWN.index(self.shown) + 1) % len(SHOWN)]
        self._paint()

    def action_rejected(self) -> None:
        if self.edited is None:
            return
        if not self.edited.source.rejected:
            self.tell("No row was rejected." if self.complete else "No row was rejected so far.")
        else:
            self.app.push_screen(RejectedScreen(self.edited.source.rejected))

    def action_copy(self) -> None:
        position = self.position()
        if self.edited is None or position is None:
            return
        instance = self.edited[position]
        try:
            path = copy(self.app, instance_json(instance))
        except UserError as error:
            self.tell(str(error), "$error")
        else:
            self.tell(f"Copied row {instance.index} to the clipboard, and to {path}.")

    def _paint(self) -> None:
        """The title, the names of the columns, and the instance under the cursor."""
        if self.edited is None or self.lines is None:
            return
        self._paint_title()
        width = self.query_one(LineList).scrollable_content_region.width - 2
        header = self.lines.header(max(1, width), self.sort)
        if header != self._header:
            self._header = header
            self.query_one("#columns", Static).update(header, layout=False)
        reading = self._reading()
        # What is shown again, because rows came or an edit was made, stays where its reader is.
        read = (self.position(), self.shown, reading.focus)
        self.query_one(ReadingPane).show(reading.content, reading.focus, keep=read == self._read)
        self._read = read

    def _reading(self) -> InstanceText:
        assert self.edited is not None
        position = self.position()
        if position is None:
            words = "This dataset has no instances; ! says why."
            if len(self.edited):
                words = "No instance passes the filter; escape clears it."
            return InstanceText(Content.styled(words, "$foreground-muted"), None)
        row = self.edited.row(position)
        patterns = [*self._patterns(), *(pattern for _, pattern in self._filter_patterns())]
        return row_text(
            row,
            self.shown,
            self.highlights if row.source.index == self.index else (),
            patterns,
            before=self.score_text(position) or self.group_text(position),
        )

    def _filter_patterns(self) -> "Sequence[tuple[str, Pattern]]":
        return self.filter.patterns if self.filter is not None else ()

    def _patterns(self) -> "list[Pattern]":
        """What the search and the question look for."""
        return [*([self.pattern] if self.pattern else []), *(self.question_patterns if self.ranking else [])]

    def _paint_title(self) -> None:
        title = dataset_title(self, self.feed, max(1, self.size.width - 2))
        self.query_one("#title", Static).update(title, layout=False)

    def _line(self, line: int, width: int) -> Content:
        assert self.lines is not None
        position = self.listing.position(line)
        return Content() if position is None else self.lines.line(position, width)


def _with_edits(edited: EditedDataset) -> dict[int, EditedRow]:
    """The instances that edits say anything of, those that were all taken back left out."""
    return {position: row for position, row in edited.edited_positions().items() if row.edits or row.conflicts}
