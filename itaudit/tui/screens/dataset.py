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
from itaudit.errors import UserError
from itaudit.trace.types import Evidence
from itaudit.tui.clipboard import copy
from itaudit.tui.dataset_growing import GrowingDataset
from itaudit.tui.dataset_lines import LEGEND, edited_rows
from itaudit.tui.dataset_title import dataset_title
from itaudit.tui.dataset_view import SHOWN, Shown
from itaudit.tui.edited_text import row_text
from itaudit.tui.instance_text import InstanceText, instance_json
from itaudit.tui.listing import Listing
from itaudit.tui.screens.rejected import RejectedScreen
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.reading_pane import ReadingPane

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

# Below 100 columns panels stand below each other or take turns; so they do where there are few lines.
WIDTHS = [(0, "-narrow"), (100, "-wide")]
HEIGHTS = [(0, "-short"), (16, "-high")]


class DatasetScreen(GrowingDataset):
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
        super().__init__(source, index=index, version=version, clock=clock)
        self.highlights = tuple(highlights)
        self.shown: Shown = "edited"
        self._read: tuple[object, ...] = ()
        self._header = Content()

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
        self.lines.rows = edited_rows(self.edited)
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
            self.paint_title()
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
        self.paint_title()
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

    def paint_title(self) -> None:
        title = dataset_title(self, self.feed, max(1, self.size.width - 2))
        self.query_one("#title", Static).update(title, layout=False)

    def _line(self, line: int, width: int) -> Content:
        assert self.lines is not None
        position = self.listing.position(line)
        return Content() if position is None else self.lines.line(position, width)
