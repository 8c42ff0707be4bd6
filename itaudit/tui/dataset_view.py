"""What the actions of the dataset screen build on: its data, its cursor, and how it is told of changes."""

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from textual.screen import Screen

from itaudit.data.edited import EditedDataset
from itaudit.tui.dataset_lines import DatasetLines
from itaudit.tui.feed import Feed
from itaudit.tui.listing import Flags, Listing, Positions

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

Shown = Literal["edited", "original", "difference"]
"""What of an instance with edits is read."""
SHOWN: tuple[Shown, ...] = ("edited", "original", "difference")


class DatasetView(Screen[None]):
    """A dataset with its edits on the screen.

    `feed` is where the rows come from. `edited` is None until the first rows are there, and `complete` tells that all
    are. `selection_text` is the filter as it was typed and `sort` the column that the list is sorted by, with a minus
    for descending. `measures` has a row for each row of the dataset that is measured so far, and is None before.
    `found` flags the positions that the search for `pattern` found, `grouped` those that have duplicates; either may
    be shorter than the dataset. Where `grouped_known` tells that duplicates were looked for, `copies` are all but the
    first of each group.
    """

    KEY_ORDER: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.feed: Feed | None = None
        self.version = ""
        self.edited: EditedDataset | None = None
        self.measures: pa.Table | None = None
        self.complete = False
        self.listing = Listing.whole(0)
        self.selection_text = ""
        self.sort = ""
        self.pattern: Pattern | None = None
        self.found: Flags = np.zeros(0, dtype=bool)
        self.grouped: Flags = np.zeros(0, dtype=bool)
        self.grouped_known = False
        self.copies: Positions = np.zeros(0, dtype=np.int64)
        self.lines: DatasetLines | None = None

    @property
    def view(self) -> Positions:
        """The positions of the dataset in the order in which they are listed, after filter and sort."""
        return self.listing.positions

    def source_name(self) -> str:
        """What another process reads the dataset by, as it is shown here."""
        name = "" if self.feed is None else self.feed.source
        return f"{name}@{self.version}" if self.version else name

    def title_name(self, name: str) -> str:
        """How the dataset is called in the title; `name` is that of its file."""
        return name

    def position(self) -> int | None:
        """The position in the dataset of the instance under the cursor; None where no instance is shown."""
        raise NotImplementedError

    def stand_on(self, position: int) -> bool:
        """Puts the cursor on an instance; False where the filter leaves it out."""
        raise NotImplementedError

    def changed(self, positions: set[int]) -> None:
        """Shows instances anew that were edited; the filter is run again, and the cursor stays on its instance."""
        raise NotImplementedError

    def tell(self, text: str, style: str = "") -> None:
        """Says one line at the foot of the screen; an empty one takes it away."""
        raise NotImplementedError

    def show_listing(self, listing: Listing, *, top: bool = False) -> None:
        """Lists other instances; the cursor stays on its own or the one nearest to it, unless it goes to the top."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Makes the title, the lines and the text anew."""
        raise NotImplementedError
