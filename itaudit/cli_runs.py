"""The run that a verb is called on."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itaudit.runs.run import Run


def find_run(path: Path) -> "Run":
    """The run at a path, or of that name in the runs directory."""
    from itaudit import paths
    from itaudit.runs.run import Run, is_run

    named = paths.runs_dir() / path
    return Run(named if not path.exists() and is_run(named) else path)
