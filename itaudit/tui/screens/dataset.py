"""A dataset: its instances as a list, and the one under the cursor to read."""

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static
from textual.worker import Worker, get_current_worker

from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.trace.types import Evidence
from itaudit.tui.clipboard import copy
from itaudit.tui.instance_text import MATCH_STYLE, InstanceText, instance_json, instance_text
from itaudit.tui.recent import RecentDataset, remember_dataset
from itaudit.tui.screens.rejected import RejectedScreen
from itaudit.tui.searching import matching_positions
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.reading_pane import ReadingPane
from itaudit.tui.workshop_actions import Workshop
from itaudit.units import duration_text, size_text

SEARCH_GROUP = "dataset.search"
# Below 100 columns panels stand below each other or take turns; so they do where there are few lines.
WIDTHS = [(0, "-narrow"), (100, "-wide")]
HEIGHTS = [(0, "-short"), (16, "-high")]


class DatasetScreen(Workshop):
    """Shows a dataset, or loads it from its path first; `index` is the source row to stand on."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    CSS = """
    DatasetScreen { layout: vertical; background: $background; }
    DatasetScreen #title { height: 1; padding: 0 1; background: $panel; }
    DatasetScreen #body { height: 1fr; }
    DatasetScreen #instances { width: 2fr; height: 1fr; min-width: 8; min-height: 2; }
    DatasetScreen #reading {
        width: 3fr; height: 1fr; min-width: 8; min-height: 2;
        border-left: solid $panel; border-title-color: $primary;
    }
    DatasetScreen #reading:focus { border-left: solid $primary; }
    DatasetScreen.-narrow #body { layout: vertical; }
    DatasetScreen.-narrow #instances, DatasetScreen.-narrow #reading { width: 1fr; }
    DatasetScreen.-narrow #instances { height: 2fr; }
    DatasetScreen.-narrow #reading { height: 3fr; border-left: none; border-top: solid $panel; }
    DatasetScreen.-narrow #reading:focus { border-top: solid $primary; }
    DatasetScreen.-short.-narrow #reading { display: none; border-top: none; }
    DatasetScreen.-short.-narrow.-reading #instances { display: none; }
    DatasetScreen.-short.-narrow.-reading #reading { display: block; }
    DatasetScreen #loading { height: 1fr; padding: 1 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", id="dataset.search"),
        Binding("n", "match(1)", "next match", id="dataset.next_match"),
        Binding("N", "match(-1)", "previous match", id="dataset.previous_match", show=False),
        Binding("g", "jump", "go to", id="dataset.jump"),
        Binding("exclamation_mark", "rejected", "rejected", id="dataset.rejected"),
        Binding("y", "copy", "copy", id="dataset.copy"),
        Binding("tab", "switch", "list/text", id="dataset.switch"),
        Binding("J,shift+down", "read(1)", "scroll text down", id="dataset.read_down", show=False),
        Binding("K,shift+up", "read(-1)", "scroll text up", id="dataset.read_up", show=False),
        Binding("escape", "back", "back", id="dataset.back"),
    ]

    class Loaded(Message):
        """The dataset was read, or can't be: then `problem` is the one line to show."""

        def __init__(self, dataset: Dataset | None, problem: str = "") -> None:
            super().__init__()
            self.dataset = dataset
            self.problem = problem

    class Found(Message):
        """A slice of a search: how far it came, and which positions match in it."""

        def __init__(self, search: int, reached: int, positions: list[int]) -> None:
            super().__init__()
            self.search = search
            self.reached = reached
            self.positions = positions

    def __init__(
        self,
        dataset: Dataset | Path,
        *,
        index: int | None = None,
        highlights: Sequence[Evidence] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.dataset = dataset if isinstance(dataset, Dataset) else None
        self.path = dataset if isinstance(dataset, Path) else None
        self.index = index
        self.highlights = tuple(highlights)
        self.clock = clock
        self.matches: list[int] = []
        self._text = ""
        self._search = 0
        self._reached = 0
        self._origin = 0
        self._seeking = False
        self._begun = clock()

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="loading", markup=False)
        with Horizontal(id="body"):
            yield LineList(self._line, id="instances")
            yield ReadingPane(id="reading")
        yield PromptLine(id="prompt")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        if self.dataset is not None:
            self._show(self.dataset)
            return
        self.query_one("#body").display = False
        self._paint_loading()
        self._ticking = self.set_interval(0.5, self._paint_loading)
        # A daemon thread: reading a large file can't be interrupted, and must not hold up quitting.
        threading.Thread(target=self._load, daemon=True, name="itaudit-load").start()

    def _load(self) -> None:
        assert self.path is not None
        try:
            dataset = load(self.path)
        except UserError as error:
            self.post_message(self.Loaded(None, str(error)))
        else:
            self.post_message(self.Loaded(dataset))

    def on_dataset_screen_loaded(self, message: Loaded) -> None:
        self._ticking.stop()
        if message.dataset is None:
            self.query_one("#loading", Static).update(Content.styled(visible_line(message.problem), "$error"))
            return
        self.dataset = message.dataset
        if self.path is not None:
            remember_dataset(
                RecentDataset(str(self.path.absolute()), self.dataset.format, len(self.dataset), self.clock())
            )
        self._show(self.dataset)

    def _paint_loading(self) -> None:
        assert self.path is not None
        try:
            size = f", {size_text(self.path.stat().st_size)}" if self.path.is_file() else ""
        except OSError:
            size = ""
        words = f"Reading {visible_line(str(self.path))}{size} … {duration_text(self.clock() - self._begun)}"
        self.query_one("#loading", Static).update(Content.styled(words, "$foreground-muted"))
        self.query_one("#title", Static).update(Content.styled(visible_line(self.path.name), "bold"))

    def _show(self, dataset: Dataset) -> None:
        self.query_one("#loading").display = False
        self.query_one("#body").display = True
        self.edited = EditedDataset(dataset, Overlay.of(dataset.path))
        self.view = np.arange(len(dataset), dtype=np.int64)
        lines = self.query_one(LineList)
        lines.show(len(dataset))
        lines.focus()
        if self.index is not None:
            self.call_after_refresh(self._go_to_index, self.index)
        self._paint()

    def position(self) -> int | None:
        cursor = self.query_one(LineList).cursor
        return int(self.view[cursor]) if cursor < len(self.view) else None

    def stand_on(self, position: int) -> bool:
        found = np.flatnonzero(self.view == position)
        if not len(found):
            return False
        self.query_one(LineList).stand_on(int(found[0]))
        return True

    def changed(self, positions: set[int]) -> None:
        self.query_one(LineList).remake()
        self._paint()

    def tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)

    def on_line_list_moved(self) -> None:
        self._paint()

    def on_line_list_opened(self) -> None:
        self.action_switch()

    def action_back(self) -> None:
        prompt = self.query_one(PromptLine)
        if prompt.question:
            prompt.action_cancel()
        elif self.query_one(ReadingPane).has_focus:
            self.action_switch()
        elif self._text:
            self._start_search("")
            prompt.say("")
        else:
            self.app.pop_screen()

    def action_switch(self) -> None:
        """From the list to the text and back; where there is room for one only, that one is shown."""
        if self.dataset is None:
            return
        lines, reading = self.query_one(LineList), self.query_one(ReadingPane)
        to_text = not reading.has_focus
        self.set_class(to_text, "-reading")
        (reading if to_text else lines).focus()

    def action_read(self, step: int) -> None:
        self.query_one(ReadingPane).scroll_relative(y=3 * step, animate=False)

    def action_search(self) -> None:
        if self.dataset is not None:
            self._origin = self.query_one(LineList).cursor
            self.query_one(PromptLine).ask("search", "search:", answer=self._text)

    def action_match(self, step: int) -> None:
        if not self._text:
            self.tell("Nothing is searched for; / searches.")
            return
        if not self.matches:
            self._tell_matches()
            return
        lines = self.query_one(LineList)
        if step > 0:
            place = bisect_right(self.matches, lines.cursor) % len(self.matches)
        else:
            place = bisect_left(self.matches, lines.cursor) - 1
        lines.stand_on(self.matches[place])
        self._tell_matches()

    def action_jump(self) -> None:
        if self.dataset is not None:
            self.query_one(PromptLine).ask("jump", "row number or id:")

    def action_rejected(self) -> None:
        if self.dataset is None:
            return
        if not self.dataset.rejected:
            self.tell("No row was rejected.")
        else:
            self.app.push_screen(RejectedScreen(self.dataset.rejected))

    def action_copy(self) -> None:
        if self.dataset is None or not len(self.dataset):
            return
        instance = self.dataset[self.query_one(LineList).cursor]
        try:
            path = copy(self.app, instance_json(instance))
        except UserError as error:
            self.tell(str(error), "$error")
        else:
            self.tell(f"Copied row {instance.index} to the clipboard, and to {path}.")

    def on_prompt_line_typed(self, message: PromptLine.Typed) -> None:
        if message.question == "search":
            self._start_search(message.answer)

    def on_prompt_line_answered(self, message: PromptLine.Answered) -> None:
        self.query_one(LineList).focus()
        if message.question == "jump" and message.answer.strip():
            self._jump(message.answer.strip())
        elif message.question == "search":
            self._tell_matches()

    def on_prompt_line_cancelled(self, message: PromptLine.Cancelled) -> None:
        lines = self.query_one(LineList)
        lines.focus()
        if message.question == "search":
            self._start_search("")
            lines.stand_on(self._origin)

    def _start_search(self, text: str) -> None:
        """Searches anew, in the background; what an earlier search still finds no longer counts."""
        assert self.dataset is not None
        self.workers.cancel_group(self, SEARCH_GROUP)
        self._search += 1
        self._text, self.matches, self._reached, self._seeking = text, [], 0, True
        self.query_one(LineList).remake()
        self._paint()
        if text:
            dataset, search = self.dataset, self._search
            self.run_worker(
                lambda: self._find(dataset, text, search), thread=True, group=SEARCH_GROUP, exit_on_error=True
            )

    def _find(self, dataset: Dataset, text: str, search: int) -> None:
        worker: Worker[None] = get_current_worker()
        for reached, positions in matching_positions(dataset, text):
            if worker.is_cancelled:
                return
            self.post_message(self.Found(search, reached, positions))

    def on_dataset_screen_found(self, message: Found) -> None:
        if message.search != self._search or self.dataset is None:
            return
        self.matches += message.positions
        self._reached = message.reached
        lines = self.query_one(LineList)
        lines.remake()
        if self._seeking and self.matches:
            place = bisect_left(self.matches, self._origin)
            done = self._reached == len(self.dataset)
            if place < len(self.matches) or done:
                # Once: what is found later must not pull the cursor from under its user.
                self._seeking = False
                lines.stand_on(self.matches[place % len(self.matches)])
        self._paint_title()
        if not self.query_one(PromptLine).question:
            self._tell_matches()

    def _tell_matches(self) -> None:
        assert self.dataset is not None
        if not self._text:
            self.tell("")
            return
        done = self._reached == len(self.dataset)
        cursor = self.query_one(LineList).cursor
        place = bisect_left(self.matches, cursor)
        here = f"{place + 1} of " if place < len(self.matches) and self.matches[place] == cursor else ""
        far = "" if done else f" so far, {100 * self._reached // len(self.dataset)} % searched"
        count = len(self.matches)
        self.tell(f"{here}{count:,} {'match' if count == 1 else 'matches'} for {self._text!r}{far}")

    def _jump(self, answer: str) -> None:
        assert self.dataset is not None
        number = answer.removeprefix("#")
        if number.isascii() and number.isdigit() and self._go_to_index(int(number), say=False):
            return
        for position, id in enumerate(self.dataset.table.column("id").to_pylist()):
            if id == answer:
                self.query_one(LineList).stand_on(position)
                return
        rejected = [each for each in self.dataset.rejected if str(each.index) == number]
        if rejected:
            self.tell(f"Row {number} was rejected: {rejected[0].reason}", "$error")
        else:
            self.tell(f"There is no row and no id {answer!r}; rows are counted from 0.", "$error")

    def _go_to_index(self, index: int, say: bool = True) -> bool:
        """Stands on a row of the source, if it is there."""
        assert self.dataset is not None
        try:
            position = self.dataset.position(index)
        except KeyError:
            if say:
                self.tell(f"Row {index} is not in this dataset.", "$error")
            return False
        self.query_one(LineList).stand_on(position)
        self._paint()
        return True

    def _paint(self) -> None:
        """The title and the instance under the cursor."""
        if self.dataset is None:
            return
        self._paint_title()
        reading = self._reading()
        self.query_one(ReadingPane).show(reading.content, reading.focus)

    def _reading(self) -> InstanceText:
        assert self.dataset is not None
        cursor = self.query_one(LineList).cursor
        if not len(self.dataset):
            return InstanceText(Content.styled("This dataset has no instances; ! says why.", "$foreground-muted"), None)
        assert self.edited is not None
        instance = self.edited[cursor]
        return instance_text(instance, self.highlights if instance.index == self.index else (), self._text)

    def _paint_title(self) -> None:
        assert self.dataset is not None
        lines = self.query_one(LineList)
        name = visible_line(Path(self.dataset.path).name)
        parts = [visible_line(self.dataset.format), f"{lines.cursor + 1:,} of {len(self.dataset):,}"]
        if self.dataset.rejected:
            parts.append(f"! {len(self.dataset.rejected):,} rejected")
        if self._text:
            parts.append(f"{len(self.matches):,} {'match' if len(self.matches) == 1 else 'matches'}")
        title = Content.assemble((name, "bold"), "  ", (" · ".join(parts), "$foreground-muted"))
        self.query_one("#title", Static).update(title, layout=False)

    def _line(self, position: int, width: int) -> Content:
        assert self.dataset is not None
        assert self.edited is not None
        instance = self.edited[position]
        digits = max(3, len(str(len(self.dataset))))
        matches = bisect_left(self.matches, position)
        matched = matches < len(self.matches) and self.matches[matches] == position
        turns = sum(message.role == "assistant" for message in (*instance.history, *instance.later)) + 1
        ending = f" {turns} turns" if turns > 1 else ""
        label = instance.id if instance.id != str(instance.index) and len(instance.id) <= 8 else ""
        start = Content.assemble(
            (str(instance.index).rjust(digits), "$foreground-muted"),
            ("•" if matched else " ", "bold $accent"),
            (f"{visible_line(label)} " if label else "", "$foreground-muted"),
        )
        room = max(1, width - start.cell_length - len(ending))
        text = visible_line(instance.instruction[: 4 * width + 8])
        body = Content(text)
        if matched:
            place = text.casefold().find(self._text.casefold())
            body = body.stylize(MATCH_STYLE, place, place + len(self._text)) if place >= 0 else body
        line = start + body.truncate(room, ellipsis=True, pad=bool(ending))
        return line + Content.styled(ending, "$foreground-muted") if ending else line
