"""What the shift tables are made of: totals by prompt of each model, seed by seed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from itaudit.analysis.intervals import Totals, pooled
from itaudit.runs.cells import Cell, by_group

MEASURES = ("kl", "kl_top", "unshifted", "marginal", "shifted")
"""Means over positions: KL(tuned‖base) in nats, KL over the top-30 lists as AlignTDS computes it, and the shares."""


@dataclass(frozen=True, slots=True)
class SeedTotals:
    """(sum, positions) by prompt for each measure that is known, and (positions, 1) as `length`."""

    measures: Mapping[str, Totals]
    cut_off: int
    responses: int

    @property
    def tokens(self) -> int:
        return round(sum(numerator for numerator, _ in self.measures["length"].values()))


@dataclass(frozen=True)
class Group:
    """The scored seeds of one model at one variant and size."""

    variant: str
    size: int | None
    label: str
    method: str
    cells: Sequence[Cell]
    seeds: Mapping[int | None, SeedTotals] = field(repr=False)

    @cached_property
    def _pooled(self) -> dict[str, dict[str, tuple[float, float]]]:
        return {name: self._over(name, self.seeds) for name in (*MEASURES, "length")}

    def totals(self, measure: str) -> Totals:
        """Over all seeds; empty where a seed lacks the measure."""
        return self._pooled[measure]

    def of_seed(self, measure: str, seed: int | None) -> Totals:
        """Of one seed; empty where it lacks the measure."""
        return self.seeds[seed].measures.get(measure, {})

    @property
    def tokens(self) -> int:
        return sum(totals.tokens for totals in self.seeds.values())

    @property
    def responses(self) -> int:
        return sum(totals.responses for totals in self.seeds.values())

    @property
    def cut_off(self) -> float | None:
        """Share of responses that reached the longest length."""
        return sum(totals.cut_off for totals in self.seeds.values()) / self.responses if self.responses else None

    def _over(self, measure: str, seeds: Iterable[int | None]) -> dict[str, tuple[float, float]]:
        found = [self.seeds[seed].measures.get(measure) for seed in seeds]
        known = [totals for totals in found if totals is not None]
        return pooled(known) if len(known) == len(found) else {}


def tuned_on(cell: Cell) -> int | None:
    """How many different instances a model learnt from; None of one that was not tuned here, or not yet."""
    stage = cell.run.state().stages.get(f"tune:{cell.label}")
    return int(stage.facts["instances"]) if stage is not None and stage.facts.get("instances") else None


def paired(measure: str, *groups: Group) -> list[Totals]:
    """The totals of groups over the seeds that all of them have, so that like is compared with like."""
    shared = [seed for seed in groups[0].seeds if all(seed in group.seeds for group in groups)]
    return [group._over(measure, shared) for group in groups]


def shift_groups(cells: Iterable[Cell]) -> list[Group]:
    """The scored models other than the base model, in the order of the cells, by size where they have one."""
    cells, groups = tuple(cells), []
    for (variant, size, label), seeds in by_group(cell for cell in cells if not cell.is_base and cell.scored).items():
        method = seeds[0].run.recipe.models[label].method
        groups.append(Group(variant, size, label, method, seeds, {cell.seed: _totals(cell) for cell in seeds}))
    # An experiment does the ends of a ladder first; people read it from the smallest up.
    variants = list(dict.fromkeys(cell.variant for cell in cells))
    labels = list(dict.fromkeys(cell.label for cell in cells))
    return sorted(groups, key=lambda g: (variants.index(g.variant), g.size or 0, labels.index(g.label)))


def _totals(cell: Cell) -> SeedTotals:
    shifts = cell.run.prompt_shifts(cell.label)
    measures: dict[str, Totals] = {
        name: {prompt_id: (getattr(shift, name), shift.tokens) for prompt_id, shift in shifts.items()}
        for name in ("unshifted", "marginal", "shifted")
    }
    measures["length"] = {prompt_id: (shift.tokens, 1) for prompt_id, shift in shifts.items()}
    sums = {prompt_id: shift.kl_sum for prompt_id, shift in shifts.items()}
    if shifts and None not in sums.values():
        measures["kl"] = {prompt_id: (kl or 0.0, shifts[prompt_id].tokens) for prompt_id, kl in sums.items()}
    if cell.run.recipe.score.aligntds and (top := _top_sums(cell)):
        measures["kl_top"] = {prompt_id: (kl, shifts[prompt_id].tokens) for prompt_id, kl in top.items()}
    finishes = cell.run.table("responses", cell.label).read()["finish"].to_pylist()
    return SeedTotals(measures, finishes.count("cut_off"), len(shifts))


def _top_sums(cell: Cell) -> dict[str, float]:
    """The sum over positions of KL over the top-30 lists, by prompt; empty where some response lacks it."""
    table = cell.run.table("scores", cell.label).read().select(["prompt_id", "kl_aligntds"])
    rows = zip(table["prompt_id"].to_pylist(), table["kl_aligntds"], strict=True)
    sums = {prompt_id: float(np.sum(kl.values.to_numpy())) for prompt_id, kl in rows if kl.is_valid}
    return sums if len(sums) == len(table) else {}
