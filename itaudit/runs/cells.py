"""Cells: one model of one run, with its place in the matrix of an experiment. What tables of results are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from itaudit.runs.run import BASE, Run


@dataclass(frozen=True, slots=True)
class Cell:
    """One model of one run. `variant`, `size` and `seed` are its place in an experiment, or empty.

    `size` counts the instances that it was tuned on, as the recipe asks for them.
    """

    run: Run
    label: str
    variant: str = ""
    size: int | None = None
    seed: int | None = None

    @property
    def is_base(self) -> bool:
        return self.label == BASE

    @property
    def group(self) -> tuple[str, int | None, str]:
        """What the seeds of one cell share: variant, size and label."""
        return self.variant, self.size, self.label

    @property
    def scored(self) -> bool:
        """Whether its responses are all scored."""
        return self.run.table("scores", self.label).closed


def cells_of(run: Run) -> tuple[Cell, ...]:
    """The models of a run on its own, the base model first."""
    return tuple(Cell(run, label) for label in run.labels)


def by_group(cells: Iterable[Cell]) -> dict[tuple[str, int | None, str], Sequence[Cell]]:
    """The cells of each group, one a seed, in the order in which the groups first come."""
    found: dict[tuple[str, int | None, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.group, []).append(cell)
    return dict(found)
