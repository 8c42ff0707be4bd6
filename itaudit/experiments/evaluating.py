"""The evaluation of a run or of a whole experiment by a judge, in a process of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from itaudit.detect.job import AskingStatus, asking_status
from itaudit.errors import UserError
from itaudit.evaluate_settings import Evaluate, Question
from itaudit.evaluation.judge_task import Wanted, parse_pair, wanted_of
from itaudit.experiments.experiment import Experiment, is_experiment
from itaudit.runs import jobs
from itaudit.runs.cells import Cell, cells_of, runs_of
from itaudit.runs.run import BASE, Run
from itaudit.runs.status import read_status


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A run or an experiment as evaluation sees it; `reference` is the label that others are compared with."""

    path: Path
    cells: tuple[Cell, ...]
    reference: str
    settings: Evaluate

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that can be read, each once."""
        return runs_of(self.cells)


def evaluated_at(path: Path) -> Evaluated:
    """The run or experiment at a path. Raises UserError where there is neither."""
    if is_experiment(path):
        experiment = Experiment(path)
        spec = experiment.spec
        return Evaluated(experiment.path, experiment.cells(), spec.reference, spec.runs[0].recipe.evaluate)
    run = Run(path)
    tuned = [label for label in run.labels if label != BASE]
    return Evaluated(run.path, cells_of(run), tuned[0] if tuned else BASE, run.recipe.evaluate)


def work_of(
    path: Path, questions: Sequence[Question] = (), models: Sequence[str] = (), pairs: Sequence[str] = ()
) -> list[tuple[Run, Wanted]]:
    """What a judge is asked about a run or an experiment; what is empty is as the recipe says.

    Of an experiment those runs whose models have answered are judged, and models and pairs that a run lacks are passed
    over in it, as are runs whose recipe can't be read. Raises UserError for a label that there is not, and where there
    is nothing to judge.
    """
    subject = evaluated_at(path)
    if subject.cells and not subject.runs:
        raise UserError(subject.cells[0].problem)
    told = [parse_pair(pair, "--pair") for pair in pairs] or [
        parse_pair(pair, "evaluate.pairs:") for pair in subject.settings.pairs
    ]
    named = {*models, *(label for pair in told for label in pair)}
    known = {cell.label for cell in subject.cells}
    for label in sorted(named - known):
        raise UserError(f"{subject.path}: no model {label!r}; there are {', '.join(sorted(known))}", code=2)
    if questions and "pairs" not in questions and pairs:
        raise UserError("--pair is for --question pairs", code=2)
    found = []
    for run in subject.runs:
        here = set(run.labels)
        chosen = [label for label in models if label in here]
        if models and not chosen:
            continue
        mine = [pair for pair in told if here.issuperset(pair)]
        asked = questions or subject.settings.questions
        if told and not mine:
            asked = [question for question in asked if question != "pairs"]
        found.append((run, wanted_of(run, asked, models=chosen, pairs=mine, reference=subject.reference)))
    if not any(wanted.labels for _, wanted in found):
        raise UserError(f"{subject.path}: nothing to judge: no two tuned models to compare; give --pair A:B", code=2)
    ready = [(run, wanted) for run, wanted in found if wanted.answered(run)]
    if not ready:
        told_so = "the models have not answered all prompts yet"
        raise UserError(f"{subject.path}: {told_so}; `itaudit resume {subject.path}` goes on")
    return ready


def evaluation_paths(path: Path) -> tuple[Path, Path]:
    """The status and the log of the judge's job on a run or an experiment."""
    folder = path.resolve() / "evaluation"
    return folder / "status.json", folder / "worker.log"


def start_evaluating(path: Path, questions: Sequence[Question], models: Sequence[str], pairs: Sequence[str]) -> int:
    """Starts a detached worker that has the judge look at what it has not seen; returns its pid.

    Raises UserError where one is at work on it already.
    """
    status, log = evaluation_paths(path)
    status.parent.mkdir(exist_ok=True)
    chosen = [f"--question={name}" for name in questions] + [f"--model={label}" for label in models]
    return jobs.launch(
        ["itaudit.engine.evaluate_worker", str(path.resolve()), "--announced", *chosen]
        + [f"--pair={pair}" for pair in pairs],
        folder=path,
        log=log,
        status=status,
    )


def cancel_evaluating(path: Path) -> int:
    """Asks the worker to save what it has and stop; returns its pid. Raises UserError where there is none."""
    return jobs.stop(path, read_status(evaluation_paths(path)[0]))


def evaluation_status(path: Path) -> AskingStatus | None:
    """What the newest job says of itself; None where there never was one."""
    return asking_status(*evaluation_paths(path))
