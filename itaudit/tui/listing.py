"""Which instances a list shows, and in which order: positions of a dataset by line."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """`positions` [lines] are distinct positions of a dataset; `ascending` where they stand in its order."""

    positions: Positions
    ascending: bool = True

    @classmethod
    def whole(cls, count: int) -> "Listing":
        """All of a dataset, in its order."""
        return cls(np.arange(count, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.positions)

    def position(self, line: int) -> int | None:
        """The position that a line shows; None beyond the last line."""
        return int(self.positions[line]) if 0 <= line < len(self.positions) else None

    def line(self, position: int) -> int | None:
        """The line that shows a position; None where it is left out."""
        if self.ascending:
            line = int(np.searchsorted(self.positions, position))
            return line if line < len(self.positions) and self.positions[line] == position else None
        lines = np.flatnonzero(self.positions == position)
        return int(lines[0]) if len(lines) else None

    def nearest_line(self, position: int) -> int:
        """The line that shows a position, or the next one after it in the dataset's order; 0 without any."""
        line = self.line(position)
        if line is not None:
            return line
        after = np.flatnonzero(self.positions > position)
        if not len(after):
            return max(0, len(self.positions) - 1) if self.ascending else 0
        return int(after[0] if self.ascending else after[np.argmin(self.positions[after])])

    def lines(self, flags: Flags) -> Positions:
        """The lines, ascending, whose positions are flagged; `flags` [dataset] may end early."""
        if not len(flags):
            return np.empty(0, dtype=np.int64)
        inside = self.positions < len(flags)
        hits = flags[np.where(inside, self.positions, 0)] & inside
        return np.flatnonzero(hits)
