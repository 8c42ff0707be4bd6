"""Searching the prompts and answers of the stepper."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import Input

from itaudit.tui.step_view import StepView
from itaudit.tui.widgets.key_bar import KeyBar


class SearchActions(StepView):
    """`/`, and the line that is typed into."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", id="stepper.search", tooltip="Search prompts and answers"),
    ]

    async def action_search(self) -> None:
        self.activate("prompts")
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
        self.activate("response")
        self.query_one(KeyBar).show_instead(None)
        await self.query("#search").remove()

    async def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self.query("#search"):
            event.stop()
            event.prevent_default()
            self.stepping.search("")
            await self._close_search()
            self.draw()
