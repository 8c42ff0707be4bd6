"""The directory of an experiment: its recipe, its job's status, and its runs, each an ordinary run directory."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.experiments.spec import ExperimentSpec, Planned, read_written, write_spec
from itaudit.runs.cells import Cell, recipe_problem
from itaudit.runs.folders import holds, new_folder, newest_first, opened
from itaudit.runs.run import BASE, Run, is_run
from itaudit.runs.status import Status, read_status

FILE = "experiment.toml"


class Experiment:
    """One experiment directory: `experiment.toml`, `status.json`, `worker.log`, `runs/NAME/`, `shared/`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.name = self.path.name
        self.spec_path = self.path / FILE
        self.status_path = self.path / "status.json"
        self.log_path = self.path / "worker.log"
        self.runs_path = self.path / "runs"
        self.shared_path = self.path / "shared"
        if not self.spec_path.is_file():
            raise UserError(f"{path}: not an experiment (it has no {FILE}); `itaudit ls` lists those there are")

    @classmethod
    def create(cls, directory: Path, spec: ExperimentSpec) -> "Experiment":
        """Makes `directory/NAME` with its complete recipe; a name that is taken gets a number."""
        path = new_folder(directory, spec.name, "experiment")
        # Whoever lists the experiments meanwhile finds a whole recipe or none.
        atomic.write_bytes(path / FILE, write_spec(spec))
        return cls(path)

    @classmethod
    def around(cls, run: Run) -> "Experiment | None":
        """The experiment that a run belongs to; None for a run on its own."""
        folder = run.path.parent.parent
        return cls(folder) if run.path.parent.name == "runs" and is_experiment(folder) else None

    @cached_property
    def spec(self) -> ExperimentSpec:
        """What was asked for; raises UserError where somebody broke the file."""
        return read_written(self.spec_path)

    def status(self) -> Status | None:
        return read_status(self.status_path)

    def run_of(self, planned: Planned) -> Run | None:
        """A planned run, if it was begun."""
        path = self.runs_path / planned.name
        return Run(path) if is_run(path) else None

    def cells(self) -> tuple[Cell, ...]:
        """Every model of every run that was begun, in the order of the plan, the base model of each run first.

        Those of a run whose recipe can't be read have a `problem`.
        """
        return tuple(self._cells())

    def _cells(self) -> Iterator[Cell]:
        for planned in self.spec.runs:
            run = self.run_of(planned)
            if run is not None:
                problem = recipe_problem(run)
                for label in (BASE, *planned.recipe.models):
                    # Models that the plan got since the run was begun are not there yet.
                    if problem or label in run.labels:
                        yield Cell(run, label, planned.variant, planned.size, planned.seed, problem)


def is_experiment(path: Path) -> bool:
    """Whether a path is the directory of an experiment."""
    return holds(path, FILE)


def name_in_all(run: Run) -> str:
    """What a run is called beside runs of other experiments, in which it may have the same name."""
    experiment = Experiment.around(run)
    return f"{experiment.name}-{run.name}" if experiment else run.name


def list_experiments(directory: Path) -> Iterator[Experiment]:
    """The experiments in a directory, newest first; one that is taken away meanwhile is left out."""
    return opened(newest_first(directory, is_experiment), Experiment)
