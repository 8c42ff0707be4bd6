"""The response stepper: prompts on the left; the response, the position and its sources on the right."""

import os
import time
from collections.abc import Callable
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.sanitize import visible_line
from itaudit.tui import clipboard, exporting
from itaudit.tui.answer import Answer
from itaudit.tui.explaining import Explaining
from itaudit.tui.flagging import FlagActions
from itaudit.tui.labels import LEGEND
from itaudit.tui.marking import MarkActions
from itaudit.tui.navigation import navigator
from itaudit.tui.proving import Proving
from itaudit.tui.rating import RatingActions
from itaudit.tui.step_beside import BesideActions
from itaudit.tui.step_layout import LAYOUTS, PANELS, Chosen, PanelName, layout_of, seen
from itaudit.tui.step_searching import SearchActions
from itaudit.tui.step_tracing import TraceActions
from itaudit.tui.stepping import Stepping
from itaudit.tui.telling import say, told
from itaudit.tui.walking import WALK_WORDS, walk_spans
from itaudit.tui.widgets.header import header_text
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.panel import Panel
from itaudit.tui.widgets.position_panel import PositionPanel
from itaudit.tui.widgets.prompt_list import ROOMY, PromptList
from itaudit.tui.widgets.response_view import ResponseView
from itaudit.tui.widgets.sources_panel import SourcesPanel, why_no_sources
from itaudit.tui.widgets.spans_panel import SpansPanel


def _binding(id: str, keys: str, action: str, short: str, tooltip: str, *, show: bool = False) -> Binding:
    """A binding with a word for the key bar and a line for the help."""
    return Binding(keys, action, short, show=show, tooltip=tooltip, id=f"stepper.{id}")


_ORDER = """
prompt-next prompt-previous token-previous token-next flagged-next flagged-previous
model-1 model-2 model-3 model-4 model-5 model-6 model-7 model-8 model-9
mark label confirm dismiss trace mend prove retune open beside compare proofs
source-previous source-next panel-next search select flag undo
statistics order filter copy export live rate
"""
"""The bindings in the order in which the key bar shows them."""


def poll_seconds() -> float:
    """Between two looks at a run that works; every repaint costs bandwidth over SSH."""
    return 1.0 if os.environ.get("SSH_CONNECTION") else 0.5


