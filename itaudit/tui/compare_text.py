"""Two answers as they are read side by side: what went and what came, what was flagged, and where they part."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content

from itaudit.analysis.answers import PhraseFate
from itaudit.data.diff import word_changes
from itaudit.data.edited_rows import EditedRow
from itaudit.data.edits import values_of
from itaudit.runs.compare import Choice, Parting, Spot, Top
from itaudit.runs.retune import Change
from itaudit.runs.rows import PromptShift
from itaudit.sanitize import visible, visible_line
from itaudit.tui.answer import token_label
from itaudit.tui.diff_text import ADDED_STYLE, LONGEST, REMOVED_STYLE, fields_diff
from itaudit.tui.labels import CANDIDATE_MARKS, LABEL_MARKS
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.widgets.position_panel import EMITTED, TokenText, probability_text
from itaudit.units import kl_text

CURRENT_STYLE = "bold reverse"
FLAGGED_STYLE = "bold underline $hallucinated"
FATE_STYLES: Mapping[str, str] = {"gone": "bold $success", "changed": "bold $warning", "still said": "bold $error"}
ALTERNATIVES = 5
EXCERPT = 40


@dataclass(frozen=True, slots=True)
class Read:
    """A text to read, and the offset in it that has to be in sight."""

    content: Content
    focus: int | None


def both_texts(
    old: str, new: str, spots: Sequence[Spot], current: Spot | None, fates: Mapping[Spot, PhraseFate | None]
) -> tuple[Read, Read]:
    """Both answers with what differs; the older one with its flagged stretches, the newer with those still said."""
    removed: list[tuple[int, int]] = []
    added: list[tuple[int, int]] = []
    at = [0, 0]
    for kind, text in word_changes(old[:LONGEST], new[:LONGEST]):
        if kind == "removed":
            removed.append((at[0], at[0] + len(text)))
        elif kind == "added":
            added.append((at[1], at[1] + len(text)))
        at[0] += len(text) if kind != "added" else 0
        at[1] += len(text) if kind != "removed" else 0
    flagged = [(spot.start, spot.end, spot_mark(spot), spot is current) for spot in spots]
    said = []
    for spot in spots:
        fate = fates.get(spot)
        if fate is not None and fate.start is not None and fate.end is not None:
            said.append((fate.start, fate.end, spot_mark(spot), spot is current))
    return (
        _side(old, removed, REMOVED_STYLE, ("[-", "-]"), flagged),
        _side(new, added, ADDED_STYLE, ("{+", "+}"), said),
    )


def _side(
    text: str,
    changed: Iterable[tuple[int, int]],
    style: str,
    brackets: tuple[str, str],
    flagged: Sequence[tuple[int, int, str, bool]],
) -> Read:
    shown = visible(text[:LONGEST])
    content = Content(shown)
    insertions: list[tuple[int, int, str]] = []
    for start, end in changed:
        content = content.stylize(style, start, end)
        if os.environ.get("NO_COLOR"):
            insertions += [(start, 1, brackets[0]), (end, 0, brackets[1])]
    focus = None
    marks = set()
    for start, end, mark, current in flagged:
        content = content.stylize(CURRENT_STYLE if current else FLAGGED_STYLE, start, min(end, len(shown)))
        insertions.append((min(end, len(shown)), 0, mark))
        marks.add(mark)
        if mark == CANDIDATE_MARKS[1]:
            insertions.append((start, 1, CANDIDATE_MARKS[0]))
            marks.add(CANDIDATE_MARKS[0])
        focus = start if current else focus
    if focus is None:
        focus = min((start for start, _ in changed), default=None)
    # From the end on, so that the offsets before stay as they are; what closes stands before what opens.
    for place, _, mark in sorted(insertions, key=lambda one: one[:2], reverse=True):
        styled = Content.styled(mark, "$hallucinated") if mark in marks else Content(mark)
        content = content[:place] + styled + content[place:]
        if focus is not None and place <= focus:
            focus += len(mark)
    if len(text) > LONGEST:
        content += Content.styled(f"\n… {len(text) - LONGEST:,} characters more", "$foreground-muted")
    return Read(content, focus)


def spot_mark(spot: Spot) -> str:
    """The character that follows a flagged stretch: that of its label, or what closes a candidate."""
    return LABEL_MARKS.get(spot.label, CANDIDATE_MARKS[1])


def shift_words(shift: PromptShift | None, width: int) -> str:
    """`KL 0.29 · shifted 6.1 % · marginal 4.0 %` of one answer, or as much of it as has room in a width."""
    if shift is None:
        return "not scored yet"
    figures = [] if shift.kl_mean is None else [f"KL {kl_text(shift.kl_mean, 2)}"]
    shares = [100 * count / shift.tokens for count in (shift.shifted, shift.marginal)] if shift.tokens else []
    if shares:
        shifted, marginal = shares
        for words in (f"shifted {shifted:.1f} % · marginal {marginal:.1f} %", f"S {shifted:.0f} % M {marginal:.0f} %"):
            line = " · ".join([*figures, words])
            if len(line) <= width:
                return line
    return " · ".join(figures)


def fate_line(spot: Spot, fate: PhraseFate | None, number: int, count: int) -> Content:
    """What became of a flagged stretch: `2/7 “Luigi Zamboni” (hallucinated): gone`."""
    head = f"{number}/{count} “{shortened(visible_line(spot.text), 40)}” ({visible_line(spot.label)}): "
    if fate is None:
        return Content.assemble(head, ("not answered yet", "$foreground-muted"))
    return Content.assemble(head, (fate.fate, FATE_STYLES[fate.fate]))


def parting_text(
    parting: Parting | None, text: str, names: tuple[str, str], token_text: TokenText, width: int, *, waits: bool
) -> Content:
    """Where two answers part, with the likeliest tokens of both models and the base there."""
    if parting is None:
        words = "The answers are not both there yet." if waits else "Token for token the same."
        return Content.styled(words, "$foreground-muted")
    before = visible_line(text[max(0, parting.start - EXCERPT) : parting.start])
    lines = [
        Content.assemble(
            f"They part at position {parting.position + 1}, after ",
            (f"“{'…' if parting.start > EXCERPT else ''}{before}”", "$foreground-muted"),
        )
    ]
    sides = [(names[0], parting.old), (names[1], parting.new)]
    for (name, choice), (other_name, other) in zip(sides, reversed(sides), strict=True):
        lines.append(Content(_across(name, choice, other_name, other, token_text)))
    columns = [_column(name, choice.top, choice.token, token_text) for name, choice in sides]
    if parting.base:
        columns.append(_column("base", parting.base, -1, token_text))
    lines += _columns([column for column in columns if column], width)
    ranks = [
        f"{'cut off' if choice.token < 0 else visible_line(token_label(token_text(choice.token)))} {rank}"
        for choice, rank in ((parting.old, parting.rank_old), (parting.new, parting.rank_new))
        if rank is not None
    ]
    if ranks:
        lines.append(Content.styled(f"base ranks: {' · '.join(ranks)}", "$foreground-muted"))
    return Content("\n").join(lines)


def _across(name: str, choice: Choice, other_name: str, other: Choice, token_text: TokenText) -> str:
    """How likely one model's token is to the other: `“Luigi” of demo: .44, and .08 in demo-mended`."""
    if choice.token < 0:
        return f"{visible_line(name)} was cut off here"
    token = visible_line(token_label(token_text(choice.token)))
    own = "" if choice.logprob is None else f" {probability_text(math.exp(choice.logprob))} there,"
    if other.token < 0 or not other.top:
        there = "not known"
    elif other.other is None:
        there = f"not among the {len(other.top)} likeliest"
    else:
        there = probability_text(math.exp(other.other))
    return f"“{token}” of {visible_line(name)}:{own} {there} in {visible_line(other_name)}"


