"""What home shows of a directory: its runs and experiments as they are now."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from itaudit.errors import UserError
from itaudit.experiments import jobs as experiment_jobs
from itaudit.experiments.experiment import Experiment, list_experiments
from itaudit.experiments.progress import ExperimentProgress, ExperimentWatch
from itaudit.runs import jobs
from itaudit.runs.run import BASE, Run, list_runs
from itaudit.runs.state import RunState
from itaudit.runs.watch import Watch
from itaudit.tui.experiment_text import job_text
from itaudit.tui.progress import job_words


@dataclass(frozen=True, slots=True)
class RunEntry:
    """What the list shows of a run. `kl` is mean KL in nats by model, of the models whose scores are whole."""

    run: Run
    state: RunState
    labels: tuple[str, ...]
    kl: tuple[tuple[str, float], ...]
    changed: float
    problem: str = ""

    @property
    def path(self) -> Path:
        return self.run.path

    @property
    def at_work(self) -> bool:
        return self.state.job in ("queued", "running")

    @property
    def words(self) -> str:
        """What its job is doing."""
        return job_words(self.state)

    def cancel(self) -> int:
        return jobs.cancel(self.run)

    def start(self) -> int:
        return jobs.start(self.run)


@dataclass(frozen=True, slots=True)
class ExperimentEntry:
    """What the list shows of an experiment; `progress` is None where its recipe can't be read."""

    experiment: Experiment
    progress: ExperimentProgress | None
    changed: float
    problem: str = ""

    @property
    def path(self) -> Path:
        return self.experiment.path

    @property
    def at_work(self) -> bool:
        return self.progress is not None and self.progress.at_work

    @property
    def words(self) -> str:
        """What its job is doing."""
        return job_text(self.progress) if self.progress else "unreadable"

    def cancel(self) -> int:
        return experiment_jobs.cancel(self.experiment)

    def start(self) -> int:
        return experiment_jobs.start(self.experiment)


@dataclass(slots=True)
class Scanner:
    """Reads a directory of runs and experiments again and again; what did not change is not read twice."""

    directory: Path
    watches: dict[Path, Watch] = field(default_factory=dict)
    experiments: dict[Path, ExperimentWatch] = field(default_factory=dict)
    figures: dict[tuple[Path, str], float | None] = field(default_factory=dict)

    def scan(self, cancelled: Callable[[], bool]) -> list[RunEntry]:
        """The runs, newest first; those found so far where the scan is cancelled."""
        entries = []
        with suppress(PermissionError):
            for run in list_runs(self.directory):
                if cancelled():
                    break
                # One that is deleted while it is looked at hides no other.
                with suppress(OSError):
                    entries.append(self._entry(run))
        return entries

    def _entry(self, run: Run) -> RunEntry:
        watch = self.watches.setdefault(run.path, Watch(run))
        changed = run.recipe_path.stat().st_mtime
        try:
            watch.poll()
            changed = watch.state.updated or changed
            labels = tuple(run.recipe.models)
            kl = tuple((label, value) for label in labels if (value := self._kl(run, label)) is not None)
        except UserError as error:
            # What is wrong with one run is told in its line, and hides no other.
            return RunEntry(run, watch.state, (), (), changed, str(error))
        return RunEntry(run, watch.state, labels, kl, changed)

    def _kl(self, run: Run, label: str) -> float | None:
        key = (run.path, label)
        if key not in self.figures and label != BASE and run.table("scores", label).closed:
            self.figures[key] = run.summary(label).kl_mean
        return self.figures.get(key)

    def scan_experiments(self, cancelled: Callable[[], bool]) -> list[ExperimentEntry]:
        """The experiments, newest first; those found so far where the scan is cancelled."""
        entries = []
        with suppress(PermissionError):
            for experiment in list_experiments(self.directory):
                if cancelled():
                    break
                # As above.
                with suppress(OSError):
                    entries.append(self._experiment_entry(experiment))
        return entries

    def _experiment_entry(self, experiment: Experiment) -> ExperimentEntry:
        watch = self.experiments.setdefault(experiment.path, ExperimentWatch(experiment))
        changed = experiment.spec_path.stat().st_mtime
        try:
            progress = watch.poll()
        except UserError as error:
            return ExperimentEntry(experiment, None, changed, str(error))
        status = experiment.status()
        changed = max([changed, *(run.state.updated for run in progress.runs), status.heartbeat if status else 0.0])
        return ExperimentEntry(experiment, progress, changed)
