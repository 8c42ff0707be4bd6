"""The dataset screen while its source is read: rows come in, and the list, its filter and its search keep up."""

from collections.abc import Callable
from pathlib import Path

from textual.content import Content
from textual.widgets import Static

from itaudit.data.cache import Cached
from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset
from itaudit.data.versions import overlay_of
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.tui.dataset_lines import DatasetLines, edited_rows
from itaudit.tui.dataset_searching import SearchActions
from itaudit.tui.dataset_selecting import SelectActions
from itaudit.tui.feed import Feed, InMemory
from itaudit.tui.pace import repaint_seconds
from itaudit.tui.recent import RecentDataset, remember_dataset
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.workshop_actions import Workshop
from itaudit.units import duration_text, size_text


class GrowingDataset(SelectActions, SearchActions, Workshop):
    """Takes in the rows of `source`, and goes to the source row `index` once it is there."""

    def __init__(
        self, source: Dataset | Path | Cached, *, index: int | None, version: str, clock: Callable[[], float]
    ) -> None:
        super().__init__()
        self.source = source
        self.version = version
        self.index = index
        self.clock = clock
        self._sought = index
        self._begun = clock()

    def paint_title(self) -> None:
        """Brings the title up to date."""
        raise NotImplementedError

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
            self.paint_title()
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
            self.lines.rows = edited_rows(self.edited)
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
        self.lines = DatasetLines(self.edited, rows=edited_rows(self.edited), chosen=self.chosen_columns())
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
