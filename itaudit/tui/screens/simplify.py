"""A simpler response for one instance: proposed, checked, and accepted or not."""

import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.data.edited import EditedDataset
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.simplify.proposal import Proposal
from itaudit.tui.accepting import accept, edited_proposal
from itaudit.tui.confirming import Confirming
from itaudit.tui.engines import Engines
from itaudit.tui.instance_text import instance_text
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.proposal_view import ProposalView
from itaudit.tui.widgets.reading_pane import ReadingPane
from itaudit.units import duration_text

_GROUP = "simplify.proposing"


class SimplifyScreen(Screen[str]):
    """Shows a proposal for one instance; gives a line on what was done with it, empty where nothing was."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    CSS = """
    SimplifyScreen { layout: vertical; background: $background; }
    SimplifyScreen #title { height: 1; padding: 0 1; background: $panel; }
    SimplifyScreen #body { height: 1fr; }
    SimplifyScreen #instance { width: 2fr; min-width: 8; border-right: solid $panel; display: none; }
    SimplifyScreen.-wide #instance { display: block; }
    SimplifyScreen ProposalView { width: 3fr; min-width: 8; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a,enter", "accept", "accept", id="simplify.accept"),
        Binding("e", "edit", "edit", id="simplify.edit", tooltip="Edit the proposal, then accept it"),
        Binding("r", "reject", "reject", id="simplify.reject"),
        Binding("s", "again", "again", id="simplify.again", tooltip="Try again with another sample"),
        Binding("1", "engine(0)", "engine", id="simplify.engine_1", tooltip="The extractive engine"),
        Binding("2", "engine(1)", "engine", id="simplify.engine_2", tooltip="The local model"),
        Binding("3", "engine(2)", "engine", id="simplify.engine_3", tooltip="The endpoint"),
        Binding("v", "turn", "view", id="simplify.view", tooltip="Difference, proposal or original"),
        Binding("n", "change(1)", "next change", id="simplify.next_change", show=False),
        Binding("N", "change(-1)", "previous change", id="simplify.previous_change", show=False),
        Binding("j,down", "read(1)", "down", id="simplify.down", show=False),
        Binding("k,up", "read(-1)", "up", id="simplify.up", show=False),
        Binding("pagedown,space", "read(10)", "page down", id="simplify.page_down", show=False),
        Binding("pageup", "read(-10)", "page up", id="simplify.page_up", show=False),
        Binding("escape", "back", "back", id="simplify.back"),
    ]

    def __init__(
        self,
        edited: EditedDataset,
        position: int,
        engines: Engines,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.edited = edited
        self.at = position
        self.engines = engines
        self.clock = clock
        self.proposal: Proposal | None = None
        self._busy = False
        self._began = 0.0
        self._seed = 0

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Horizontal(id="body"):
            yield ReadingPane(id="instance")
            yield ProposalView(id="proposal")
        yield PromptLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#instance", ReadingPane).show(instance_text(self.edited[self.at]).content)
        for pane in self.query(ReadingPane):
            pane.can_focus = False
        self.set_interval(0.5, self._paint_waiting)
        self._propose()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Another sample is offered where the engine takes samples."""
        return self.engines.samples if action == "again" else super().check_action(action, parameters)

    def _propose(self) -> None:
        self.proposal, self._busy, self._began = None, True, self.clock()
        self.refresh_bindings()
        self._tell("")
        self.query_one(ProposalView).show(self.edited[self.at], None)
        self._paint_title()
        self._paint_waiting()
        self.run_worker(self._asked(), group=_GROUP, exclusive=True)

    async def _asked(self) -> None:
        instance = self.edited[self.at]
        view = self.query_one(ProposalView)
        try:
            proposal = await self.engines.propose(instance, self._seed)
        except UserError as error:
            self._busy = False
            view.show(instance, None)
            view.say(f"{error}\n{self._others()}", "$error")
            return
        self._busy, self.proposal = False, proposal
        view.show(instance, proposal)
        if proposal.checks is None:
            view.say(f"{proposal.problem}\n{self._others()}", "$error")
        elif proposal.checks.unchanged:
            self._tell(f"The {visible_line(proposal.engine)} engine finds nothing to leave out here; {self._others()}")

    def _others(self) -> str:
        """What else can be done where an engine has nothing to propose."""
        keys = "/".join(str(n) for n, name in enumerate(self.engines.names, 1) if name != self.engines.name)
        again = "s tries again, " if self.engines.samples else ""
        return f"{again}{keys} takes another engine, e edits by hand, escape goes back."

    def _paint_title(self) -> None:
        row = self.edited.row(self.at)
        names = [
            f"[{visible_line(self.engines.label(name))}]" if name == self.engines.name else name
            for name in self.engines.names
        ]
        title = Content.assemble(
            ("simplify", "bold $primary"),
            f"  row {row.source.index}  ",
            (" ".join(f"{number} {name}" for number, name in enumerate(names, 1)), "$foreground-muted"),
        )
        self.query_one("#title", Static).update(title, layout=False)

    def _paint_waiting(self) -> None:
        if self._busy:
            waited = duration_text(self.clock() - self._began)
            self.query_one(ProposalView).say(f"{self.engines.doing} … {waited} · escape cancels", "$foreground-muted")

    def action_engine(self, number: int) -> None:
        if number >= len(self.engines.names):
            self._tell(f"There are only {len(self.engines.names)} engines.")
            return
        self.engines.choose(self.engines.names[number])
        self._seed = 0
        self._propose()

    def action_again(self) -> None:
        if self._busy:
            return
        self._seed += 1
        self._propose()

    def action_turn(self) -> None:
        self.query_one(ProposalView).turn()

    def action_change(self, step: int) -> None:
        self.query_one(ProposalView).to_change(step)

    def action_read(self, step: int) -> None:
        self.query_one(ProposalView).reading.scroll_relative(y=step, animate=False)

    def action_accept(self) -> None:
        proposal = self.proposal
        if proposal is None or proposal.checks is None:
            self._tell("There is no proposal to accept.")
        elif proposal.checks.unchanged:
            self._tell("The proposal is the response as it is; nothing to accept.")
        else:
            Confirming(self, self.query_one(ProposalView), proposal, self._confirmed, self._otherwise).start()

    def _confirmed(self, confirmed: list[str]) -> None:
        assert self.proposal is not None and self.proposal.checks is not None
        try:
            accept(self.edited, self.at, self.proposal, confirmed=confirmed)
        except UserError as error:
            self._tell(str(error), "$error")
            return
        words = f"{self.proposal.checks.before.words:,} → {self.proposal.checks.after.words:,} words"
        self.dismiss(f"Accepted for row {self.proposal.index}: {words}; u undoes.")

    def _otherwise(self, key: str) -> None:
        if key == "e":
            self.action_edit()
        else:
            self.action_reject()

    def action_edit(self) -> None:
        if self._busy:
            self._tell("The proposal is still on its way; escape cancels it.")
            return
        with_text = self.proposal if self.proposal is not None and self.proposal.checks is not None else None
        try:
            screen = edited_proposal(self.edited, self.at, with_text)
        except UserError as error:
            self._tell(str(error), "$error")
            return
        self.app.push_screen(screen, self._edited)

    def _edited(self, saved: bool | None) -> None:
        if saved:
            self.dismiss(f"Saved row {self.edited.row(self.at).source.index}; u undoes.")

    def action_reject(self) -> None:
        self.dismiss("Rejected; nothing was changed." if self.proposal is not None else "")

    async def action_back(self) -> None:
        """Cancels a proposal that is on its way; else leaves."""
        if not self._busy:
            self.dismiss("")
            return
        self.workers.cancel_group(self, _GROUP)
        self._busy = False
        await self.engines.cancel()
        view = self.query_one(ProposalView)
        view.show(self.edited[self.at], None)
        view.say(f"Cancelled. {self._others()}")

    def _tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)
