"""The proposals of a batch that wait for a decision, the gravest first."""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from itaudit.data.edited import EditedDataset
from itaudit.errors import UserError
from itaudit.simplify.batch import Batch
from itaudit.simplify.proposal import Proposal
from itaudit.tui.accepting import accept


@dataclass(frozen=True, slots=True)
class Waiting:
    """A proposal, and where its instance stands in the dataset; None where the dataset does not hold it."""

    proposal: Proposal
    position: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about a proposal, to take it back."""

    kind: Literal["accepted", "rejected", "edited"]
    waiting: Waiting


class ReviewQueue:
    """The undecided proposals in order. Decisions are on the disk before they are in the queue."""

    def __init__(self, edited: EditedDataset, batch: Batch) -> None:
        self.edited = edited
        self.batch = batch
        self.waiting: list[Waiting] = []
        self.decisions: list[Decision] = []
        self.decided = 0
        self._known: set[str] = set()

    def __len__(self) -> int:
        return len(self.waiting)
