"""The response stepper: prompts on the left; the response, the position and its sources on the right."""

import os
import time
from collections.abc import Callable
from typing import ClassVar, Literal

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.sanitize import visible_line
from itaudit.trace.types import Span
from itaudit.tui import clipboard, exporting
from itaudit.tui.answer import Answer
from itaudit.tui.mending_run import MendingRun
from itaudit.tui.navigation import navigator
from itaudit.tui.stepping import Stepping
from itaudit.tui.telling import say, told
from itaudit.tui.tracing import traced_span
from itaudit.tui.widgets.header import header_text
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.panel import Panel
from itaudit.tui.widgets.position_panel import PositionPanel
from itaudit.tui.widgets.prompt_list import ROOMY, PromptList
from itaudit.tui.widgets.response_view import ResponseView
from itaudit.tui.widgets.sources_panel import SourcesPanel, why_no_sources

PanelName = Literal["prompts", "response", "position", "sources"]
PANELS: tuple[PanelName, ...] = ("prompts", "response", "position", "sources")

WIDE, MEDIUM, TINY = 100, 60, 20
"""Columns from which all panels, the prompts beside two others, and any at all are shown."""
WIDE_ROWS, MEDIUM_ROWS, TINY_ROWS = 20, 16, 6
"""Rows from which all panels, two above each other, and any at all are shown."""


def _binding(id: str, keys: str, action: str, short: str, tooltip: str, *, show: bool = False) -> Binding:
    """A binding with a word for the key bar and a line for the help."""
    return Binding(keys, action, short, show=show, tooltip=tooltip, id=f"stepper.{id}")


def poll_seconds() -> float:
    """Between two looks at a run that works; every repaint costs bandwidth over SSH."""
    return 1.0 if os.environ.get("SSH_CONNECTION") else 0.5


