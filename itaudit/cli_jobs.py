"""The verbs of jobs: `run`, `demo`, `resume`, `cancel`, `logs` and `ls`, for runs and experiments alike."""

import codecs
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit import paths
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.experiments.experiment import Experiment
    from itaudit.runs.run import Run

_OUT = click.option("--out", type=click.Path(path_type=Path), help="Directory that holds the runs (default: runs).")


@click.command("run")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the run (default: the recipe's).")
@_OUT
@click.option("--detach", is_flag=True, help="Start the worker and return at once.")
@click.option("--no-open", is_flag=True, help="Print the summary instead of opening the workbench.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")
@JSON_OPTION
def run_command(
    recipe: Path,
    name: str | None,
    out: Path | None,
    detach: bool,
    no_open: bool,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Runs the audit, or the experiment, that a recipe asks for."""
    from itaudit.cli_experiment import made_experiment
    from itaudit.recipe import read_recipe
    from itaudit.runs.run import Run

    place = out or paths.runs_dir()
    made = made_experiment(recipe, place, overrides, name)
    subject = Run.create(place, read_recipe(recipe, overrides, name=name)) if made is None else made
    work(subject, detach=detach, no_open=no_open, as_json=as_json)


@click.command("demo")
@_OUT
@click.option("--no-open", is_flag=True, help="Print the summary instead of opening the workbench.")
@JSON_OPTION
def demo_command(out: Path | None, no_open: bool, as_json: bool) -> None:
    """Runs the whole audit on the embedded model and the sample dataset: a few minutes on two CPU cores."""
    from itaudit.recipe import read_recipe
    from itaudit.runs.run import Run

    recipe = read_recipe(paths.samples_dir() / "recipes" / "demo.toml")
    work(Run.create(out or paths.runs_dir(), recipe), detach=False, no_open=no_open, as_json=as_json)


@click.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--detach", is_flag=True, help="Start the worker and return at once.")
@click.option("--no-open", is_flag=True, help="Print the summary instead of opening the workbench.")
@JSON_OPTION
def resume_command(run: Path, detach: bool, no_open: bool, as_json: bool) -> None:
    """Goes on with a run or an experiment that was cancelled, failed or was cut off."""
    from itaudit.cli_experiment import find_subject

    work(find_subject(run), detach=detach, no_open=no_open, as_json=as_json)


@click.command("cancel")
@click.argument("run", type=click.Path(path_type=Path))
def cancel_command(run: Path) -> None:
    """Asks a worker to finish its step, save and stop."""
    from itaudit.cli_experiment import find_subject
    from itaudit.experiments import jobs as experiment_jobs
    from itaudit.runs import jobs
    from itaudit.runs.run import Run

    found = find_subject(run)
    pid = jobs.cancel(found) if isinstance(found, Run) else experiment_jobs.cancel(found)
    click.echo(f"asked the worker (pid {pid}) to stop; `itaudit resume {found.path}` goes on from there", err=True)


@click.command("logs")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the job ends.")
def logs_command(run: Path, follow: bool) -> None:
    """Prints what the worker of a run or an experiment wrote."""
    from itaudit.cli_experiment import find_subject
    from itaudit.experiments.progress import job_of
    from itaudit.runs.run import Run
    from itaudit.sanitize import visible

    found = find_subject(run)
    position = 0
    # A look may end within a character.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        job = found.job() if isinstance(found, Run) else job_of(found)
        ended = job not in ("queued", "running")
        if found.log_path.exists():
            with found.log_path.open("rb") as log:
                log.seek(position)
                content = log.read()
            position += len(content)
            click.echo(visible(decoder.decode(content, final=ended or not follow)), nl=False)
        if ended or not follow:
            return
        time.sleep(0.5)


@click.command("ls")
@_OUT
@JSON_OPTION
def ls_command(out: Path | None, as_json: bool) -> None:
    """Lists the runs and experiments, and their jobs."""
    from itaudit.cli_experiment import listed
    from itaudit.experiments.experiment import list_experiments
    from itaudit.runs.run import list_runs

    place = out or paths.runs_dir()
    rows = [_listed(run) for run in list_runs(place)]
    rows += [listed(experiment) for experiment in list_experiments(place)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"no runs in {place}; `itaudit demo` makes one", err=True)
    for row in rows:
        working = f"  {row['stage']}" if row["stage"] and row["job"] == "running" else ""
        problem = f"  {visible_line(row['error'])}" if row["job"] == "unreadable" else ""
        run = visible_line(row["run"])
        click.echo(f"{row['job']:<10} {row['stages_done']:>2}/{row['stages']:<2} {run}{working}{problem}")


def _listed(run: "Run") -> dict[str, Any]:
    """What `itaudit ls --json` says of a run; one that can't be read is listed among the others, with the reason."""
    from itaudit.runs.state import RunState
    from itaudit.runs.watch import Watch

    try:
        watch = Watch(run)
        watch.poll()
        state, unreadable = watch.state, ""
    except UserError as problem:
        state, unreadable = RunState(), str(problem)
    current = state.current
    return {
        "run": str(run.path),
        "name": run.name,
        "kind": "run",
        "job": "unreadable" if unreadable else state.job,
        "stages": len(state.stages),
        "stages_done": state.stages_done,
        "stage": current.key if current else None,
        "error": unreadable or state.error or None,
    }


def work(subject: "Run | Experiment", *, detach: bool, no_open: bool, as_json: bool) -> None:
    """Starts the worker of a run or an experiment and, unless detached, follows it and shows what came of it.

    Raises UserError where it does not come to its end.
    """
    from itaudit.cli_open import open_workbench, opens_workbench
    from itaudit.cli_show import show
    from itaudit.experiments import jobs as experiment_jobs
    from itaudit.runs import jobs
    from itaudit.runs.run import Run

    path = subject.path
    if isinstance(subject, Run):
        jobs.start(subject)
    else:
        experiment_jobs.start(subject)
    if detach:
        if as_json:
            print_json({"run" if isinstance(subject, Run) else "experiment": str(path)})
        else:
            click.echo(path)
        return
    try:
        job, error = _followed(subject)
    except KeyboardInterrupt:
        raise UserError(
            f"left the worker at work; `itaudit open {path}` shows it, `itaudit logs {path} -f` follows it, "
            f"`itaudit cancel {path}` stops it"
        ) from None
    again = f"`itaudit resume {path}` goes on from there"
    if job == "cancelled":
        raise UserError(f"{path}: cancelled; {again}")
    if job != "done":
        raise UserError(f"{path}: {error or 'the worker died without a word'}; see {subject.log_path}; {again}")
    if opens_workbench(as_json=as_json, no_open=no_open):
        open_workbench(path)
        return
    show(subject, as_json=as_json)
    if not as_json:
        click.echo(f"\nitaudit open {path}")


def _followed(subject: "Run | Experiment") -> tuple[str, str]:
    """Shows a job until it ends; how it ended, and its error."""
    from rich.console import Console

    from itaudit.runs.run import Run

    console = Console(stderr=True)
    if isinstance(subject, Run):
        from itaudit.follow import follow

        console.print(f"run {subject.path}", markup=False, highlight=False, soft_wrap=True)
        state = follow(subject, console)
        return state.job, state.error
    from itaudit.follow_experiment import follow_experiment

    told = f"experiment {subject.path}: {len(subject.spec.runs)} runs"
    console.print(told, markup=False, highlight=False, soft_wrap=True)
    progress = follow_experiment(subject, console)
    return progress.job, progress.error
