"""The `itaudit` command: every verb works without the workbench."""

import codecs
import io
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from itaudit import __version__, paths
from itaudit.cli_lazy import LazyGroup
from itaudit.cli_runs import JSON_OPTION, find_run, print_json
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

_OUT = click.option("--out", type=click.Path(path_type=Path), help="Directory that holds the runs (default: runs).")


@click.group(
    cls=LazyGroup,
    lazy={
        "causes": "cli_causes:causes_command",
        "data": "cli_data:data_group",
        "detect": "cli_detect:detect_command",
        "evaluate": "cli_evaluate:evaluate_command",
        "marks": "cli_marks:marks_group",
        "prove": "cli_prove:prove_command",
        "rate": "cli_rate:rate_command",
        "ratings": "cli_rate:ratings_command",
        "report": "cli_report:report_command",
        "retune": "cli_retune:retune_command",
        "simplify": "cli_simplify:simplify_command",
        "style": "cli_style:style_command",
        "trace": "cli_trace:trace_command",
    },
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context) -> None:
    """Shows what instruction tuning did to a language model, and which instances taught it.

    Without a verb, opens the workbench.
    """
    if context.invoked_subcommand is None:
        open_workbench(None)


@cli.command("open")
@click.argument("path", type=click.Path(path_type=Path))
def open_command(path: Path) -> None:
    """Opens the workbench on a run, an experiment or a dataset file; FILE@NAME is an earlier version of a dataset."""
    version = ""
    if not path.exists() and "@" in path.name:
        from itaudit.data.versions import overlay_of, split_version

        name, version = split_version(str(path))
        path = Path(name)
        if version and path.exists():
            # A version that there is not is told before the screens take the terminal.
            overlay_of(str(path.absolute()), version)
    if not path.exists():
        raise UserError(f"{path}: no such file or run; `itaudit ls` lists the runs there are", code=2)
    open_workbench(path, version)


@cli.command("run")
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
    from itaudit import cli_experiment
    from itaudit.recipe import read_recipe
    from itaudit.runs.run import Run

    if (made := cli_experiment.made_experiment(recipe, out or paths.runs_dir(), overrides, name)) is not None:
        cli_experiment.work(made, detach=detach, no_open=no_open, as_json=as_json)
        return
    checked = read_recipe(recipe, overrides, name=name)
    work(Run.create(out or paths.runs_dir(), checked), detach=detach, no_open=no_open, as_json=as_json)


@cli.command("demo")
@_OUT
@click.option("--no-open", is_flag=True, help="Print the summary instead of opening the workbench.")
@JSON_OPTION
def demo_command(out: Path | None, no_open: bool, as_json: bool) -> None:
    """Runs the whole audit on the embedded model and the sample dataset: a few minutes on two CPU cores."""
    from itaudit.recipe import read_recipe
    from itaudit.runs.run import Run

    recipe = read_recipe(paths.samples_dir() / "recipes" / "demo.toml")
    work(Run.create(out or paths.runs_dir(), recipe), detach=False, no_open=no_open, as_json=as_json)


@cli.command("resume")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--detach", is_flag=True, help="Start the worker and return at once.")
@click.option("--no-open", is_flag=True, help="Print the summary instead of opening the workbench.")
@JSON_OPTION
def resume_command(run: Path, detach: bool, no_open: bool, as_json: bool) -> None:
    """Goes on with a run or an experiment that was cancelled, failed or was cut off."""
    from itaudit import cli_experiment
    from itaudit.runs.run import Run

    found = cli_experiment.find_subject(run)
    if isinstance(found, Run):
        work(found, detach=detach, no_open=no_open, as_json=as_json)
    else:
        cli_experiment.work(found, detach=detach, no_open=no_open, as_json=as_json)


@cli.command("cancel")
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


@cli.command("logs")
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


@cli.command("ls")
@_OUT
@JSON_OPTION
def ls_command(out: Path | None, as_json: bool) -> None:
    """Lists the runs and experiments, and their jobs."""
    from itaudit import cli_experiment
    from itaudit.experiments.experiment import list_experiments
    from itaudit.runs.run import list_runs

    place = out or paths.runs_dir()
    rows = [_listed(run) for run in list_runs(place)]
    rows += [cli_experiment.listed(experiment) for experiment in list_experiments(place)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"no runs in {out or paths.runs_dir()}; `itaudit demo` makes one", err=True)
    for row in rows:
        working = f"  {row['stage']}" if row["stage"] and row["job"] == "running" else ""
        problem = f"  {visible_line(row['error'])}" if row["job"] == "unreadable" else ""
        run = visible_line(row["run"])
        click.echo(f"{row['job']:<10} {row['stages_done']:>2}/{row['stages']:<2} {run}{working}{problem}")


def _listed(run: Any) -> dict[str, Any]:
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


@cli.command("show")
@click.argument("run", type=click.Path(path_type=Path))
@JSON_OPTION
def show_command(run: Path, as_json: bool) -> None:
    """Summarises a run, its models, their shares of shift classes and mean KL in nats, or an experiment."""
    from itaudit import cli_experiment
    from itaudit.runs.run import Run

    found = cli_experiment.find_subject(run)
    if isinstance(found, Run):
        show(found, as_json=as_json)
    else:
        cli_experiment.show(found, as_json=as_json)


