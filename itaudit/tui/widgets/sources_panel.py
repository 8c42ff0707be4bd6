"""The instances that a span of the response may come from, with the evidence in them."""

import re
from collections.abc import Callable, Sequence

from itaudit.data.instance import Instance
from itaudit.runs.run import BASE
from itaudit.sanitize import visible_line
from itaudit.trace.types import Evidence, Source, Span
from itaudit.tui.answer import Answer
from itaudit.tui.layout import shortened
from itaudit.tui.widgets.panel import Panel, Piece, dim_lines, wrapped

CONTEXT = 90
"""Characters shown on each side of a piece of evidence."""
FOLLOW = 4
"""Lines of sources that stay in sight below what explains the span, and verdicts."""
MORE = "  … P tells all of it"
"""Stands for what verdicts would say beyond that."""
EXCERPTS = 3
"""Pieces of evidence shown of one source; the dataset screen shows all."""
WORDS = 6
"""Query words whose part in the score is shown."""

Row = list[Piece]
Sources = Sequence[tuple[Span, int, Source]]


class SourcesPanel(Panel):
    """One line a source; the selected one in full."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._sources: Sources = ()
        self._selected = 0
        self._why_none = ""
        self._instance: Callable[[int], Instance | None] = lambda _: None
        self._rows: list[Row] = []
        self._above: Sequence[Row] = ()
        self._verdicts: Sequence[Row] = ()
        self._selected_rows = (0, 0)
        self._laid_out_height = 0

    def show(
        self,
        sources: Sources,
        selected: int,
        *,
        instances: int,
        why_none: str,
        instance: Callable[[int], Instance | None],
        above: Sequence[Row] = (),
        verdicts: Sequence[Row] = (),
        about: str = "",
    ) -> None:
        """Shows sources, the one selected in sight; `why_none` stands there where there are none.

        `above` are lines on what explains the span, `verdicts` what proofs say of it, and `about` is the former in a
        few words for the title.
        """
        self._sources, self._selected, self._why_none, self._instance = sources, selected, why_none, instance
        self._above, self._verdicts = above, verdicts
        title = f"sources{f' · {about}' if about else ''}"
        if sources:
            span, _, _ = sources[selected]
            text = f"“{shortened(visible_line(span.text), 30)}”"
            told = about or f"{text} {span.kind} · in {span.frequency} of {instances} instances"
            title = f"sources {selected + 1}/{len(sources)} · {told}"
        self.title((title, ""))
        self.changed()
        self.revealed_again()

    def revealed_again(self) -> None:
        if self._laid_out_height != self.scrollable_content_region.height:
            self.changed()
        self.reveal(*self._selected_rows)

    def _rows_above(self, width: int) -> list[Row]:
        """What explains the span, and as much of the verdicts on it as leaves the sources in sight."""
        above, verdicts = _lines(self._above, width), _lines(self._verdicts, width)
        self._laid_out_height = self.scrollable_content_region.height
        if not self._sources:
            return [*above, *verdicts]
        most = max(self._laid_out_height - FOLLOW, 3)
        room = max(most - len(above), 2)
        if len(verdicts) > room:
            verdicts = [*verdicts[: room - 1], [(MORE, "dim")]]
        room = most - len(verdicts)
        if len(above) > room:
            # The title says the same in a few words.
            above = _lines(self._above, width - 2)[:room]
            above[-1] = [*above[-1], (" …", "dim")]
        return [*above, *verdicts]

    def lay_out(self, width: int) -> int:
        self._rows = self._rows_above(width)
        if not self._sources:
            self._rows += dim_lines(self._why_none, width)
        several = len({(span.start, span.end, span.kind) for span, _, _ in self._sources}) > 1
        for number, (span, _, source) in enumerate(self._sources):
            # With the first source what explains the span comes along.
            first = len(self._rows) if number else 0
            if several and (number == 0 or self._sources[number - 1][0] is not span):
                self._rows.append([(_about(span, width), "dim")])
            self._rows.append(_heading(source, number == self._selected, width))
            if number == self._selected:
                self._rows += source_rows(source, self._instance(source.index), width)
                self._selected_rows = (first, len(self._rows) - 1)
        return len(self._rows)

    def pieces(self, y: int) -> Row:
        return self._rows[y]


def _lines(rows: Sequence[Row], width: int) -> list[Row]:
    return [line for pieces in rows for line in wrapped(list(pieces), width, 0)]


def why_no_sources(answer: Answer | None, number: int) -> str:
    """What to tell where a position has no sources, and what the user can do."""
    if answer is None or answer.response is None:
        return "nothing to trace yet"
    if answer.spans is None:
        return (
            "base answers are not traced by themselves; v selects, t traces what is selected"
            if answer.label == BASE
            else "not traced yet; t traces the token under the cursor, v selects more"
        )
    if answer.spans_at(number):
        return "no instance holds anything like this span"
    return "no traced span here; n goes to the next flagged token, v selects and t traces what is selected"


def source_rows(source: Source, instance: Instance | None, width: int) -> list[Row]:
    """A source in full: where its score comes from, and its evidence in context."""
    rows = []
    if source.words:
        words = " + ".join(f"{visible_line(word)} {score:.1f}" for word, score in source.words[:WORDS])
        more = " + …" if len(source.words) > WORDS else ""
        rows.append([(f"    {shortened(f'BM25 {source.score:.1f} = {words}{more}', max(width - 4, 2))}", "dim")])
    for evidence in source.evidence[:EXCERPTS]:
        text = field_text(instance, evidence.field) if instance else None
        rows += _excerpt(evidence, text, width)
    left = len(source.evidence) - EXCERPTS
    if left > 0:
        rows.append([(f"    and {left} more; enter opens the instance", "dim")])
    if not source.evidence:
        text = instance.response if instance else None
        rows += wrapped([(f"response: {shortened(visible_line(text or ''), CONTEXT * 2)}", "")], width)
    return rows


def field_text(instance: Instance, field: str) -> str | None:
    """The text of a field as Evidence names it; None where the instance has no such field."""
    if field in ("instruction", "input", "response"):
        return str(getattr(instance, field) or "")
    match = re.fullmatch(r"(history|later)\[(\d+)\]", field)
    if match is None:
        return None
    messages = instance.history if match[1] == "history" else instance.later
    return messages[int(match[2])].content if int(match[2]) < len(messages) else None


def _about(span: Span, width: int) -> str:
    """What the sources below a line are of."""
    if span.kind == "similar":
        return "instances similar to the prompt that hold it, by BM25"
    return f"“{shortened(visible_line(span.text), max(width - 14, 8))}” {span.kind}"


def _heading(source: Source, selected: bool, width: int) -> Row:
    mark = "▸ " if selected else "  "
    number, score = f"#{source.index} ", f"{source.score:.1f} "
    room = max(width - len(mark) - len(number) - len(score), 1)
    instruction = shortened(visible_line(source.instruction), room)
    names = "strong" if selected else ""
    return [(mark, "bracket"), (number, "heading"), (score, "dim"), (instruction, names)]


def _excerpt(evidence: Evidence, text: str | None, width: int) -> list[Row]:
    # An instance that can't be read leaves the evidence itself, which the trace holds.
    whole = evidence.text if text is None else text
    start, end = (0, len(whole)) if text is None else (evidence.start, evidence.end)
    begin, finish = max(0, start - CONTEXT), min(len(whole), end + CONTEXT)
    pieces = [
        (f"{visible_line(evidence.field)}: ", "dim"),
        ("… " if begin else "", "dim"),
        (visible_line(whole[begin:start]), ""),
        ("[", "evidence"),
        (visible_line(whole[start:end]), "evidence"),
        ("]", "evidence"),
        (visible_line(whole[end:finish]), ""),
        (" …" if finish < len(whole) else "", "dim"),
    ]
    return list(wrapped(pieces, width))