class StepperScreen(MendingRun):
    """Steps through the responses of a run."""

    CSS_PATH = "stepper.tcss"
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        _binding("prompt-next", "j,down", "prompt(1)", "prompt", "Next prompt", show=True),
        _binding("prompt-previous", "k,up", "prompt(-1)", "prompt", "Previous prompt", show=True),
        _binding("token-previous", "h,left", "token(-1)", "token", "Previous token", show=True),
        _binding("token-next", "l,right", "token(1)", "token", "Next token", show=True),
        _binding("flagged-next", "n", "flagged(1)", "flagged", "Next flagged token", show=True),
        _binding("flagged-previous", "N", "flagged(-1)", "flagged", "Previous flagged token", show=True),
        *(
            _binding(f"model-{n}", str(n), f"model({n - 1})", "model", f"Answers of model {n}, 1 is base", show=True)
            for n in range(1, 10)
        ),
        _binding("mark", "m", "mark", "mark", "Mark or unmark as hallucinated", show=True),
        _binding("trace", "t", "trace", "trace", "Trace the token or the selection", show=True),
        _binding("source-previous", "left_square_bracket", "source(-1)", "source", "Previous source", show=True),
        _binding("source-next", "right_square_bracket", "source(1)", "source", "Next source", show=True),
        _binding("panel-next", "tab", "panel(1)", "panel", "Next panel", show=True),
        _binding("panel-previous", "shift+tab", "panel(-1)", "panel", "Previous panel"),
        _binding("search", "slash", "search", "search", "Search prompts and answers", show=True),
        _binding("select", "v", "select", "select", "Begin or drop a selection", show=True),
        _binding("order", "o", "order", "order", "Order: share shifted, KL, marks, file", show=True),
        _binding("filter", "F", "filter", "filter", "All, marked, shifted, or unanswered", show=True),
        _binding("flag", "f", "flag", "flags", "What n and N stop at", show=True),
        _binding("undo", "u", "undo", "undo", "Undo the last mark", show=True),
        _binding("copy", "y", "copy", "copy", "Copy the response, or the selection", show=True),
        _binding("export", "x", "export", "export", "Export the answers as Markdown", show=True),
        _binding("live", "L", "live", "live", "Watch the job", show=True),
        _binding("token-first", "g,home", "token_edge(-1)", "first token", "First token"),
        _binding("token-last", "G,end", "token_edge(1)", "last token", "Last token"),
        _binding("page-up", "pageup", "page(-1)", "page up", "Page up in the active panel"),
        _binding("page-down", "pagedown", "page(1)", "page down", "Page down in the active panel"),
        _binding("back", "escape", "back", "back", "Drop selection, clear search, go back"),
    ]

    def __init__(self, run: Run, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.stepping = Stepping(run, now)
        self.active: PanelName = "response"
        self.lower: PanelName = "position"
        self.tracing = False
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield Static(id="header", markup=False)
        with Container(id="body"):
            yield PromptList(id="prompts")
            with Container(id="answers"):
                yield ResponseView(id="response")
                yield PositionPanel(id="position")
                yield SourcesPanel(id="sources")
        yield Static("too small: the stepper needs 20×6", id="too-small", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._arrange()
        self.draw()
        self.set_interval(poll_seconds(), self.poll)

    def on_resize(self, _: events.Resize) -> None:
        self._arrange()
        self._draw_header()
        # Headings go by the widths of their panels, which these have only after the layout.
        self.call_after_refresh(self.draw)

    def _arrange(self) -> None:
        """Chooses the layout by the size of the terminal."""
        columns, rows = self.app.size
        tiny = columns < TINY or rows < TINY_ROWS
        wide = columns >= WIDE and rows >= WIDE_ROWS
        tall = rows >= MEDIUM_ROWS
        medium = "medium" if columns >= MEDIUM else "stacked"
        layout = "tiny" if tiny else "wide" if wide else medium if tall else "single"
        for name in ("tiny", "wide", "medium", "stacked", "single"):
            self.set_class(name == layout, f"-{name}")
        for panel in PANELS:
            self.set_class(panel == self.active, f"-active-{panel}")
            self.set_class(panel == self.lower, f"-show-{panel}")
            self.query_one(f"#{panel}", Panel).set_class(panel == self.active, "-active")

    def draw(self) -> None:
        """Brings every panel up to date with where the user is."""
        stepping, answer = self.stepping, self.stepping.answer
        prompts = self.query_one("#prompts", PromptList)
        total = len(stepping.run.prompts())
        query = f" · /{visible_line(stepping.query)}" if stepping.query else ""
        only = "" if stepping.filter == "all" else f" · {stepping.filter}"
        count = f"{len(stepping.rows)}/{total}"
        heading = f"{count} prompts by {stepping.order}" if prompts.size.width >= ROOMY else f"{count} {stepping.order}"
        prompts.title((f"{heading}{only}{query}", ""))
        prompts.show(stepping.rows, stepping.place)
        response = self.query_one("#response", ResponseView)
        response.title((self._response_title(), ""))
        response.show(stepping.prompt, answer, stepping.cursor, stepping.selection)
        self.query_one("#position", PositionPanel).show(answer, stepping.cursor, stepping.run.token_text)
        sources = self.query_one("#sources", SourcesPanel)
        sources.show(
            stepping.sources,
            stepping.source,
            instances=self._instances(),
            why_none="tracing…" if self.tracing else why_no_sources(answer, stepping.cursor),
            instance=self._instance,
        )
        self._draw_header()

    def _draw_header(self) -> None:
        header = self.query_one("#header", Static)
        header.update(header_text(self.stepping, self.app.size.width))

    def _response_title(self) -> str:
        answer = self.stepping.answer
        if answer is None:
            return "response"
        title = f"{answer.label}"
        if answer.positions:
            kind = "tokens" if answer.scores else "words"
            title += f" · {self.stepping.cursor + 1}/{len(answer.positions)} {kind}"
        finish = answer.response.finish if answer.response else ""
        if finish in ("cut_off", "empty"):
            title += " · cut off" if finish == "cut_off" else " · empty"
        flagged = len(answer.flagged(self.stepping.flag))
        title += f" · {flagged} {self.stepping.flag}"
        if self.stepping.anchor is not None:
            first, last = self.stepping.selection
            title += f" · {last - first + 1} selected"
        return title

    def _instances(self) -> int:
        try:
            return len(self.stepping.run.dataset)
        except UserError:
            return 0

    def _instance(self, index: int) -> Instance | None:
        try:
            dataset = self.stepping.run.dataset
            return dataset[dataset.position(index)]
        except (UserError, KeyError):
            return None

    def poll(self) -> None:
        """Takes in what the worker has written, without moving the user."""
        changed, problem = False, ""
        try:
            changed = self.stepping.poll()
        except UserError as error:
            problem = str(error)
        if problem and problem != self._problem:
            # Once: a file that is broken now is broken at the next look, too.
            self.app.notify(problem, severity="error", markup=False)
        self._problem = problem
        if changed:
            self.draw()
        elif self.stepping.state.job == "running":
            self._draw_header()

    def action_prompt(self, by: int) -> None:
        self.stepping.move_prompt(self.stepping.place + by)
        self.draw()

    def action_token(self, by: int) -> None:
        self.stepping.move_cursor(self.stepping.cursor + by)
        self.draw()

    def action_token_edge(self, direction: int) -> None:
        answer = self.stepping.answer
        self.stepping.move_cursor(len(answer.positions) - 1 if answer and direction > 0 else 0)
        self.draw()

    def action_flagged(self, direction: int) -> None:
        if not self.stepping.move_to_flagged(direction):
            which = "after" if direction > 0 else "before"
            say(self.app, f"no token {which} this one is {self.stepping.flag}")
        self.draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Numbers beyond the models there are do nothing, and are not offered."""
        return not (action == "model" and int(str(parameters[0])) >= len(self.stepping.models))

    def action_model(self, number: int) -> None:
        with told(self.app):
            self.stepping.choose_model(self.stepping.models[number])
        self.draw()

    def action_source(self, by: int) -> None:
        self.stepping.move_source(by)
        self.lower = "sources"
        self._arrange()
        self.draw()

    def action_panel(self, by: int) -> None:
        self.active = PANELS[(PANELS.index(self.active) + by) % len(PANELS)]
        if self.active in ("position", "sources"):
            self.lower = self.active
        self._arrange()

    def action_page(self, direction: int) -> None:
        if self.active == "prompts":
            self.stepping.move_prompt(self.stepping.place + 10 * direction)
            self.draw()
        else:
            panel = self.query_one(f"#{self.active}", Panel)
            panel.scroll_relative(y=direction * max(panel.size.height - 1, 1), animate=False)

    def action_order(self) -> None:
        self.stepping.next_order()
        self.draw()

    def action_filter(self) -> None:
        self.stepping.next_filter()
        self.draw()

    def action_flag(self) -> None:
        self.stepping.next_flag()
        say(self.app, f"n and N stop at tokens that are {self.stepping.flag}")
        self.draw()

    def action_select(self) -> None:
        self.stepping.anchor = self.stepping.cursor if self.stepping.anchor is None else None
        self.draw()

    def action_mark(self) -> None:
        with told(self.app):
            self.stepping.toggle_mark()
        self.draw()

    def action_undo(self) -> None:
        with told(self.app):
            self.stepping.undo()
        self.draw()

    def action_copy(self) -> None:
        answer = self.stepping.answer
        if answer is None or not answer.text:
            say(self.app, "there is nothing to copy")
            return
        text = answer.text
        if self.stepping.anchor is not None:
            start, end = answer.text_range(*self.stepping.selection)
            text = answer.text[start:end]
            self.stepping.anchor = None
        with told(self.app):
            path = clipboard.copy(self.app, text)
            say(self.app, f"copied {len(text)} characters, also to {path}")
        self.draw()

    def action_export(self) -> None:
        prompt = self.stepping.prompt
        if prompt is None:
            say(self.app, "there is nothing to export")
            return
        with told(self.app):
            answers = [self.stepping.answer_of(label, prompt.id) for label in self.stepping.models]
            path = exporting.write_prompt(self.stepping.run, prompt, answers)
            say(self.app, f"exported to {path}")

    def action_live(self) -> None:
        navigator(self).open_live(self.stepping.run.path)

    async def action_back(self) -> None:
        if self.stepping.anchor is not None:
            self.stepping.anchor = None
        elif self.stepping.query:
            self.stepping.search("")
        else:
            await self.run_action("app.back")
            return
        self.draw()

    async def action_search(self) -> None:
        self.active = "prompts"
        self._arrange()
        self.query_one(KeyBar).show_instead([("⏎", "keep"), ("esc", "clear")])
        search = Input(self.stepping.query, placeholder="search prompts and answers", id="search", compact=True)
        await self.mount(search)
        search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value != self.stepping.query:
            self.stepping.search(event.value)
            self.draw()

    async def on_input_submitted(self) -> None:
        await self._close_search()

    async def _close_search(self) -> None:
        self.active = "response"
        self._arrange()
        self.query_one(KeyBar).show_instead(None)
        await self.query("#search").remove()

    async def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self.query("#search"):
            event.stop()
            event.prevent_default()
            self.stepping.search("")
            await self._close_search()
            self.draw()

    @on(PromptList.Chosen)
    def _prompt_clicked(self, event: PromptList.Chosen) -> None:
        self.stepping.move_prompt(event.place)
        self.draw()

    @on(ResponseView.Pointed)
    def _token_clicked(self, event: ResponseView.Pointed) -> None:
        self.stepping.move_cursor(event.position)
        self.draw()

    def action_trace(self) -> None:
        answer = self.stepping.answer
        prompt = self.stepping.prompt
        start, end = answer.text_range(*self.stepping.selection) if answer and answer.positions else (0, 0)
        if answer is None or prompt is None or start == end:
            say(self.app, "there is no text here to trace; move to a token with h and l")
            return
        self.tracing = True
        self.stepping.anchor = None
        self.lower = "sources"
        self._arrange()
        self.draw()
        self._trace(prompt.prompt, answer, start, end)

    @work(thread=True, group="trace", exclusive=True, exit_on_error=False)
    def _trace(self, prompt: str, answer: Answer, start: int, end: int) -> None:
        """Looks the sources of a stretch up, beside the screen: the first time an index has to be built."""
        worker = get_current_worker()
        span, problem = None, ""
        try:
            span = traced_span(self.stepping.run, prompt, answer.text, start, end)
        except UserError as error:
            problem = str(error)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._traced, answer, span, problem)

    def _traced(self, answer: Answer, span: Span | None, problem: str) -> None:
        self.tracing = False
        if span is not None:
            self.stepping.add_trace(answer.label, answer.prompt_id, span)
        else:
            self.app.notify(visible_line(problem), severity="error", markup=False)
        self.draw()
