"""What the actions of the dataset screen build on: its data, its cursor, and how it is told of changes."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from textual.screen import Screen

from itaudit.data.edited import EditedDataset

Positions = npt.NDArray[np.int64]


class DatasetView(Screen[None]):
    """A dataset with its edits on the screen.

    `edited` is None until the first rows are there. `view` holds the positions of the dataset in the order in which
    they are listed, after filter and sort; `selection_text` is the filter as it was typed. `measures` has a row for
    each row of the dataset that is measured so far, and is None before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.edited: EditedDataset | None = None
        self.measures: pa.Table | None = None
        self.view: Positions = np.arange(0, dtype=np.int64)
        self.selection_text = ""

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
