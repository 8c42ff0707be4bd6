"""The batches of a dataset: started for what the filter shows, watched, cancelled, resumed, reviewed."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.data.edited import EditedDataset
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.simplify.batch import Batch, BatchStatus, batches, estimate
from itaudit.tui.batch_text import BATCH_MARKS, batch_progress, estimate_text
from itaudit.tui.engines import Engines
from itaudit.tui.screens.choice import ChoiceScreen
from itaudit.tui.screens.review import Reviewed, ReviewScreen
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.units import bar

_BAR = 20


class BatchesScreen(Screen[Reviewed]):
    """Lists batches, the newest first. `positions` are what a new one would simplify, `filter` how they were chosen.

    `asks` tells to ask at once whether to start one.
    """

    CSS = """
    BatchesScreen { layout: vertical; background: $background; }
    BatchesScreen #title { height: 1; padding: 0 1; background: $panel; }
    BatchesScreen LineList { height: 1fr; min-height: 2; }
    BatchesScreen #told { height: auto; max-height: 8; padding: 0 1; border-top: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b,n", "new", "new batch", id="batches.new", tooltip="Simplify everything that is shown"),
        Binding("r", "review", "review", id="batches.review"),
        Binding("c", "cancel", "cancel", id="batches.cancel"),
        Binding("R", "resume", "resume", id="batches.resume"),
        Binding("escape", "back", "back", id="batches.back"),
    ]

    def __init__(
        self, edited: EditedDataset, positions: Sequence[int], filter: str, engines: Engines, *, asks: bool = False
    ) -> None:
        super().__init__()
        self.edited = edited
        self.positions = positions
        self.filter = filter
        self.engines = engines
        self.asks = asks
        self.reviewed = Reviewed()
        self._batches: list[Batch] = []
        self._status: dict[str, BatchStatus] = {}

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield LineList(self._line, id="batches")
        yield Static(id="told", markup=False)
        yield PromptLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(LineList).focus()
        self._batches = batches(self.edited)
        self._look()
        self.query_one(LineList).show(len(self._batches))
        self.set_interval(1.0, self._look_on)
        if self.asks:
            self.action_new()

    def _look_on(self) -> None:
        if any(self._status[batch.name].at_work for batch in self._batches):
            self._look()
            self.query_one(LineList).remake()

    def _look(self) -> None:
        """Reads how far every batch is."""
        for batch in self._batches:
            before = self._status.get(batch.name)
            if before is None or before.at_work:
                try:
                    self._status[batch.name] = batch.status()
                except UserError as error:
                    self._status[batch.name] = BatchStatus("failed", 0, batch.task.total, 0, 0, error=str(error))
        self._paint()

    def _paint(self) -> None:
        name = visible_line(Path(self.edited.source.path).name)
        count = len(self._batches)
        words = f"{count} {'batch' if count == 1 else 'batches'} of {name}"
        self.query_one("#title", Static).update(
            Content.assemble(("simplify", "bold $primary"), "  ", words), layout=False
        )
        self.query_one("#told", Static).update(self._told())

    def _told(self) -> Content:
        batch = self._here()
        if batch is None:
            return Content.styled("b simplifies everything that the dataset's filter shows.", "$foreground-muted")
        status = self._status[batch.name]
        lines = [
            f"{visible_line(batch.engine)}, {batch.task.total:,} instances"
            + (f", filter {visible_line(batch.task.filter)}" if batch.task.filter else ""),
            f"{status.done:,} proposals, of which {status.passed:,} pass the checks; {status.problems:,} problems",
            batch_progress(status),
        ]
        if status.prompt_tokens:
            lines.append(f"{status.prompt_tokens:,} tokens in, {status.completion_tokens:,} out")
        hint = "c cancels" if status.at_work else "R resumes" if status.state in ("failed", "cancelled", "new") else ""
        lines.append(" · ".join(part for part in ("enter reviews", hint) if part))
        return Content("\n".join(lines))

    def _line(self, place: int, width: int) -> Content:
        batch = self._batches[place]
        status = self._status[batch.name]
        mark, style = BATCH_MARKS[status.state]
        share = status.done / status.total if status.total else 0.0
        parts: list[Content | str | tuple[str, str]] = [(f"{mark} ", style), visible_line(batch.name)]
        if width >= 60:
            parts += ["  ", (bar(share, _BAR), style)]
        parts.append(f"  {status.done:,}/{status.total:,}  {batch_progress(status)}")
        return Content.assemble(*parts).truncate(max(1, width), ellipsis=True)

    def _here(self) -> Batch | None:
        cursor = self.query_one(LineList).cursor
        return self._batches[cursor] if cursor < len(self._batches) else None

    def on_line_list_moved(self) -> None:
        self._paint()

    def on_line_list_opened(self) -> None:
        self.action_review()

    def action_new(self) -> None:
        """Says what a batch would take, and starts it when that is confirmed."""
        settings = self.engines.settings
        try:
            settings.require_engine("config.toml")
            cost = estimate_text(estimate(self.edited, self.positions, settings), settings)
        except UserError as error:
            cost = str(error)
        chosen = f"that the filter {self.filter} shows" if self.filter else "of the dataset"
        question = f"Simplify all {chosen} with {settings.engine_label}?\n{cost}."
        others = [(str(n), name) for n, name in enumerate(self.engines.names, 1) if name != self.engines.name]
        self.app.push_screen(ChoiceScreen(question, [("y", "start"), *others]), self._chosen)

    def _chosen(self, key: str | None) -> None:
        if key == "y":
            self._start()
        elif key:
            self.engines.choose(self.engines.names[int(key) - 1])
            self.action_new()

    def _start(self) -> None:
        self._tell("Writing what is to be simplified …")
        self.run_worker(self._create, thread=True, group="batches.create")

    def _create(self) -> None:
        """Of a large dataset, writing the instances takes a while."""
        try:
            batch = Batch.create(self.edited, self.positions, self.engines.settings, filter=self.filter)
            batch.start()
        except UserError as error:
            self.app.call_from_thread(self._tell, str(error), "$error")
        else:
            self.app.call_from_thread(self._started, batch)

    def _started(self, batch: Batch) -> None:
        self._batches.insert(0, batch)
        self._look()
        lines = self.query_one(LineList)
        lines.show(len(self._batches))
        lines.stand_on(0)
        self._paint()
        self._tell("Started; it goes on without this terminal. enter reviews what is there.")

    def action_review(self) -> None:
        batch = self._here()
        if batch is None:
            self._tell("There is no batch yet; b starts one.")
            return
        self.app.push_screen(ReviewScreen(self.edited, Batch(batch.folder)), self._back_from_review)

    def _back_from_review(self, reviewed: Reviewed | None) -> None:
        if reviewed is not None:
            self.reviewed.changed |= reviewed.changed
            self.reviewed.words = reviewed.words
            self._tell(reviewed.words)

    def action_cancel(self) -> None:
        batch = self._here()
        if batch is None:
            return
        try:
            batch.cancel()
        except UserError as error:
            self._tell(str(error), "$error")
        else:
            self._tell("Cancelling: it saves what it has and stops. R resumes.")

    def action_resume(self) -> None:
        batch = self._here()
        if batch is None:
            return
        if self._status[batch.name].state == "done" and not self._status[batch.name].problems:
            self._tell("This batch is done.")
            return
        try:
            batch.start()
        except UserError as error:
            self._tell(str(error), "$error")
        else:
            self._status.pop(batch.name)
            self._look()
            self.query_one(LineList).remake()
            self._tell("Resumed; what is done is not done again.")

    def action_back(self) -> None:
        self.dismiss(self.reviewed)

    def _tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)