class StepperScreen(
    FlagActions, MarkActions, TraceActions, SearchActions, Explaining, Proving, RatingActions, BesideActions
):
    """Steps through the responses of a run."""

    CSS_PATH = "stepper.tcss"
    AUTO_FOCUS = ""
    MARKS = LEGEND
    SHOWS_TOKENS = True
    KEY_ORDER = tuple(f"stepper.{name}" for name in _ORDER.split())
    BINDINGS: ClassVar[list[BindingType]] = [
        _binding("prompt-next", "j,down", "prompt(1)", "prompt", "Next prompt", show=True),
        _binding("prompt-previous", "k,up", "prompt(-1)", "prompt", "Previous prompt", show=True),
        _binding("token-previous", "h,left", "token(-1)", "token", "Previous token", show=True),
        _binding("token-next", "l,right", "token(1)", "token", "Next token", show=True),
        *(
            _binding(f"model-{n}", str(n), f"model({n - 1})", "model", f"Answers of model {n}, 1 is base", show=True)
            for n in range(1, 10)
        ),
        _binding("source-previous", "left_square_bracket", "source(-1)", "source", "Previous source", show=True),
        _binding("source-next", "right_square_bracket", "source(1)", "source", "Next source", show=True),
        _binding("panel-next", "tab", "panel(1)", "panel", "Next panel", show=True),
        _binding("panel-previous", "shift+tab", "panel(-1)", "panel", "Previous panel"),
        _binding("order", "o", "order", "order", "Order: share shifted, KL, marks, file", show=True),
        _binding("filter", "F", "filter", "filter", "All, marked, shifted, or unanswered", show=True),
        _binding("copy", "y", "copy", "copy", "Copy the response, or the selection", show=True),
        _binding("export", "x", "export", "export", "Export the answers as Markdown", show=True),
        _binding("live", "L", "live", "live", "Watch the job", show=True),
        _binding("token-first", "g,home", "token_edge(-1)", "first token", "First token"),
        _binding("token-last", "G,end", "token_edge(1)", "last token", "Last token"),
        _binding("page-up", "pageup", "page(-1)", "page up", "Page up in the active panel"),
        _binding("page-down", "pagedown", "page(1)", "page down", "Page down in the active panel"),
        _binding("back", "escape", "back", "back", "Drop selection, clear search, go back"),
    ]

    def __init__(
        self, run: Run, now: Callable[[], float] = time.time, *, label: str = "", prompt_id: str | None = None
    ) -> None:
        """`label` and `prompt_id` say where to stand; the last model and the first prompt listed where they are not."""
        super().__init__()
        self.stepping = Stepping(run, now)
        if label in self.stepping.models:
            self.stepping.choose_model(label)
        ids = [row.prompt.id for row in self.stepping.rows]
        # Choosing the model has reordered the list under the prompt that stood first for another one.
        self.stepping.prompt_id = prompt_id if prompt_id in ids else next(iter(ids), None)
        self.chosen = Chosen()
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield Static(id="header", markup=False)
        with Container(id="body"):
            yield PromptList(id="prompts")
            with Container(id="answers"):
                yield ResponseView(id="response")
                with Container(id="middle"):
                    yield PositionPanel(id="position")
                    yield SpansPanel(id="spans")
                yield SourcesPanel(id="sources")
        yield Static("too small: the stepper needs 20×6", id="too-small", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._arrange()
        self.stepping.shallow = True
        self.draw()
        # By way of the app, which holds all frames back, and takes no message, until its first screen stands.
        self.app.call_later(self.call_after_refresh, self._deepen)
        self.set_interval(poll_seconds(), self.poll)

    def _deepen(self) -> None:
        """Brings flags and causes in once there is something to look at."""
        with told(self.app):
            self.stepping.deepen()
            self.draw()
        self.poll_proofs()

    def on_resize(self, _: events.Resize) -> None:
        self._arrange()
        self._draw_header()
        # Headings go by the widths of their panels, which these have only after the layout.
        self.call_after_refresh(self.draw)

    @property
    def active(self) -> PanelName:
        """The panel that page up and down scroll."""
        return self.chosen.active

    def _arrange(self) -> None:
        """Chooses the layout by the size of the terminal, and in it the panels that are seen."""
        layout = layout_of(*self.app.size)
        for each in LAYOUTS:
            self.set_class(each == layout, f"-{each}")
        visible = seen(layout, self.chosen)
        for name in PANELS:
            panel = self.query_one(f"#{name}", Panel)
            panel.display = name in visible
            panel.set_class(name == self.active, "-active")
        self.query_one("#body").display = bool(visible)
        self.query_one("#answers").display = bool(visible - {"prompts"})
        self.query_one("#middle").display = bool(visible & {"position", "spans"})

    def show_panel(self, panel: PanelName) -> None:
        self.chosen = self.chosen.showing(panel)
        self._arrange()

    def activate(self, panel: PanelName) -> None:
        self.chosen = self.chosen.activating(panel)
        self._arrange()

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
        response.show(stepping.prompt, answer, stepping.cursor, stepping.selection, stepping.held)
        self._draw_lower(answer)
        self._draw_header()

    def _draw_lower(self, answer: Answer | None) -> None:
        """The panels below the response: all that is known of the position and the span under the cursor."""
        stepping, here = self.stepping, self.told_here(answer)
        position = self.query_one("#position", PositionPanel)
        position.show(answer, stepping.cursor, stepping.run.token_text, here.word)
        flag = answer.flag_at(stepping.cursor) if answer else None
        self.query_one("#spans", SpansPanel).show(answer, stepping.detectors, flag, self.agreement_here)
        self.query_one("#sources", SourcesPanel).show(
            stepping.sources,
            stepping.source,
            instances=self._instances(),
            why_none="tracing…" if self.tracing else why_no_sources(answer, stepping.cursor),
            instance=self._instance,
            above=here.span,
            verdicts=here.verdicts,
            about=here.about,
        )

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
        if not self.stepping.shallow:
            title += f" · {self._walk_words(answer)}"
        if self.stepping.anchor is not None:
            first, last = self.stepping.selection
            title += f" · {last - first + 1} selected"
        return title

    def _walk_words(self, answer: Answer) -> str:
        """`2/7 marks`: which of the spans that `n` and `N` stop at the cursor is in, and of how many."""
        spans, cursor = walk_spans(answer, self.stepping.walk), self.stepping.cursor
        here = next((f"{n}/" for n, (first, last) in enumerate(spans, 1) if first <= cursor <= last), "")
        words = "flagged" if self.stepping.walk == "any" else WALK_WORDS[self.stepping.walk]
        return f"{here}{len(spans)} {words}"

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
        self.poll_proofs()
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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Numbers beyond the models there are do nothing, and are not offered."""
        return not (action == "model" and int(str(parameters[0])) >= len(self.stepping.models))

    def action_model(self, number: int) -> None:
        with told(self.app):
            self.stepping.choose_model(self.stepping.models[number])
        self.draw()

    def action_source(self, by: int) -> None:
        self.stepping.move_source(by)
        self.show_panel("sources")
        self.draw()

    def action_panel(self, by: int) -> None:
        self.activate(PANELS[(PANELS.index(self.active) + by) % len(PANELS)])

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

    @on(PromptList.Chosen)
    def _prompt_clicked(self, event: PromptList.Chosen) -> None:
        self.stepping.move_prompt(event.place)
        self.draw()

    @on(ResponseView.Pointed)
    def _token_clicked(self, event: ResponseView.Pointed) -> None:
        self.stepping.move_cursor(event.position)
        self.draw()
