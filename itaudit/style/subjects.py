"""Whose answers are compared: the models of an experiment's cells with their seeds together, and the dataset's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from itaudit.analysis.intervals import Totals, pooled
from itaudit.analysis.table import Column, Value
from itaudit.runs.cells import Cell, by_group
from itaudit.runs.run import BASE, Run
from itaudit.style.fill import DATASET, REFERENCES, Styled, styled


@dataclass(frozen=True)
class Subject:
    """One model of an experiment: a cell a seed. `label` is also that of the dataset or of the references."""

    label: str
    runs: tuple[Run, ...]

    @cached_property
    def seeds(self) -> list[list[Styled]]:
        """What was measured of its responses, seed by seed; kept only as long as this is."""
        return [styled(run, self.label) for run in self.runs]

    def totals(self, of: Callable[[Styled], tuple[float, float]]) -> Totals:
        """Numerator and denominator of each response, added up over the seeds."""
        return pooled({one.prompt_id: of(one) for one in responses} for responses in self.seeds)

    def means(self, of: Callable[[Styled], float]) -> Totals:
        """Totals whose quotient is the mean of one value a response."""
        return self.totals(lambda one: (of(one), 1.0))

    def values(self, of: Callable[[Styled], float]) -> dict[str, list[float]]:
        """One value a response, by prompt, a value a seed."""
        found: dict[str, list[float]] = {}
        for responses in self.seeds:
            for one in responses:
                found.setdefault(one.prompt_id, []).append(of(one))
        return found


@dataclass(frozen=True)
class Place:
    """One variant and size of an experiment, or a run: the models in it, by label, the base model first."""

    variant: str
    size: int | None
    models: Mapping[str, Subject]

    @property
    def base(self) -> Subject | None:
        return self.models.get(BASE)

    @property
    def tuned(self) -> list[Subject]:
        return [subject for label, subject in self.models.items() if label != BASE]

    @cached_property
    def dataset(self) -> Subject:
        """The answers of the dataset; seeds share it, or draw it alike."""
        return Subject(DATASET, (self._run,))

    @cached_property
    def references(self) -> Subject | None:
        """The references of the prompts, where there are any."""
        found = Subject(REFERENCES, (self._run,))
        return found if found.seeds[0] else None

    @property
    def _run(self) -> Run:
        return next(iter(self.models.values())).runs[0]

    def row(self, label: str) -> dict[str, Value]:
        """What a row of this place begins with."""
        return {"variant": self.variant, "size": self.size, "model": label}


def places(cells: Sequence[Cell]) -> list[Place]:
    """The places of an experiment that have something to tell: answered by the base model, scored of the others."""
    there = [cell for cell in cells if measured(cell)]
    found: dict[tuple[str, int | None], dict[str, Subject]] = {}
    for (variant, size, label), group in by_group(there).items():
        found.setdefault((variant, size), {})[label] = Subject(label, tuple(cell.run for cell in group))
    # An experiment does the ends of a ladder first; people read it from the smallest up.
    variants = list(dict.fromkeys(variant for variant, _ in found))
    ordered = sorted(found.items(), key=lambda one: (variants.index(one[0][0]), one[0][1] or 0))
    return [Place(variant, size, models) for (variant, size), models in ordered if set(models) != {BASE}]


def place_columns(there: Sequence[Place]) -> tuple[Column, ...]:
    """The columns that a row begins with: those that tell places apart, and the model's label."""
    columns = []
    if len({place.variant for place in there}) > 1:
        columns.append(Column("variant", "variant", "text"))
    if any(place.size is not None for place in there):
        columns.append(Column("size", "instances", "count"))
    return (*columns, Column("model", "model", "text"))


def measured(cell: Cell) -> bool:
    """Whether there is something to tell of a cell."""
    return cell.answered if cell.is_base else cell.scored
