"""Hallucination in a run as a whole: detectors and their agreement, words by class, traces beside chance."""

from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.runs.run import Run
from itaudit.sanitize import visible_line
from itaudit.tui.clipboard import copy
from itaudit.tui.hallucination_text import detectors_text, rates_text, report_text
from itaudit.tui.hearing import Hearing
from itaudit.tui.pace import repaint_seconds
from itaudit.tui.telling import say, told
from itaudit.tui.widgets.key_bar import KeyBar

_FIRST = "any"


class HallucinationScreen(Screen[None]):
    """Shows what a process of its own counts, as it comes; `agreed` is told each model's alpha."""

    CSS = """
    HallucinationScreen { layout: vertical; background: $background; }
    HallucinationScreen #title { height: 1; padding: 0 1; background: $panel; }
    HallucinationScreen #page { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    HallucinationScreen #page Static { height: auto; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "flags(-1)", "flags", id="hallucination.previous", tooltip="Previous set of flags"),
        Binding("l,right", "flags(1)", "flags", id="hallucination.next", tooltip="Next set of flags"),
        Binding("tab", "flags(1)", "flags", id="hallucination.next_tab", show=False),
        Binding("j,down", "scroll(1)", "scroll", id="hallucination.down", tooltip="Down"),
        Binding("k,up", "scroll(-1)", "scroll", id="hallucination.up", tooltip="Up"),
        Binding("pagedown,space", "leaf(1)", "page down", id="hallucination.page_down", show=False),
        Binding("pageup", "leaf(-1)", "page up", id="hallucination.page_up", show=False),
        Binding("y,x", "copy", "copy", id="hallucination.copy", tooltip="Copy the numbers as JSON"),
        Binding("escape", "back", "back", id="hallucination.back"),
    ]

    def __init__(self, run: Run, agreed: Callable[[str, float | None], None] = lambda _label, _alpha: None) -> None:
        super().__init__()
        self.run = run
        self.detectors: dict[str, dict[str, Any]] = {}
        self.reports: list[dict[str, Any]] = []
        self.flags = ""
        self.problem = ""
        self._agreed = agreed
        self._doing = "reading the run"
        self._hearing = Hearing(self, "counts", self._heard, self._ended)

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with VerticalScroll(id="page", can_focus=False):
            yield Static(id="detectors", markup=False)
            yield Static(id="rates", markup=False)
            yield Static(id="sets", markup=False)
            yield Static(id="reports", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._hearing.start("itaudit.detect.overview", str(self.run.path), repaint_seconds())
        self._paint()

    def on_resize(self) -> None:
        self._paint()

    def on_unmount(self) -> None:
        self._hearing.close()

    def _heard(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self._hear(message)
        self._paint()

    def _ended(self, problem: str) -> None:
        self.problem = problem or ("" if self.detectors else "no tuned model has answered yet")
        self._doing = ""
        self._paint()

    def _hear(self, message: dict[str, Any]) -> None:
        if "detectors" in message:
            self.detectors |= message["detectors"]
            for label, model in message["detectors"].items():
                self._agreed(label, model["agreement"]["alpha"] if model["agreement"] else None)
        elif "report" in message:
            self.reports.append(message["report"])
            if not self.flags or (message["report"]["flags"] == _FIRST and self.flags == self.sets[0]):
                self.flags = message["report"]["flags"]
        else:
            self._doing = message["doing"]

    @property
    def sets(self) -> list[str]:
        """The sets of flags that are counted so far."""
        return list(dict.fromkeys(report["flags"] for report in self.reports))

    def _paint(self) -> None:
        width = max(self.size.width - 3, 20)
        state = self.problem or (f"counting {self._doing} …" if self._doing else "")
        title = Content.assemble(
            (f"hallucination in {visible_line(self.run.name)}", "bold"),
            (f" · {visible_line(state)}" if state else "", "$error" if self.problem else "$foreground-muted"),
        )
        self.query_one("#title", Static).update(title)
        self.query_one("#detectors", Static).update(detectors_text(self.detectors, width))
        self.query_one("#rates", Static).update(rates_text(self.reports, width))
        self.query_one("#sets", Static).update(self._sets_text())
        chosen = [report_text(report, width) for report in self.reports if report["flags"] == self.flags]
        self.query_one("#reports", Static).update(Content("\n\n").join(chosen))

    def _sets_text(self) -> Content:
        if not self.reports:
            return Content("")
        names = [
            Content.styled(f" {name} ", "reverse" if name == self.flags else "$foreground-muted") for name in self.sets
        ]
        return Content.assemble(("flags ", "bold $primary"), Content(" ").join(names))

    def action_flags(self, step: int) -> None:
        sets = self.sets
        if sets:
            self.flags = sets[(sets.index(self.flags) + step) % len(sets)]
            self._paint()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#page").scroll_relative(y=lines, animate=False)

    def action_leaf(self, direction: int) -> None:
        page = self.query_one("#page")
        page.scroll_relative(y=direction * max(1, page.size.height - 2), animate=False)

    def action_copy(self) -> None:
        document = {"run": str(self.run.path), "detectors": self.detectors, "causes": self.reports}
        with told(self.app):
            path = copy(self.app, orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
            say(self.app, f"copied the numbers to the clipboard, and to {path}")

    def action_back(self) -> None:
        self.app.pop_screen()
