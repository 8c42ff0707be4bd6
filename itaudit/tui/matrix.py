"""The cells of an experiment as rows and columns: sizes are columns where there are some, else the models are."""

from dataclasses import dataclass

from itaudit.experiments.progress import CellProgress, ExperimentProgress, RunProgress
from itaudit.experiments.spec import ExperimentSpec, Planned
from itaudit.runs.cells import Cell


@dataclass(frozen=True, slots=True)
class Spot:
    """A tuned model of a planned run."""

    planned: Planned
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row: what names it, and what stands in each column; None where nothing is planned."""

    name: str
    spots: tuple[Spot | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """`corner` says what the columns are."""

    corner: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def matrix_of(spec: ExperimentSpec) -> Matrix:
    """The matrix that an experiment plans, variants and models in their written order."""
    sizes = sorted({planned.size for planned in spec.runs if planned.size is not None})
    seeds = sorted({planned.seed for planned in spec.runs})
    planned = {(run.variant, run.size, run.seed): run for run in spec.runs}
    rows = []
    for variant in spec.variants:
        for label in spec.labels if sizes else ("",):
            for seed in seeds:
                spots = (
                    tuple(_spot(planned.get((variant, size, seed)), label) for size in sizes)
                    if sizes
                    else tuple(_spot(planned.get((variant, None, seed)), each) for each in spec.labels)
                )
                if any(spots):
                    parts = [variant] if len(spec.variants) > 1 else []
                    parts += [label] if label else []
                    parts += [f"seed {seed}"] if len(seeds) > 1 else []
                    rows.append(Row(" ".join(parts) or spec.name, spots))
    columns = tuple(f"{size:,}" for size in sizes) or spec.labels
    return Matrix("instances" if sizes else "model", columns, tuple(rows))


def _spot(planned: Planned | None, label: str) -> Spot | None:
    return Spot(planned, label) if planned is not None and label in planned.recipe.models else None


def run_progress(progress: ExperimentProgress, spot: Spot) -> RunProgress | None:
    """What the run of a cell is doing."""
    return next((run for run in progress.runs if run.planned.name == spot.planned.name), None)


def cell_progress(run: RunProgress | None, spot: Spot) -> CellProgress | None:
    """What a cell is doing."""
    return next((cell for cell in run.cells if cell.label == spot.label), None) if run else None


def cell_of(run: RunProgress | None, label: str) -> Cell | None:
    """A model of a run that was begun; None before."""
    if run is None or run.run is None:
        return None
    return Cell(run.run, label, run.planned.variant, run.planned.size, run.planned.seed)