def _column(name: str, top: Top, said: int, token_text: TokenText) -> list[tuple[str, str, bool]]:
    rows = [(name, "", False)] if top else []
    for token, logprob in top[:ALTERNATIVES]:
        rows.append((token_label(token_text(token)), probability_text(math.exp(logprob)), token == said))
    return rows


def _columns(columns: Sequence[list[tuple[str, str, bool]]], width: int) -> Iterator[Content]:
    """Columns beside each other, as many as have room for a token each."""
    each = max(14, width // max(1, len(columns)) - 2)
    columns = columns[: max(1, width // (each + 1))]
    for row in range(max(map(len, columns), default=0)):
        line = Content()
        for column in columns:
            if row >= len(column):
                line += Content(" " * (each + 2))
                continue
            text, probability, said = column[row]
            room = each - 8
            short = shortened(visible_line(text), each if not probability else room)
            pad = (each if not probability else room) - text_cells(short)
            style = "bold $primary" if not probability else "bold" if said else ""
            line += Content.assemble((short, style), " " * pad)
            if probability:
                line += Content.assemble(f" {probability:>5}", (EMITTED if said else " ", "$cursor"), " ")
            line += Content("  ")
        yield line


def edits_text(changes: Sequence[Change] | None, sources: Mapping[int, int], problem: str) -> Content:
    """What was edited between both runs, the sources of the span that is looked at first."""
    if problem:
        return Content.styled(visible_line(problem), "$error")
    if changes is None:
        return Content.styled("Reading the edits …", "$foreground-muted")
    if not changes:
        return Content.styled("No instance was edited between these runs.", "$foreground-muted")
    ordered = sorted(changes, key=lambda change: (sources.get(change.index, math.inf), change.index))
    return Content("\n\n").join(_edit(change, sources.get(change.index)) for change in ordered)


def _edit(change: Change, rank: int | None) -> Content:
    row = change.after or change.before
    assert row is not None
    where = "" if rank is None else f" · source {rank} of the span"
    title = Content.assemble(
        (f"#{change.index}", "bold $primary"), (where, "bold"), f"  {visible_line(row.source.instruction)}\n"
    )
    if change.after is None:
        return title + Content.styled("deleted: not tuned on any more", REMOVED_STYLE)
    if change.before is None:
        return title + Content.styled("restored: tuned on again", ADDED_STYLE)
    before, after = _texts(change.before), _texts(change.after)
    changed = {name: value for name, value in after.items() if value != before[name]}
    return title + fields_diff(before, changed)


def _texts(row: EditedRow) -> dict[str, object]:
    return values_of(row.instance)
