"""What the dataset screen lists: filter, sort and columns, chosen as one goes."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from textual import on
from textual.binding import Binding, BindingType
from textual.timer import Timer

from itaudit.data.cache import Cached
from itaudit.errors import UserError
from itaudit.tui.background import Background
from itaudit.tui.config import read_config, write_config
from itaudit.tui.dataset_asking import AskActions
from itaudit.tui.dataset_duplicates import DuplicateActions
from itaudit.tui.dataset_lines import DEFAULT, DEFAULT_TASKS
from itaudit.tui.listing import Listing, Positions
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine

if TYPE_CHECKING:
    from itaudit.data.filters import Filter

_FILTER = "filter"
HINT = 'words>300  category:x,y  row:10-20  edited  -deleted  tag:x  "some text"  response~/regex/'
_TYPING = 0.15
"""Seconds without a key after which a filter that is being typed is tried."""
_SHOWN = 0.25
"""Seconds after which what a selection found so far is listed."""
_ONE = threading.Lock()
_AGAIN = 0.5
"""Seconds at least between two selections while rows stream in."""


class SelectActions(AskActions, DuplicateActions):
    """`f`, `o` and `F`: which instances are listed, and in which order."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter", "filter", id="dataset.filter", tooltip="Filter the instances"),
        Binding("o", "sort", "sort", id="dataset.sort", tooltip="Sort by a column"),
        Binding("F", "facets", "facets", id="dataset.facets", tooltip="Values of the columns, with counts"),
        Binding("S", "statistics", "statistics", id="dataset.statistics", tooltip="Statistics of what is listed"),
        Binding("c", "columns", "columns", id="dataset.columns", tooltip="Choose the columns"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.filter: Filter | None = None
        self._making: Background[Listing] = Background(self)
        self._selected_at = 0.0
        self._took = 0.0
        self._stale = False
        self._to_top = False
        self._kept = ""
        self._selected = Listing.whole(0)
        self._was_on: int | None = None
        self._home: int | None = None
        self._typing: Timer | None = None

    @property
    def selects(self) -> bool:
        """Whether the list is anything else than the dataset in its order."""
        return bool(self.filter or self.sort)

    @property
    def selecting(self) -> bool:
        """Whether a selection is being made; the dataset must not grow under it."""
        return self._making.busy

    def select(self, text: str | None = None, sort: str | None = None) -> None:
        """Lists what a filter leaves, sorted; None keeps what is. Raises UserError for a filter that is none."""
        if text is not None:
            from itaudit.data.filters import parse_filter

            self.filter = parse_filter(text) or None
            self.selection_text = text.strip()
        if sort is not None:
            self.ranking, self.grouping = None, False
            self._to_top = self._to_top or sort != self.sort
            self.sort = sort
        self.reselect()

    def reselect(self) -> None:
        """Selects anew: the filter, the sort or the data have changed."""
        edited, measures = self.edited, self.measures
        if edited is None:
            return
        self._stale = False
        if not self.selects or measures is None:
            self._making.cancel()
            self._take(Listing.whole(len(edited)))
            return
        filter, sort = self.filter, self.sort
        matched = np.flatnonzero(self.found)
        if filter is not None and filter.asks_for("duplicate") and not self.grouped_known:
            # What is selected then is known when they are found.
            if self.complete:
                self.look_for_duplicates(show=False)
            else:
                self.tell("Duplicates are looked for once all rows are read.")
            return
        duplicates = self.copies if self.grouped_known else None
        started = told = time.monotonic()

        def work(report: Callable[[Listing], None]) -> None:
            from itaudit.data.selection import Filter, select

            so_far: list[Positions] = []

            def progress(_: int, positions: Positions) -> None:
                nonlocal told
                so_far.append(positions)
                if not sort and time.monotonic() - told > _SHOWN:
                    told = time.monotonic()
                    report(Listing(np.concatenate(so_far)))

            # One that was cancelled may not have noticed yet, and what is kept of the edits is shared.
            with _ONE:
                positions = select(
                    edited,
                    measures,
                    filter or Filter(),
                    sort or None,
                    matched=matched,
                    duplicates=duplicates,
                    progress=progress,
                )
            self._took = time.monotonic() - started
            report(Listing(positions, ascending=not sort))

        self._making.start(work, self._take, fail=self._failed, done=self._count)
        prompt = self.query_one(PromptLine)
        if prompt.question == _FILTER:
            prompt.hint("counting …")

    def rows_came(self) -> None:
        """More rows are there: a list that is not filtered has them at once, another one in a moment."""
        self._stale = True
        self.keep_up()

    def keep_up(self) -> None:
        """Selects anew if it is time to."""
        if not self._stale or self._making.busy:
            return
        if not self.selects or self.complete or time.monotonic() - self._selected_at > max(_AGAIN, 4 * self._took):
            self.reselect()

    def _take(self, listing: Listing) -> None:
        self._selected_at = time.monotonic()
        top, self._to_top = self._to_top, False
        self._selected = listing
        self.relist(top=top)
        if self._home is not None and self.stand_on(self._home):
            self._home = None
        self._count()

    def relist(self, *, top: bool = False) -> None:
        """Lists anew what is selected, as a ranking has it if there is one."""
        self.show_listing(self.ranked(self.in_groups(self._selected)), top=top)

    def _count(self) -> None:
        """Says how many instances a filter leaves while it is typed."""
        prompt = self.query_one(PromptLine)
        if prompt.question == _FILTER and self.edited is not None:
            far = " so far" if self._making.busy else ""
            counted = f"{len(self._selected):,} of {len(self.edited):,} instances{far}"
            prompt.hint(counted if self.filter else HINT)

    def _failed(self, text: str) -> None:
        """A filter that reads well and can't be carried out, such as one by a column that isn't there."""
        prompt = self.query_one(PromptLine)
        if prompt.question == _FILTER:
            prompt.hint(text, "$error")
        else:
            self.tell(text, "$error")

    def action_filter(self) -> None:
        if self.edited is not None:
            self._kept, self._was_on = self.selection_text, self.position()
            self.query_one(PromptLine).ask(_FILTER, "filter:", answer=self.selection_text, hint=HINT, replace=False)

    def _try(self, text: str) -> bool:
        """Filters by what is typed so far; what is wrong with it is said below."""
        try:
            self.select(text)
        except UserError as error:
            self.query_one(PromptLine).hint(str(error), "$error")
            return False
        return True

    @on(PromptLine.Typed)
    def _filter_typed(self, message: PromptLine.Typed) -> None:
        if message.question == _FILTER:
            if self._typing is not None:
                self._typing.stop()
            self._typing = self.set_timer(_TYPING, lambda: self._try_typed(message.answer))

    def _try_typed(self, text: str) -> None:
        # Answered or closed meanwhile, it is no longer a question.
        if self.query_one(PromptLine).question == _FILTER:
            self._try(text)

    @on(PromptLine.Answered)
    def _filter_answered(self, message: PromptLine.Answered) -> None:
        if message.question != _FILTER:
            return
        try:
            self.select(message.answer)
        except UserError as error:
            self.query_one(PromptLine).ask(_FILTER, "filter:", answer=message.answer, replace=False)
            self.query_one(PromptLine).hint(str(error), "$error")

    @on(PromptLine.Cancelled)
    def _filter_cancelled(self, message: PromptLine.Cancelled) -> None:
        if message.question == _FILTER:
            self._home = self._was_on
            self.select(self._kept)

    def add_term(self, term: str) -> None:
        """Narrows the filter by one more term."""
        self.select(f"{self.selection_text} {term}".strip())
        self.query_one(LineList).focus()

    def action_sort(self) -> None:
        if self.lines is None:
            return
        from itaudit.tui.screens.sort import SortScreen

        self.app.push_screen(SortScreen(self.lines.sortable(), self.sort), self._sort_chosen)

    def _sort_chosen(self, sort: str | None) -> None:
        if sort is None:
            return
        self.select(sort=sort)
        if sort and not self.complete:
            self.tell("Sorted as far as the rows are read; the others find their place as they come.")

    def action_facets(self) -> None:
        if self.edited is None or self.measures is None:
            return
        from itaudit.tui.screens.facets import FacetsScreen

        def chosen(term: str | None) -> None:
            if term:
                self.add_term(term)

        self.app.push_screen(FacetsScreen(self.edited, self.measures, self.view), chosen)

    def action_columns(self) -> None:
        if self.lines is None:
            return
        from itaudit.tui.screens.columns import ColumnsScreen

        self.app.push_screen(ColumnsScreen(self.lines.available(), list(self.lines.chosen)), self.columns_chosen)

    def chosen_columns(self) -> Sequence[str]:
        """The columns that the user chose, or the usual ones."""
        usual = DEFAULT_TASKS if self.edited is not None and self.edited.source.tasks else DEFAULT
        try:
            names = read_config().get("columns")
        except UserError as error:
            self.tell(str(error), "$error")
            return usual
        if names is None:
            return usual
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return names
        self.tell("config.toml: columns: expected a list of names; showing the usual ones", "$error")
        return usual

    def columns_chosen(self, names: list[str] | None) -> None:
        """Shows other columns, and keeps the choice."""
        if self.lines is None or names is None or names == list(self.lines.chosen):
            return
        self.lines.chosen = names or DEFAULT
        self.repaint()
        try:
            write_config({"columns": list(self.lines.chosen)})
        except UserError as error:
            self.tell(str(error), "$error")

    def action_statistics(self) -> None:
        """Counts what is listed: in a process of its own where that can find out what is listed, else in a thread."""
        edited, measures, feed = self.edited, self.measures, self.feed
        if edited is None or measures is None or feed is None:
            return
        if not self.complete:
            self.tell("Statistics count all rows; some are still being read.")
            return
        from itaudit.data.compute import compute_statistics
        from itaudit.data.statistics import Statistics, statistics_of
        from itaudit.tui.counting import Counting
        from itaudit.tui.screens.statistics import StatisticsScreen

        filter, positions = self.filter, np.sort(self.view)
        # What a search, a question or a look for duplicates found is known here alone.
        own = filter is not None and (filter.asks_for("matched") or filter.asks_for("duplicate"))
        elsewhere = not (own or self.ranking or self.grouping)
        copies = len(np.intersect1d(self.copies, positions)) if self.grouped_known else None

        def count(tell: Callable[[float], None]) -> Statistics:
            total = max(1, len(edited))
            return statistics_of(
                edited, measures, positions, duplicates=copies, progress=lambda reached: tell(reached / total)
            )

        def start(counting: Counting[Statistics]) -> None:
            if isinstance(feed, Cached) and elsewhere:
                counting.start_child(compute_statistics(self.source_name(), filter=self.selection_text))
            else:
                counting.start_thread(count)

        name = Path(edited.source.path).name
        self.app.push_screen(StatisticsScreen(f"{name}, {self._selection_words()}", start))

    def _selection_words(self) -> str:
        if self.ranking is not None:
            return f"the best for {self.ranking.question!r}"
        if self.grouping:
            return "what has duplicates"
        return f"filter: {self.selection_text}" if self.selection_text else "all instances"
