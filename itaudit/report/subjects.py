"""What a report is about: experiments, and runs beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from itaudit import paths
from itaudit.experiments.experiment import Experiment, is_experiment
from itaudit.runs.cells import Cell, cells_of, runs_of
from itaudit.runs.run import Run


@dataclass(frozen=True, slots=True)
class Subject:
    """One part of a report: an experiment, or the runs that were named. `reference` is the label compared with."""

    name: str
    paths: tuple[Path, ...]
    cells: tuple[Cell, ...]
    reference: str
    published: str = ""
    experiment: Experiment | None = None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that were begun and can be read, each once."""
        return runs_of(self.cells)

    @property
    def finished(self) -> bool:
        """Whether all that is to be scored is scored, as far as it can be read."""
        begun = len({cell.run.path for cell in self.cells})
        planned = len(self.experiment.spec.runs) if self.experiment else begun
        return begun == planned and all(cell.is_base or cell.problem or cell.scored for cell in self.cells)


def subjects_of(places: Sequence[Path]) -> list[Subject]:
    """Each experiment by itself; then all runs as one subject, in which a run stands where a variant would.

    A place is a directory, or a name in the runs directory. Raises UserError for what is neither.
    """
    found = dict.fromkeys(_directory(place) for place in places)
    experiments = [_of_experiment(Experiment(path)) for path in found if is_experiment(path)]
    runs = [Run(path) for path in found if not is_experiment(path)]
    return [*experiments, *([_of_runs(runs)] if runs else [])]


def _directory(place: Path) -> Path:
    named = paths.runs_dir() / place
    return (named if not place.exists() and named.is_dir() else place).resolve()


def _of_experiment(experiment: Experiment) -> Subject:
    spec = experiment.spec
    return Subject(
        experiment.name, (experiment.path,), experiment.cells(), spec.reference, spec.matrix.published, experiment
    )


def _of_runs(runs: Sequence[Run]) -> Subject:
    variant = len(runs) > 1
    cells = tuple(replace(cell, variant=run.name if variant else "") for run in runs for cell in cells_of(run))
    name = " and ".join(run.name for run in runs)
    return Subject(name, tuple(run.path for run in runs), cells, runs[0].labels[1])
