"""Tables of what can be read: a model with a broken file takes nothing away but itself, and is told.

Every module that makes tables says in `check` what it reads of a model. Here that is tried before, model by model.
Whoever can't be read keeps its place, so that no other model passes for it, and counts in no figure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

from itaudit.analysis.table import Table
from itaudit.errors import UserError
from itaudit.runs.cells import Cell, recipe_problem


class TableMaker(Protocol):
    """A module that makes tables of cells."""

    def check(self, cell: Cell) -> None:
        """Raises UserError where what the tables need of a cell can't be read; its recipe can."""

    def tables(self, cells: Sequence[Cell], reference: str) -> list[Table]:
        """The tables of some cells, of which those with a `problem` count nowhere."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is left out of tables: models of one run, all of it, or without a run the tables themselves.

    `problem` is a line that names the file, what is wrong and what to do.
    """

    problem: str
    run: Path | None = None
    labels: tuple[str, ...] = ()
    whole: bool = False

    @property
    def name(self) -> str:
        """The run and its models in words; empty without a run."""
        if self.run is None:
            return ""
        return self.run.name if self.whole else f"{self.run.name} {', '.join(self.labels)}"

    @property
    def line(self) -> str:
        """All of it in words."""
        if self.run is None:
            return f"some tables are left out: {self.problem}"
        return f"{self.name} is left out of what needs a file that can't be read: {self.problem}"

    def concerns(self, run: Path, label: str) -> bool:
        """Whether it is about a model."""
        return self.run == run and label in self.labels

    def to_json(self) -> dict[str, Any]:
        """`{run, models, whole, error}`; `run` is None where tables are missing as a whole."""
        run = None if self.run is None else str(self.run)
        return {"run": run, "models": list(self.labels), "whole": self.whole, "error": self.problem}

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> Self:
        run = None if told["run"] is None else Path(told["run"])
        return cls(told["error"], run, tuple(told["models"]), told["whole"])


@dataclass(frozen=True, slots=True)
class Told:
    """Tables, and what is left out of them."""

    tables: tuple[Table, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """`{left_out: […], tables: […]}`."""
        return {
            "left_out": [one.to_json() for one in self.left_out],
            "tables": [table.to_json() for table in self.tables],
        }

    def require(self) -> Self:
        """Raises UserError where nothing is told, but what was published, since files can't be read."""
        if self.left_out and self.empty:
            raise UserError(self.left_out[0].problem)
        return self

    @property
    def empty(self) -> bool:
        """Whether nothing is told but what was published."""
        return all(table.source for table in self.tables)


def told_by(maker: TableMaker, cells: Iterable[Cell], reference: str) -> Told:
    """The tables of what can be read; each says in its note who is left out."""
    known = checked(cells, maker.check)
    gone = left_out_of(known)
    try:
        tables = maker.tables(known, reference)
    except UserError as error:
        return Told((), (*gone, LeftOut(str(error))))
    if not gone:
        return Told(tuple(tables))
    said = f"Left out, since a file can't be read: {'; '.join(dict.fromkeys(one.name for one in gone))}."
    return Told(tuple(replace(table, note=f"{table.note} {said}".strip()) for table in tables), gone)


def checked(cells: Iterable[Cell], check: Callable[[Cell], None]) -> tuple[Cell, ...]:
    """The cells; those that a check, or their recipe, can't be read for have a `problem`."""
    return tuple(replace(cell, problem=cell.problem or _problem(cell, check)) for cell in cells)


def left_out_of(cells: Sequence[Cell]) -> tuple[LeftOut, ...]:
    """What is wrong with cells that can't be read, one for each run and problem."""
    found: dict[tuple[Path, str], list[str]] = {}
    for cell in cells:
        if cell.problem:
            found.setdefault((cell.run.path, cell.problem), []).append(cell.label)
    there = {path: sum(cell.run.path == path for cell in cells) for path, _ in found}
    return tuple(
        LeftOut(problem, path, tuple(labels), len(labels) == there[path]) for (path, problem), labels in found.items()
    )


def together(parts: Iterable[Told]) -> Told:
    """The tables of several makers; what keeps several of them from a model is told once."""
    parts = tuple(parts)
    tables = tuple(table for part in parts for table in part.tables)
    return Told(tables, merged(one for part in parts for one in part.left_out))


def merged(several: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """What is left out, each problem of a run once."""
    found: dict[tuple[Path | None, str], LeftOut] = {}
    for one in several:
        before = found.setdefault((one.run, one.problem), one)
        labels = tuple(dict.fromkeys((*before.labels, *one.labels)))
        found[one.run, one.problem] = replace(before, labels=labels, whole=before.whole or one.whole)
    return tuple(found.values())


def _problem(cell: Cell, check: Callable[[Cell], None]) -> str:
    if problem := recipe_problem(cell.run):
        return problem
    try:
        check(cell)
    except UserError as error:
        return str(error)
    return ""
