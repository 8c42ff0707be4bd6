"""The proposals of a batch that wait for a decision, the gravest first."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from itaudit.data.edited import Change, EditedDataset
from itaudit.errors import UserError
from itaudit.simplify.batch import Batch, Waiting
from itaudit.simplify.proposal import Proposal
from itaudit.tui.accepting import accept, acceptance


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about proposals, to take it back."""

    kind: Literal["accepted", "rejected"]
    waiting: tuple[Waiting, ...]


class ReviewQueue:
    """The undecided proposals in order. A decision is on the disk before it leaves the queue."""

    def __init__(self, edited: EditedDataset, batch: Batch) -> None:
        self.edited = edited
        self.batch = batch
        self.waiting: list[Waiting] = []
        self.decisions: list[Decision] = []
        self._known: set[int] = set()

    def __len__(self) -> int:
        return len(self.waiting)

    def take(self, found: Iterable[Waiting]) -> bool:
        """Takes in what `Batch.undecided` found; False where nothing of it is new."""
        new = [each for each in found if each.entry.index not in self._known]
        if not new:
            return False
        self._known.update(each.entry.index for each in new)
        self.waiting = sorted([*self.waiting, *new], key=_order)
        return True

    def proposal(self, place: int) -> Proposal:
        """The proposal at a place of the queue. Raises UserError where it can't be read."""
        try:
            return self.batch.proposal(self.waiting[place].entry.index)
        except OSError as error:
            raise UserError(f"{self.batch.proposals_path}: can't read the proposal: {error.strerror}") from None

    def stale(self, place: int) -> bool:
        """Whether the instance says something else than when it was simplified."""
        waiting = self.waiting[place]
        if not waiting.stale and not self.edited.row(waiting.position).edits:
            return False
        return (self.edited[waiting.position].response or "") != self.proposal(place).before

    def accept(self, place: int, confirmed: Sequence[str] = ()) -> Waiting:
        """Accepts a proposal; raises UserError where that can't be done, and leaves it in the queue."""
        waiting = self.waiting[place]
        accept(self.edited, waiting.position, self.proposal(place), batch=self.batch.name, confirmed=confirmed)
        self._decided("accepted", place)
        return waiting

    def reject(self, place: int) -> Waiting:
        """Turns a proposal down; raises UserError where that can't be written."""
        waiting = self.waiting[place]
        self.batch.reject(waiting.entry.index)
        self._decided("rejected", place)
        return waiting

    def edited_by_hand(self, place: int) -> None:
        """Takes note of a proposal that was accepted as the user edited it."""
        self._decided("accepted", place)

    def passing(self) -> list[Waiting]:
        """Those that need no confirmation, and whose instances are as they were."""
        return [each for each in self.waiting if each.entry.passes and not each.stale]

    def accept_together(self, chosen: Sequence[Waiting]) -> tuple[list[Waiting], str]:
        """Accepts proposals that pass; they stay in the queue until `accepted_many`.

        Returns those that were accepted, and a line on what stopped the others.
        """
        changes: dict[int, Change] = {}
        failure = ""
        for place, each in enumerate(chosen):
            proposal = self.batch.proposal(each.entry.index)
            try:
                changes[place] = acceptance(self.edited, each.position, proposal, batch=self.batch.name)
            except UserError as error:
                failure = str(error)
        try:
            self.edited.edit_all(list(changes.values()))
        except UserError as error:
            if len(chosen) == 1:
                return [], str(error)
            # One of them stops all: then each for itself.
            alone = [self.accept_together([chosen[place]]) for place in changes]
            done = [each for found, _ in alone for each in found]
            return done, next((words for _, words in alone if words), failure)
        return [chosen[place] for place in changes], failure

    def accepted_many(self, done: Sequence[Waiting]) -> None:
        """Takes what was accepted together out of the queue, as one decision."""
        gone = {each.entry.index for each in done}
        self.waiting = [each for each in self.waiting if each.entry.index not in gone]
        if done:
            self.decisions.append(Decision("accepted", tuple(done)))

    def take_back(self, kind: str, waiting: Waiting) -> None:
        """Takes one decision back; raises UserError where a later edit of the instance stands on it."""
        if kind == "rejected":
            self.batch.restore(waiting.entry.index)
            return
        row = self.edited.row(waiting.position)
        if row.edits and row.edits[-1].proposal == self.batch.key(waiting.entry.index):
            self.edited.undo(waiting.position)
        elif any(edit.proposal == self.batch.key(waiting.entry.index) for edit in row.edits):
            raise UserError(f"row {waiting.entry.index}: a later edit stands on it; the log undoes both")

    def put_back(self, back: Iterable[Waiting]) -> int:
        """Puts proposals into the queue again; returns the place of the first of them."""
        back = list(back)
        self.waiting = sorted([*self.waiting, *back], key=_order)
        return bisect_left(self.waiting, _order(back[0]), key=_order) if back else 0

    def _decided(self, kind: Literal["accepted", "rejected"], place: int) -> None:
        self.decisions.append(Decision(kind, (self.waiting.pop(place),)))


def _order(waiting: Waiting) -> tuple[float, int]:
    return (-waiting.entry.severity, waiting.entry.index)
