"""Tracing on the stepper what the user selects."""

from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.trace.types import Span
from itaudit.tui.answer import Answer
from itaudit.tui.step_view import StepView
from itaudit.tui.telling import say
from itaudit.tui.tracing import traced_span


class TraceActions(StepView):
    """`t`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "trace", "trace", id="stepper.trace", tooltip="Trace the token or the selection"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.tracing = False

    def action_trace(self) -> None:
        answer = self.stepping.answer
        prompt = self.stepping.prompt
        start, end = answer.text_range(*self.stepping.selection) if answer and answer.positions else (0, 0)
        if answer is None or prompt is None or start == end:
            say(self.app, "there is no text here to trace; move to a token with h and l")
            return
        self.tracing = True
        self.stepping.anchor = None
        self.show_panel("sources")
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
