"""What the verbs do with an experiment where they are given one instead of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_runs import find_run, print_json
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

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


def work(experiment: "Experiment", *, detach: bool, no_open: bool, as_json: bool) -> None:
    """Starts an experiment's worker and, unless detached, follows it to its end and shows what came of it."""
    from itaudit.cli import open_workbench, opens_workbench
    from itaudit.experiments import jobs

    jobs.start(experiment)
    if detach:
        if as_json:
            print_json({"experiment": str(experiment.path)})
        else:
            click.echo(experiment.path)
        return
    from rich.console import Console

    from itaudit.follow_experiment import follow_experiment

    console = Console(stderr=True)
    count = len(experiment.spec.runs)
    console.print(f"experiment {experiment.path}: {count} runs", markup=False, highlight=False, soft_wrap=True)
    try:
        progress = follow_experiment(experiment, console)
    except KeyboardInterrupt:
        raise UserError(
            f"left the worker at work; `itaudit logs {experiment.path} -f` follows it, "
            f"`itaudit cancel {experiment.path}` stops it"
        ) from None
    again = f"`itaudit resume {experiment.path}` goes on from there"
    if progress.job == "cancelled":
        raise UserError(f"{experiment.path}: cancelled; {again}")
    if progress.job != "done":
        told = progress.error or "the worker died without a word"
        raise UserError(f"{experiment.path}: {visible_line(told)}; see {experiment.log_path}; {again}")
    if opens_workbench(as_json=as_json, no_open=no_open):
        open_workbench(experiment.path)
        return
    show(experiment, as_json=as_json)
    if not as_json:
        click.echo(f"\nitaudit open {experiment.path}")


def show(experiment: "Experiment", *, as_json: bool) -> None:
    """Prints an experiment's runs, its tables of shift and the published figures beside them."""
    from itaudit.experiments.document import experiment_document
    from itaudit.experiments.progress import progress_of
    from itaudit.experiments.published import published_tables
    from itaudit.experiments.shift_tables import tables

    progress = progress_of(experiment)
    cells, reference = experiment.cells(), experiment.spec.reference
    found = [*tables(cells, reference), *published_tables(experiment.spec.matrix.published, cells, reference)]
    if as_json:
        print_json(experiment_document(experiment, progress, found))
        return
    from rich.console import Console

    from itaudit.cli_tables import print_tables
    from itaudit.follow_experiment import progress_table

    console = Console()
    console.print(progress_table(progress))
    print_tables(found, console)


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
