"""The review queue: a batch's proposals one after the other, the gravest first, each decided with a key."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
from itaudit.simplify.batch import Batch, BatchStatus, Waiting
from itaudit.simplify.proposal import Proposal
from itaudit.tui.accepting import edited_proposal
from itaudit.tui.batch_text import batch_progress
from itaudit.tui.checks_text import severity_mark
from itaudit.tui.confirming import Confirming
from itaudit.tui.review_queue import ReviewQueue
from itaudit.tui.screens.choice import ChoiceScreen
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.proposal_view import ProposalView
from itaudit.tui.widgets.reading_pane import ReadingPane
from itaudit.units import duration_text

_GROUP = "review.many"
_TOGETHER = 25
"""Decisions between two chances for the keys: some hundredths of a second."""


@dataclass
class Reviewed:
    """What came of a review: the positions that changed, and a line about it."""

    changed: set[int] = field(default_factory=set)
    words: str = ""


class ReviewScreen(Screen[Reviewed]):
    """Decides about the proposals of a batch; those that still arrive are taken in."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high")]
    CSS = """
    ReviewScreen { layout: vertical; background: $background; }
    ReviewScreen #title { height: 1; padding: 0 1; background: $panel; }
    ReviewScreen #body { height: 1fr; }
    ReviewScreen #queue { width: 2fr; height: 1fr; min-width: 8; min-height: 2; border-right: solid $panel; }
    ReviewScreen ProposalView { width: 3fr; min-width: 8; }
    ReviewScreen.-narrow #body { layout: vertical; }
    ReviewScreen.-narrow #queue { width: 1fr; height: 5; border-right: none; border-bottom: solid $panel; }
    ReviewScreen.-narrow.-short #queue { height: 2; }
    ReviewScreen.-narrow ProposalView { width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "accept", "accept", id="review.accept"),
        Binding("r", "reject", "reject", id="review.reject"),
        Binding("e", "edit", "edit", id="review.edit", tooltip="Edit the proposal, then accept it"),
        Binding("u", "undo", "undo", id="review.undo", tooltip="Take the last decision back"),
        Binding("A", "accept_all", "all that pass", id="review.accept_all", tooltip="Accept all that pass the checks"),
        Binding("v", "turn", "view", id="review.view", tooltip="Difference, proposal or original"),
        Binding("n", "change(1)", "next change", id="review.next_change", show=False),
        Binding("N", "change(-1)", "previous change", id="review.previous_change", show=False),
        Binding("J,shift+down", "read(3)", "scroll text down", id="review.read_down", show=False),
        Binding("K,shift+up", "read(-3)", "scroll text up", id="review.read_up", show=False),
        Binding("space", "read(10)", "page of text down", id="review.page_down", show=False),
        Binding("escape", "back", "back", id="review.back"),
    ]

    def __init__(self, edited: EditedDataset, batch: Batch, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.edited = edited
        self.job = batch
        self.queue = ReviewQueue(edited, batch)
        self.clock = clock
        self.reviewed = Reviewed()
        self._status: BatchStatus | None = None
        self._proposal: Proposal | None = None
        self._accepted = self._rejected = 0
        self._busy = ""

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Horizontal(id="body"):
            yield LineList(self._line, id="queue")
            yield ProposalView(id="proposal")
        yield PromptLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(ReadingPane).can_focus = False
        self.query_one(LineList).focus()
        self.query_one(ProposalView).say("Reading the proposals …", "$foreground-muted")
        self.run_worker(self._keep_reading(), group="review.reading")

    async def _keep_reading(self) -> None:
        """Takes in what the worker still writes; off the screen's thread, since there may be thousands."""
        first, taken = True, -1
        while True:
            began = self.clock()
            try:
                # Reads what came, so that nothing comes after the word that the worker is done.
                self._status = await asyncio.to_thread(self.job.status)
                if (read := self.job.read) != taken:
                    found = await asyncio.to_thread(self.job.undecided, self.edited)
                    self._take(found, first)
                    first, taken = False, read
            except UserError as error:
                self._tell(str(error), "$error")
            self._paint_title()
            at_work = self._status is not None and self._status.at_work
            took = self.clock() - began
            await asyncio.sleep(max(1.0 if at_work else 3.0, 4 * took))

    def _take(self, found: list[Waiting], first: bool) -> None:
        lines = self.query_one(LineList)
        here = self.queue.waiting[lines.cursor] if lines.cursor < len(self.queue) else None
        if not self.queue.take(found) and not first:
            return
        lines.show(len(self.queue))
        if here is not None:
            lines.stand_on(self.queue.waiting.index(here))
        else:
            lines.stand_on(0)
            self._show()

    def _show(self) -> None:
        """The proposal under the cursor."""
        lines, view = self.query_one(LineList), self.query_one(ProposalView)
        self._paint_title()
        if not len(self.queue):
            self._proposal = None
            view.reading.show(Content())
            done = f"{self._accepted:,} accepted, {self._rejected:,} rejected. " if self.queue.decisions else ""
            view.say(f"{done}Nothing waits for a decision. escape goes back, u takes the last decision back.")
            return
        place = min(lines.cursor, len(self.queue) - 1)
        try:
            self._proposal = self.queue.proposal(place)
            stale = self.queue.stale(place)
        except UserError as error:
            self._tell(str(error), "$error")
            return
        view.show(self.edited[self.queue.waiting[place].position], self._proposal)
        if stale:
            view.say(
                "≠ The response was changed since this was proposed: it can't be accepted. "
                "r drops the proposal, e edits the response by hand.",
                "bold $warning",
            )

    def _line(self, place: int, width: int) -> Content:
        if place >= len(self.queue):
            return Content()
        waiting = self.queue.waiting[place]
        entry = waiting.entry
        mark, style = ("≠", "bold $warning") if waiting.stale else severity_mark(entry)
        words = "; ".join(entry.reasons) or self.edited[waiting.position].instruction[: 2 * width]
        line = Content.assemble(
            (mark, style), (f" {entry.index:>4} ", "$foreground-muted"), visible_line(words[: 4 * width])
        )
        return line.truncate(max(1, width), ellipsis=True)

    def _paint_title(self) -> None:
        parts = [f"{len(self.queue):,} waiting"]
        if self._accepted or self._rejected:
            parts.append(f"{self._accepted:,} accepted · {self._rejected:,} rejected")
        if self._status is not None and self._status.state != "done":
            parts.append(batch_progress(self._status))
        title = Content.assemble(
            ("review", "bold $primary"),
            f"  {visible_line(self.job.name)}  ",
            (" · ".join(parts), "$foreground-muted"),
        )
        self.query_one("#title", Static).update(title, layout=False)

    def on_line_list_moved(self) -> None:
        self._show()

    def action_accept(self) -> None:
        proposal, place = self._proposal, self._here()
        if place is None or proposal is None or proposal.checks is None:
            return
        view = self.query_one(ProposalView)
        waiting = self.queue.waiting[place]
        if self.queue.stale(place):
            self._tell("The response was changed since: r drops the proposal, e edits the response.", "$warning")
            return
        Confirming(self, view, proposal, lambda words: self._accept(waiting, words), self._otherwise).start()

    def _accept(self, waiting: Waiting, confirmed: Sequence[str]) -> None:
        # While a question stood there, others may have arrived before it.
        place = self.queue.waiting.index(waiting)
        if self._done(lambda: self.queue.accept(place, confirmed)):
            self._accepted += 1
            self.reviewed.changed.add(waiting.position)
            self._next()

    def _otherwise(self, key: str) -> None:
        if key == "e":
            self.action_edit()
        else:
            self.action_reject()

    def action_reject(self) -> None:
        place = self._here()
        if place is not None and self._done(lambda: self.queue.reject(place)):
            self._rejected += 1
            self._next()

    def _done(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except UserError as error:
            self._tell(str(error), "$error")
            return False
        self._tell("")
        return True

    def _next(self) -> None:
        """Shows what stands where the decided one stood."""
        lines = self.query_one(LineList)
        before = lines.cursor
        lines.show(len(self.queue))
        if lines.cursor == before or not len(self.queue):
            self._show()

    def _here(self) -> int | None:
        """The place of the queue under the cursor, if there is one to decide about."""
        if self._busy:
            self._tell(f"{self._busy} escape stops it.")
            return None
        place = self.query_one(LineList).cursor
        return place if place < len(self.queue) else None

    def action_edit(self) -> None:
        place = self._here()
        if place is None:
            return
        waiting = self.queue.waiting[place]
        proposal = None if self.queue.stale(place) else self._proposal
        try:
            screen = edited_proposal(self.edited, waiting.position, proposal, batch=self.job.name)
        except UserError as error:
            self._tell(str(error), "$error")
            return

        def back(saved: bool | None) -> None:
            if not saved:
                return
            self.reviewed.changed.add(waiting.position)
            if proposal is None:
                self._show()
                self._tell("Saved; r drops the proposal that no longer fits.")
                return
            self.queue.edited_by_hand(self.queue.waiting.index(waiting))
            self._accepted += 1
            self._next()

        self.app.push_screen(screen, back)

    def action_undo(self) -> None:
        if self._busy:
            return
        if not self.queue.decisions:
            self._tell("Nothing was decided here yet; the log (v on the dataset) has older decisions.")
            return
        decision = self.queue.decisions[-1]
        if len(decision.waiting) > 1:
            question = f"Take back all {len(decision.waiting):,} that were accepted together?"
            self.app.push_screen(
                ChoiceScreen(question, [("y", "take them back")]),
                lambda key: self._undo_many() if key == "y" else None,
            )
            return
        waiting = decision.waiting[0]
        if self._done(lambda: self.queue.take_back(decision.kind, waiting)):
            self.queue.decisions.pop()
            self._undone(decision.kind, [waiting])

    def _undone(self, kind: str, back: list[Waiting]) -> None:
        if kind == "accepted":
            self._accepted -= len(back)
            self.reviewed.changed.update(each.position for each in back)
        else:
            self._rejected -= len(back)
        if not back:
            return
        place = self.queue.put_back(back)
        lines = self.query_one(LineList)
        lines.show(len(self.queue))
        lines.stand_on(place)
        self._show()
        self._tell(f"{len(back):,} taken back." if len(back) > 1 else "Taken back.")

    def action_accept_all(self) -> None:
        passing = self.queue.passing()
        if self._busy:
            return
        if not passing:
            self._tell("None of those that wait passes the checks.")
            return
        question = f"Accept all {len(passing):,} that pass the checks, of {len(self.queue):,} that wait?"
        self.app.push_screen(
            ChoiceScreen(question, [("y", "accept them")]),
            lambda key: self._accept_many(passing) if key == "y" else None,
        )

    def _accept_many(self, passing: list[Waiting]) -> None:
        self.run_worker(self._accepting(passing), group=_GROUP, exclusive=True)

    async def _accepting(self, passing: list[Waiting]) -> None:
        done: list[Waiting] = []
        failure = ""
        began = self.clock()
        try:
            for start in range(0, len(passing), _TOGETHER):
                accepted, failed = self.queue.accept_together(passing[start : start + _TOGETHER])
                done += accepted
                failure = failed or failure
                await self._breathe("Accepting", start + _TOGETHER, len(passing), began)
        finally:
            # Also where it was stopped: what is written is decided.
            self.queue.accepted_many(done)
            self._accepted += len(done)
            self.reviewed.changed.update(each.position for each in done)
            self._many_done(f"Accepted {len(done):,}.", len(passing) - len(done), failure)

    def _undo_many(self) -> None:
        self.run_worker(self._undoing(), group=_GROUP, exclusive=True)

    async def _undoing(self) -> None:
        decision = self.queue.decisions.pop()
        left = list(decision.waiting)
        back: list[Waiting] = []
        failure = ""
        began = self.clock()
        try:
            while left:
                try:
                    self.queue.take_back(decision.kind, left[-1])
                except UserError as error:
                    failure = str(error)
                    break
                back.append(left.pop())
                if len(back) % _TOGETHER == 0:
                    await self._breathe("Taking back", len(back), len(decision.waiting), began)
        finally:
            self._busy = ""
            self.queue.accepted_many(left)
            self._undone(decision.kind, back)
            if failure:
                self._tell(failure, "$error")

    async def _breathe(self, word: str, done: int, total: int, began: float) -> None:
        """Tells how far it is, and lets the keys be answered."""
        left = duration_text((self.clock() - began) / done * max(0, total - done))
        self._busy = f"{word} {min(done, total):,} of {total:,} · {left} left ·"
        self._tell(f"{self._busy} escape stops")
        await asyncio.sleep(0.005)

    def _many_done(self, words: str, missing: int, failure: str) -> None:
        self._busy = ""
        self.query_one(LineList).show(len(self.queue))
        self._show()
        more = f" {missing:,} were left: {failure or 'stopped'}" if missing else ""
        self._tell(words + more, "$warning" if missing else "")

    def action_turn(self) -> None:
        self.query_one(ProposalView).turn()

    def action_change(self, step: int) -> None:
        self.query_one(ProposalView).to_change(step)

    def action_read(self, step: int) -> None:
        self.query_one(ProposalView).reading.scroll_relative(y=step, animate=False)

    def action_back(self) -> None:
        if self._busy:
            self.workers.cancel_group(self, _GROUP)
            return
        if self.queue.decisions:
            self.reviewed.words = f"Accepted {self._accepted:,}, rejected {self._rejected:,}; {len(self.queue):,} wait."
        self.dismiss(self.reviewed)

    def _tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)
