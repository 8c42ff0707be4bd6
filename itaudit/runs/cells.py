"""Cells: one model of one run, with its place in the matrix of an experiment. What tables of results are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from itaudit.errors import UserError
from itaudit.runs.run import BASE, Run


@dataclass(frozen=True, slots=True)
class Cell:
    """One model of one run. `variant`, `size` and `seed` are its place in an experiment, or empty.

    `size` counts the instances that it was tuned on, as the recipe asks for them. `problem` is a line on the file of
    it that can't be read; such a cell has its place, and counts nowhere.
    """

    run: Run
    label: str
    variant: str = ""
    size: int | None = None
    seed: int | None = None
    problem: str = ""

    @property
    def is_base(self) -> bool:
        return self.label == BASE

    @property
    def group(self) -> tuple[str, int | None, str]:
        """What the seeds of one cell share: variant, size and label."""
        return self.variant, self.size, self.label

    @property
    def answered(self) -> bool:
        """Whether its responses are all there, and can be read."""
        return not self.problem and self.run.table("responses", self.label).closed

    @property
    def scored(self) -> bool:
        """Whether its responses are all scored, and can be read."""
        return not self.problem and self.run.table("scores", self.label).closed


def cells_of(run: Run) -> tuple[Cell, ...]:
    """The models of a run on its own, the base model first. Raises UserError for a broken recipe."""
    return tuple(Cell(run, label) for label in run.labels)


def runs_of(cells: Iterable[Cell]) -> tuple[Run, ...]:
    """The runs of the cells that can be read, each once."""
    return tuple({cell.run.path: cell.run for cell in cells if not cell.problem}.values())


def by_group(cells: Iterable[Cell]) -> dict[tuple[str, int | None, str], Sequence[Cell]]:
    """The cells of each group that can be read, one a seed, in the order in which the groups first come."""
    found: dict[tuple[str, int | None, str], list[Cell]] = {}
    for cell in cells:
        if not cell.problem:
            found.setdefault(cell.group, []).append(cell)
    return dict(found)


def recipe_problem(run: Run) -> str:
    """Why the recipe of an experiment's run can't be read, and what to do; empty where it can."""
    try:
        _ = run.recipe
    except UserError as error:
        return f"{error}; mend the file, or take {run.path} away and `itaudit resume` makes the run anew"
    return ""


def check_scores(cell: Cell) -> None:
    """Raises UserError where the scores of a scored model or its responses can't be read, or are not of each other."""
    if not cell.scored:
        return
    responses, scores = (cell.run.table(kind, cell.label) for kind in ("responses", "scores"))
    answered, scored = (set(table.read()["prompt_id"].to_pylist()) for table in (responses, scores))
    if answered != scored:
        raise UserError(
            f"{scores.whole}: not the scores of {responses.whole}, whose {len(answered):,} prompts are others than its "
            f"{len(scored):,}; delete both, and `itaudit resume` makes them anew"
        )
