"""`itaudit open`: the workbench, from the command line."""

import sys
from pathlib import Path

import click

from itaudit import paths
from itaudit.errors import UserError


@click.command("open")
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


def opens_workbench(*, as_json: bool, no_open: bool) -> bool:
    """Whether a job that ended is shown in the workbench, and not printed."""
    return not (as_json or no_open) and sys.stdin.isatty() and sys.stdout.isatty()


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
