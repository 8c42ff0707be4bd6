"""Everything that a report says, put together once, so that HTML, Markdown and JSON say the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from itaudit.analysis.table import Table
from itaudit.errors import UserError
from itaudit.report.plots import Plot, plots_of
from itaudit.report.reproduce import Reproduction, reproduction
from itaudit.report.subjects import Subject, subjects_of
from itaudit.report.summary import summary_of
from itaudit.report.tables import all_tables
from itaudit.report.telling import Telling, telling_responses


@dataclass(frozen=True, slots=True)
class Part:
    """What is told of one subject."""

    slug: str
    subject: Subject
    summary: tuple[str, ...]
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...]
    telling: tuple[Telling, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.subject.name,
            "paths": [str(path) for path in self.subject.paths],
            "reference": self.subject.reference,
            "finished": self.subject.finished,
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

    Raises UserError for what is neither, where nothing is scored yet, and for files that can't be read.
    """
    told = all_tables(subjects_of(places))
    parts = tuple(_part(number, subject, tables) for number, (subject, tables) in enumerate(told, 1))
    for part in parts:
        if not part.tables:
            place = part.subject.paths[0]
            raise UserError(f"{place}: nothing is scored yet; `itaudit resume {place}` goes on")
    names = ", ".join(part.subject.name for part in parts)
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Report(f"itaudit: {names}", written, parts, reproduction([subject for subject, _ in told]))


def _part(number: int, subject: Subject, tables: Sequence[Table]) -> Part:
    slug = f"part{number}"
    return Part(
        slug,
        subject,
        tuple(summary_of(subject, tables)),
        tuple(tables),
        tuple(plots_of(tables, slug, subject.cells)),
        tuple(telling_responses(subject.cells)),
    )
