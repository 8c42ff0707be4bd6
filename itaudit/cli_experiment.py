"""What the verbs do with an experiment where they are given one instead of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from itaudit.cli_json import print_json
from itaudit.cli_runs import find_run
from itaudit.errors import UserError

if TYPE_CHECKING:
    from itaudit.experiments.experiment import Experiment
    from itaudit.runs.run import Run


def find_subject(path: Path) -> "Run | Experiment":
    """The run or experiment at a path, or of that name in the runs directory."""
    from itaudit import paths
    from itaudit.experiments.experiment import Experiment, is_experiment

    named = paths.runs_dir() / path
    for place in (path,) if path.exists() else (named,):
        if is_experiment(place):
            return Experiment(place)
    return find_run(path)


def made_experiment(recipe: Path, out: Path, overrides: tuple[str, ...], name: str | None) -> "Experiment | None":
    """A new experiment's directory, if the recipe asks for one. Raises UserError that names the file and the key."""
    from itaudit.experiments.experiment import Experiment
    from itaudit.experiments.spec import is_experiment_table, read_spec
    from itaudit.recipe import read_table

    if not is_experiment_table(read_table(recipe)):
        return None
    return Experiment.create(out, read_spec(recipe, overrides, name=name))


def show(experiment: "Experiment", *, as_json: bool) -> None:
    """Prints an experiment's runs, its tables of shift and the published figures beside them."""
    from itaudit.experiments import shift_tables
    from itaudit.experiments.document import experiment_document
    from itaudit.experiments.progress import progress_of
    from itaudit.experiments.published import Published
    from itaudit.runs.left_out import together, told_by

    progress = progress_of(experiment)
    cells, reference = experiment.cells(), experiment.spec.reference
    published = Published(experiment.spec.matrix.published)
    told = together(told_by(maker, cells, reference) for maker in (shift_tables, published))
    if as_json:
        print_json(experiment_document(experiment, progress, told))
        return
    from rich.console import Console

    from itaudit.cli_tables import print_tables, tell_left_out
    from itaudit.follow_experiment import progress_table

    console = Console()
    console.print(progress_table(progress))
    print_tables(told.tables, console)
    tell_left_out(told.left_out)


def listed(experiment: "Experiment") -> dict[str, Any]:
    """What `itaudit ls --json` says of an experiment; one that can't be read is listed, with the reason."""
    from itaudit.experiments.progress import progress_of

    row: dict[str, Any] = {"run": str(experiment.path), "name": experiment.name, "kind": "experiment"}
    try:
        progress = progress_of(experiment)
    except UserError as error:
        return row | {"job": "unreadable", "stages": 0, "stages_done": 0, "stage": None, "error": str(error)}
    return row | {
        "job": progress.job,
        "stages": progress.total,
        "stages_done": progress.done,
        "stage": progress.doing or None,
        "error": progress.error or None,
    }