@cli.command("prompts")
@click.argument("run", type=click.Path(path_type=Path))
@JSON_OPTION
def prompts_command(run: Path, as_json: bool) -> None:
    """Lists the prompts of a run."""

    found = find_run(run)
    if as_json:
        print_json([{"id": p.id, "prompt": p.prompt, "reference": p.reference} for p in found.prompts()])
        return
    for prompt in found.prompts():
        click.echo(f"{visible_line(prompt.id)}\t{visible_line(prompt.prompt)}")


@cli.command("tokens")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Label of the model, such as sft.")
@click.option("--prompt", "prompt_id", required=True, help="Id of the prompt; `itaudit prompts` lists them.")
@JSON_OPTION
def tokens_command(run: Path, model: str, prompt_id: str, as_json: bool) -> None:
    """Prints one response, token by token."""
    from itaudit.summary import tokens_document

    document = tokens_document(find_run(run), model, prompt_id)
    if as_json:
        print_json(document)
        return
    click.echo(
        f"{'position':>8} {'start':>6} {'rank':>6} {'log p base':>10} {'log p tuned':>11} {'KL':>7}  class      token"
    )
    for position, token in enumerate(document["tokens"], 1):
        tuned = "" if token["logprob_tuned"] is None else f"{token['logprob_tuned']:.3f}"
        kl = "" if token["kl"] is None else f"{token['kl']:.3f}"
        click.echo(
            f"{position:>8} {token['start']:>6} {token['rank_base']:>6} {token['logprob_base']:>10.3f} {tuned:>11} "
            f"{kl:>7}  {token['class']:<10} {visible_line(token['text'] or token['token'])}"
        )


@cli.command("doctor")
@JSON_OPTION
def doctor_command(as_json: bool) -> None:
    """Tells device, memory, terminal and optional parts, what is missing and how to get it."""
    from itaudit.doctor import findings

    found = findings()
    if as_json:
        print_json(found)
        return
    for section, facts in found.items():
        click.echo(section)
        for name, value in facts.items():
            click.echo(f"  {name:<18} {value}")


def work(run: Any, *, detach: bool, no_open: bool, as_json: bool) -> None:
    """Starts the worker of a run and, unless detached, follows it to its end and shows what came of it."""
    from itaudit.runs import jobs

    jobs.start(run)
    if detach:
        if as_json:
            print_json({"run": str(run.path)})
        else:
            click.echo(run.path)
        return
    from rich.console import Console

    from itaudit.follow import follow

    console = Console(stderr=True)
    console.print(f"run {run.path}", markup=False, highlight=False)
    try:
        state = follow(run, console)
    except KeyboardInterrupt:
        raise UserError(
            f"left the worker at work; `itaudit open {run.path}` shows it, `itaudit cancel {run.path}` stops it"
        ) from None
    if state.job == "cancelled":
        raise UserError(f"{run.path}: cancelled; `itaudit resume {run.path}` goes on from there")
    if state.job != "done":
        told = state.error or "the worker died without a word"
        raise UserError(f"{run.path}: {told}; see {run.log_path}, then `itaudit resume {run.path}`")
    if opens_workbench(as_json=as_json, no_open=no_open):
        open_workbench(run.path)
        return
    show(run, as_json=as_json)
    if not as_json:
        click.echo(f"\nitaudit open {run.path}")


def opens_workbench(*, as_json: bool, no_open: bool) -> bool:
    """Whether a job that ended is shown in the workbench, and not printed."""
    return not (as_json or no_open) and sys.stdin.isatty() and sys.stdout.isatty()


def show(run: Any, *, as_json: bool) -> None:
    """Prints the summary of a run."""
    from itaudit.summary import show_document

    if as_json:
        document = show_document(run)
        for problem in document.get("problems", ()):
            click.echo(visible_line(problem), err=True)
        print_json(document)
        return
    from rich.console import Console

    from itaudit.follow import format_summary

    Console().print(format_summary(run))


def open_workbench(path: Path | None, version: str = "") -> None:
    """The workbench on a path, or on its home screen; `version` is that of a dataset, with all its edits if empty."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("the workbench needs a terminal; `itaudit show RUN` and `--json` work without one", code=2)
    source = None
    # A run is a folder; whether a folder is one takes an import that a file need not wait for.
    if path is not None and (path.is_file() or not _is_run_or_experiment(path)):
        from itaudit.data.cache import Cached

        # Reading begins while the screens are still being imported.
        source = Cached.open(path)
    from itaudit.tui.app import ItauditApp

    ItauditApp(path, paths.runs_dir(), source=source, version=version).run()


def _is_run_or_experiment(path: Path) -> bool:
    from itaudit.runs.run import is_run

    if is_run(path):
        return True
    from itaudit.experiments.experiment import is_experiment

    return is_experiment(path)


def main() -> None:
    """The entry point: errors that a user can cause are one line, and never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or a locale without UTF-8 gets ? for what it can't show.
            stream.reconfigure(errors="replace")
    try:
        cli.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except UserError as error:
        _fail(str(error), error.code)
    except click.exceptions.NoArgsIsHelpError as error:
        # A group without a verb: its help, in the lines that it has.
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        _fail(visible_line(error.format_message()), 2)
    except click.exceptions.Abort:
        _fail("interrupted", 1)
    except BrokenPipeError:
        # The reader of a pipe went away; there is nobody left to tell.
        _drop_output()
        sys.exit(1)
    except OSError as error:
        # A full disk, or a file or folder that this user may not read.
        _drop_output()
        name = "the output" if error.filename is None else str(error.filename)
        _fail(f"{visible_line(name)}: {error.strerror or error}", 1)


def _drop_output() -> None:
    """Leaves what is still to be written to nobody, or leaving would fail on it once more."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
