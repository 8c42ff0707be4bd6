"""The report as Markdown, as GitHub and most editors read it; plots are files beside it."""

import re
from collections.abc import Iterator, Sequence

from itaudit.analysis.table import Table, shown
from itaudit.report.document import Part, Report
from itaudit.report.telling import Moved, Piece, Telling
from itaudit.sanitize import visible, visible_line

FIGURES = "figures"
"""The folder of the plots, beside the file."""
_MEANING = re.compile(r"([\\`*_\[\]<>|#~&$!{}^])")
_LEADING = re.compile(r"^(\s*\d*)([-+=.)])(?=[-+=\s]|$)")


def markdown_of(report: Report) -> str:
    """The whole file. Text of datasets and models means nothing in it: no links, no HTML, no pictures."""
    lines = [
        f"# {plain(report.title)}",
        "",
        f"What instruction tuning changed, token by token. Written {report.written}.",
    ]
    for part in report.parts:
        lines += ["", *_part(part)]
    lines += ["", "## How to reproduce", "", "Save the recipes below under their names, then:", ""]
    lines += _fenced("\n".join(report.reproduction.commands), "sh")
    for table in (report.reproduction.facts, report.reproduction.files):
        lines += ["", *table_lines(table)]
    for name, text in report.reproduction.recipes:
        lines += ["", f"{plain_line(name)}:", "", *_fenced(text, "toml")]
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """One line of text that means nothing to Markdown inside another line, with visible marks for what has no shape."""
    return _MEANING.sub(r"\\\1", visible_line(text))


def plain_line(text: str) -> str:
    """As `plain`, for a line of its own: one that begins like a list would be one."""
    return _LEADING.sub(r"\1\\\2", plain(text))


def table_lines(table: Table) -> Iterator[str]:
    """A table with its title, note and source."""
    yield f"### {plain(table.title)}"
    yield ""
    yield _row([plain(column.title) for column in table.columns])
    yield _row(["---" if column.kind == "text" else "---:" for column in table.columns])
    for row in table.rows:
        yield _row([plain(shown(row.get(column.key), column)) for column in table.columns])
    for said in (table.note, f"Source: {table.source}" if table.source else ""):
        if said:
            yield ""
            yield plain_line(said)


def _part(part: Part) -> Iterator[str]:
    yield f"## {plain(part.subject.name)}"
    yield ""
    yield from (f"- {plain_line(sentence)}" for sentence in part.summary)
    for plot in part.plots:
        yield ""
        # The text beside a plot says what it shows, as the page's does.
        yield f"![{plain(plot.alt)}]({FIGURES}/{plot.name}.svg)"
    for table in part.tables:
        yield ""
        yield from table_lines(table)
    if part.telling:
        yield ""
        yield "### Most telling responses"
        yield ""
        yield "Shifted tokens are bold, marginal ones italic."
        for told in part.telling:
            yield ""
            yield from _telling(told)


def _telling(told: Telling) -> Iterator[str]:
    yield f"#### {plain(told.place)} · prompt {plain(told.prompt_id)}"
    yield ""
    yield f"Prompt: {_lines(told.prompt)}"
    yield ""
    yield "> " + "".join(map(_piece, told.pieces)) + (" … (cut off)" if told.cut_off else "")
    if told.moved:
        yield ""
        yield _row(["position", "token", "base rank", "KL (nats)", "the base model's own choices", "leads to"])
        yield _row(["---:", "---", "---:", "---:", "---", "---"])
        yield from (_row(_moved(one)) for one in told.moved)


def _moved(one: Moved) -> list[str]:
    choices = ", ".join(f"**{plain(text.strip()) or '·'}** {probability}" for text, probability in one.choices)
    source = "–"
    if (found := one.source) is not None:
        marked = f"{plain(found.before)}<b>{plain(found.match)}</b>{plain(found.after)}"
        source = f"\\#{found.index} {plain(found.instruction)} – {plain(found.field)}: {marked}"
    return [str(one.position), plain(one.text), str(one.rank), one.kl_shown, choices, source]


def _piece(piece: Piece) -> str:
    tag = {"shifted": "b", "marginal": "i"}.get(piece.shift)
    core = piece.text.strip()
    if tag is None or not core:
        return _lines(piece.text)
    before, _, after = piece.text.partition(core)
    return f"{_lines(before)}<{tag}>{_lines(core)}</{tag}>{_lines(after)}"


def _lines(text: str) -> str:
    return "<br>".join(_MEANING.sub(r"\\\1", line) for line in visible(text).split("\n"))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(text: str, language: str) -> list[str]:
    """A block of code; its fence is longer than any run of backticks in it."""
    text = visible(text).rstrip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [f"{fence}{language}", text, fence]
