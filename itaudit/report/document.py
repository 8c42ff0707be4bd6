"""Everything that a report says, put together once, so that HTML, Markdown and JSON say the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from itaudit.analysis.table import Table
from itaudit.errors import UserError
from itaudit.report import comparator, reproduce, telling
from itaudit.report.plots import Plot, plots_of
from itaudit.report.reproduce import Reproduction, reproduction
from itaudit.report.subjects import Subject, subjects_of
from itaudit.report.summary import summary_of
from itaudit.report.tables import cell_tables
from itaudit.report.telling import Telling
from itaudit.runs.cells import Cell, check_scores
from itaudit.runs.left_out import LeftOut, Told, checked, left_out_of, together


@dataclass(frozen=True, slots=True)
class Part:
    """What is told of one subject, and what is left out; `beside` are the cells whose answers stand side by side."""

    slug: str
    subject: Subject
    summary: tuple[str, ...]
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...]
    telling: tuple[Telling, ...]
    left_out: tuple[LeftOut, ...]
    beside: tuple[Cell, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.subject.name,
            "paths": [str(path) for path in self.subject.paths],
            "reference": self.subject.reference,
            "finished": self.subject.finished,
            "left_out": [one.to_json() for one in self.left_out],
            "summary": list(self.summary),
            "tables": [table.to_json() for table in self.tables],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. `written` is in UTC, to the minute."""

    title: str
    written: str
    parts: tuple[Part, ...]
    reproduction: Reproduction


def report_of(places: Sequence[Path]) -> Report:
    """The report of experiments and runs.

    Models whose files can't be read are left out. Raises UserError for what is neither, and where nothing is scored
    yet, or nothing of it can be read.
    """
    subjects = subjects_of(places)
    parts = tuple(_part(number, subject) for number, subject in enumerate(subjects, 1))
    names = ", ".join(part.subject.name for part in parts)
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Report(f"itaudit: {names}", written, parts, reproduction(subjects))


def _part(number: int, subject: Subject) -> Part:
    slug, cells = f"part{number}", subject.cells
    told = cell_tables(cells, subject.reference, subject.published).require()
    if told.empty:
        place = subject.paths[0]
        raise UserError(f"{place}: nothing is scored yet; `itaudit resume {place}` goes on")
    scored, traced, beside = (checked(cells, check) for check in (check_scores, telling.check, comparator.check))
    known = [checked(cells, reproduce.check), scored, traced, beside]
    left_out = together([told, *(Told(left_out=left_out_of(each)) for each in known)]).left_out
    return Part(
        slug,
        subject,
        tuple(summary_of(subject, told.tables, left_out)),
        told.tables,
        tuple(plots_of(told.tables, slug, scored)),
        tuple(telling.telling_responses(traced)),
        left_out,
        beside,
    )
