"""The statistics of a dataset, or of what its filter shows: lengths, openings, formats, languages, columns."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import orjson
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from itaudit.data.statistics import Statistics
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.tui.clipboard import copy
from itaudit.tui.counting import Counting
from itaudit.tui.layout import bar
from itaudit.tui.statistics_text import NAMES, bars_text, quantiles_text, summary_text
from itaudit.tui.telling import say
from itaudit.tui.widgets.histogram import Histogram
from itaudit.tui.widgets.key_bar import KeyBar

PAGES = ("lengths", "openings", "formats", "languages", "columns")
_TWO = 120
"""Columns from which two cards stand side by side."""


class Bars(Static):
    """Values with bars as wide as there is room."""

    def __init__(self, pairs: list[tuple[object, int]], total: int) -> None:
        super().__init__(markup=False)
        self.pairs = pairs
        self.total = total

    def on_resize(self) -> None:
        self.update(bars_text(self.pairs, self.total, max(20, self.size.width)))


class StatisticsScreen(Screen[None]):
    """Shows what `start` has counted; it is given the counting, and closed with it."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_TWO, "-wide")]
    CSS = """
    StatisticsScreen { layout: vertical; background: $background; }
    StatisticsScreen #title, StatisticsScreen #pages { height: 1; padding: 0 1; }
    StatisticsScreen #title { background: $panel; }
    StatisticsScreen #summary { height: auto; padding: 0 1; color: $foreground-muted; }
    StatisticsScreen #page { height: 1fr; scrollbar-size-vertical: 1; layout: grid; grid-size: 1; grid-rows: auto; }
    StatisticsScreen.-wide #page { grid-size: 2; }
    StatisticsScreen .card {
        height: auto; padding: 0 1; border-top: solid $panel; border-title-color: $primary; border-title-style: bold;
    }
    StatisticsScreen .plot { height: 14; }
    StatisticsScreen .plot Histogram { width: 1fr; min-width: 12; height: 13; }
    StatisticsScreen .numbers { width: auto; max-width: 40%; padding: 1 0 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"page({number - 1})", "page", id=f"statistics.page-{number}", tooltip=name)
            for number, name in enumerate(PAGES, 1)
        ),
        Binding("l,right,tab", "turn(1)", "next page", id="statistics.next"),
        Binding("h,left,shift+tab", "turn(-1)", "previous page", id="statistics.previous", show=False),
        Binding("j,down", "scroll(3)", "down", id="statistics.down", show=False),
        Binding("k,up", "scroll(-3)", "up", id="statistics.up", show=False),
        Binding("pagedown,space", "leaf(1)", "page down", id="statistics.page_down", show=False),
        Binding("pageup", "leaf(-1)", "page up", id="statistics.page_up", show=False),
        Binding("y", "copy", "copy", id="statistics.copy", tooltip="Copy the numbers as JSON"),
        Binding("escape", "back", "back", id="statistics.back"),
    ]

    def __init__(self, name: str, start: Callable[[Counting[Statistics]], None]) -> None:
        super().__init__()
        self.of = name
        self.statistics: Statistics | None = None
        self.page = 0
        self._start = start
        self._counting: Counting[Statistics] = Counting(self, self._take, fail=self._fail, tell=self._tell)

    def compose(self) -> ComposeResult:
        yield Static(Content(visible_line(f"statistics of {self.of}")), id="title")
        yield Static(id="pages", markup=False)
        yield Static(id="summary", markup=False)
        yield VerticalScroll(id="page", can_focus=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._start(self._counting)

    def on_unmount(self) -> None:
        self._counting.close()

    def _tell(self, share: float) -> None:
        words = f"counting  {bar(share, 24)}  {100 * share:.0f} %"
        self.query_one("#summary", Static).update(Content.styled(words, "$foreground-muted"))

    def _fail(self, problem: str) -> None:
        self.query_one("#summary", Static).update(Content.styled(visible_line(problem), "$error"))

    def _take(self, statistics: Statistics) -> None:
        self.statistics = statistics
        self.query_one("#summary", Static).update(summary_text(statistics))
        self.call_later(self._show)

    async def _show(self) -> None:
        """The cards of the page, in place of those of the last."""
        pages = [
            Content.styled(f" {number} {name} ", "reverse" if number - 1 == self.page else "$foreground-muted")
            for number, name in enumerate(PAGES, 1)
        ]
        self.query_one("#pages", Static).update(Content(" ").join(pages))
        if self.statistics is None:
            return
        page = self.query_one("#page", VerticalScroll)
        with self.app.batch_update():
            await page.remove_children()
            await page.mount_all(list(self._cards(self.statistics)))
        page.scroll_home(animate=False)

    def _cards(self, statistics: Statistics) -> Iterator[Widget]:
        total = statistics.instances
        match PAGES[self.page]:
            case "lengths":
                known = [name for name in NAMES if name in statistics.lengths]
                for name in (*known, *(name for name in statistics.lengths if name not in known)):
                    distribution = statistics.lengths[name]
                    if name == "turns" and distribution.maximum <= 1:
                        continue
                    title, unit = NAMES.get(name, (name, ""))
                    numbers = Static(quantiles_text(distribution), classes="numbers", markup=False)
                    yield _card(title, Horizontal(Histogram(distribution, unit), numbers, classes="plot"))
            case "openings":
                for words in ("3", "2", "4", "1"):
                    if words in statistics.openings:
                        title = f"how responses begin: {words} {'word' if words == '1' else 'words'}"
                        yield _card(title, Bars(list(statistics.openings[words]), total))
            case "formats":
                formats = sorted(statistics.formats.items(), key=lambda pair: -pair[1])
                yield _card("what responses are set in", Bars(list(formats), total))
            case "languages":
                title = f"languages of the responses, in a sample of {statistics.language_sample:,}"
                yield _card(title, Bars(list(statistics.languages), statistics.language_sample))
            case "columns":
                for name, column in statistics.columns.items():
                    missing: list[tuple[object, int]] = [(None, column.missing)] if column.missing else []
                    more = f", the most frequent of {column.distinct:,}" if column.distinct > len(column.values) else ""
                    yield _card(f"{name}{more}", Bars([*column.values, *missing], total))
                if not statistics.columns:
                    yield Static("The source has no columns beside its texts.", classes="card", markup=False)

    async def action_page(self, number: int) -> None:
        self.page = number
        await self._show()

    async def action_turn(self, step: int) -> None:
        self.page = (self.page + step) % len(PAGES)
        await self._show()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#page").scroll_relative(y=lines, animate=False)

    def action_leaf(self, direction: int) -> None:
        page = self.query_one("#page")
        page.scroll_relative(y=direction * max(1, page.size.height - 2), animate=False)

    def action_copy(self) -> None:
        if self.statistics is None:
            return
        try:
            path = copy(self.app, orjson.dumps(self.statistics.to_json(), option=orjson.OPT_INDENT_2).decode())
        except UserError as error:
            say(self.app, str(error))
        else:
            say(self.app, f"Copied the numbers to the clipboard, and to {path}.")

    def action_back(self) -> None:
        self.app.pop_screen()


def _card(title: str, body: Widget) -> Widget:
    card = Vertical(body, classes="card")
    card.border_title = Content(f" {visible_line(title)} ")
    return card
