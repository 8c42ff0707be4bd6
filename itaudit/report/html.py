"""The report as one HTML file that asks for nothing: no scripts, no fonts, no pictures from anywhere."""

from pathlib import Path

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, Value, shown
from itaudit.report.document import Report
from itaudit.report.svg import VARIABLES_DARK, VARIABLES_LIGHT, declarations
from itaudit.sanitize import visible, visible_line

_TEMPLATES = Path(__file__).parent / "templates"
_FEW = 60
"""Cells up to which a phone shows a row of a table as a card."""
_WIDE = 7
"""Columns from which a table is set smaller on paper."""


def html_of(report: Report) -> str:
    """The whole page. Text of datasets and models is shown as `sanitize.visible` shows it, and escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": visible, "line": visible_line}
    environment.globals |= {"cell": cell_parts, "raw": raw_value, "wide": _is_wide, "few": _has_few_cells}
    colours = {"light": declarations(VARIABLES_LIGHT), "dark": declarations(VARIABLES_DARK)}
    return environment.get_template("report.html.jinja").render(
        report=report, style=(_TEMPLATES / "report.css").read_text(encoding="utf-8"), colours=colours
    )


def cell_parts(value: Value, column: Column) -> tuple[str, str]:
    """What `shown` says of a value, parted into the figure and its interval, so that they can stand on two lines."""
    text = visible_line(shown(value, column))
    if isinstance(value, Estimate) and value.low is not None and value.high is not None:
        figure, _, interval = text.partition(" (")
        return figure, f"({interval}"
    return text, ""


def raw_value(value: Value) -> str:
    """A number as it is, for who reads the page by a program; empty for text and for nothing."""
    number = value.value if isinstance(value, Estimate) else value
    return "" if number is None or isinstance(number, str) else repr(number)


def _has_few_cells(table: Table) -> bool:
    return len(table.columns) * len(table.rows) <= _FEW


def _is_wide(table: Table) -> bool:
    return len(table.columns) >= _WIDE
