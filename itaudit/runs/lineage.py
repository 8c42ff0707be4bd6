"""Which run another one was made from: `lineage.json` in the newer one."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.runs.run import Run, is_run, list_runs

_FILE = "lineage.json"


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a model's answer, half-open character offsets, and the text that stood there."""

    model: str
    prompt_id: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Shared:
    """What the tables taken over from the parent were computed with: the device, and the base model's directory."""

    device: str
    base: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a run came from: its parent, the rows of the dataset that were changed, and the span it was started at.

    `data` are the datasets of the parent and of this run, each by the name that reads it again.
    """

    parent: Path
    data: tuple[str, str]
    edited: tuple[int, ...] = ()
    span: Place | None = None
    shared: Shared | None = None


def lineage_of(run: Run) -> Lineage | None:
    """Where a run came from; None for one that was started from a recipe. Raises UserError for a broken file."""
    path = run.path / _FILE
    try:
        told = orjson.loads(path.read_bytes())
        span, shared = told.get("span"), told.get("shared")
        return Lineage(
            parent=Path(os.path.normpath(run.path / str(told["parent"]))),
            data=(str(told["data"][0]), str(told["data"][1])),
            edited=tuple(int(row) for row in told["edited"]),
            span=Place(**span) if span else None,
            shared=Shared(**shared) if shared else None,
        )
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError, KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise UserError(
            f"{path}: can't be read as what a re-tune writes; delete it, and the run stands alone"
        ) from None


def write_lineage(run: Run, lineage: Lineage) -> None:
    """Tells where a run came from. A parent beside it is named by a relative path, so that both can be moved."""
    beside = lineage.parent.parent == run.path.parent
    parent = os.path.relpath(lineage.parent, run.path) if beside else str(lineage.parent)
    told: Mapping[str, Any] = {"v": 1, **asdict(lineage), "parent": parent}
    atomic.write_bytes(run.path / _FILE, orjson.dumps(told, option=orjson.OPT_INDENT_2))


def parent_of(run: Run) -> Run | None:
    """The run that a run was made from; None where there is none, or it is gone. Raises UserError as `lineage_of`."""
    lineage = lineage_of(run)
    return Run(lineage.parent) if lineage is not None and is_run(lineage.parent) else None


def children_of(run: Run) -> tuple[Run, ...]:
    """The runs beside a run that were made from it, newest first; those that can't be read are passed over."""
    return tuple(other for other in list_runs(run.path.parent) if other.path != run.path and _is_child(other, run))


def _is_child(other: Run, run: Run) -> bool:
    try:
        lineage = lineage_of(other)
    except UserError:
        return False
    return lineage is not None and lineage.parent == run.path
