"""What the verbs that read a run share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from itaudit.runs.run import Run

JSON_OPTION: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, and nothing else."
)


def find_run(path: Path) -> "Run":
    """The run at a path, or of that name in the runs directory."""
    from itaudit import paths
    from itaudit.runs.run import Run, is_run

    named = paths.runs_dir() / path
    return Run(named if not path.exists() and is_run(named) else path)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    import orjson

    # Bytes, so that no locale can break the document.
    click.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
