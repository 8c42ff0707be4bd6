"""Models side by side in words: the position under the cursor in each of them, where they part, what was asked."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textual.content import Content

from itaudit.analysis.shift import CLASSES, ShiftClass
from itaudit.analysis.table import Column, Table
from itaudit.runs.rows import TokenScores
from itaudit.runs.side_by_side import Partings
from itaudit.sanitize import visible_line
from itaudit.tui.answer import token_label
from itaudit.tui.beside import PARTING_MARK, Beside
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.widgets.position_panel import probability_text
from itaudit.units import kl_text

MUTED = "$foreground-muted"
NAME, TOKEN = 18, 14
"""Cells of a model's name and of a token at most."""
_ROOM = 56
"""Cells beside the name from which all that is known of a model has room on its line."""
_NARROW_TOKEN = 9
LEGEND = (
    (PARTING_MARK, "before the token at which an answer parts from the first model's"),
    ("S M ·", "shifted, marginal, unshifted, where there is little room"),
)
_CLASS_MARKS = {"unshifted": "·", "marginal": "M", "shifted": "S"}
_STYLES = {"unshifted": "", "marginal": "underline $marginal", "shifted": "reverse $shifted"}


def column_title(beside: Beside, number: int, width: int) -> str:
    """A model's name with its key, how long its answer is, and how it ends."""
    answer = beside.answers[number] if beside.answers else None
    head = f"{number + 1} {visible_line(beside.names[number])}"
    if answer is None:
        return shortened(head, width)
    facts = [f"{PARTING_MARK} {answer.parts_at + 1}"] if answer.parts_at is not None else []
    if answer.positions:
        facts.append(f"{len(answer.positions)} {'tokens' if answer.scores else 'words'}")
    if answer.positions and beside.position >= len(answer.positions):
        facts.append("has ended")
    elif answer.response and answer.response.finish in ("cut_off", "empty"):
        facts.append("cut off" if answer.response.finish == "cut_off" else "empty")
    return shortened(" · ".join([head, *facts]), width)


def parting_words(partings: Partings | None, names: Sequence[str]) -> str:
    """Where the answers part, and who agrees there."""
    if partings is None:
        return "no prompt was asked of all of these models"
    if partings.first is None:
        return "token for token the same" if sum(map(len, partings.groups)) > 1 else "nothing to compare yet"
    groups = " · ".join(" = ".join(visible_line(names[place]) for place in group) for group in partings.groups)
    words = f"part at token {partings.first + 1}: {groups}"
    return words if partings.same_context else f"{words} (what they read before the answer differs)"


def position_text(beside: Beside, width: int) -> Content:
    """What each model says at the position, a line each, with its class, rank, KL and likeliest tokens.

    Where these have no room, they stand below for the model that is looked at.
    """
    answers = beside.answers
    if not answers:
        return Content.styled("no prompt was asked of all of these models", MUTED)
    name = min(NAME, max(text_cells(visible_line(each)) for each in beside.names))
    lines = [Content.styled(shortened(parting_words(beside.partings, beside.names), width), "bold")]
    if width < name + _ROOM:
        lines += _narrow_lines(beside, min(name, max(width - 30, 3)))
    else:
        lines.append(
            Content.styled(f"  {'model':<{name}}  {'token':<{TOKEN}}  class        rank     KL  likeliest", MUTED)
        )
        lines += [_model_line(beside, number, name) for number in range(len(answers))]
        lines += _base_lines(beside, name)
    return Content("\n").join(line.truncate(max(1, width), ellipsis=True) for line in lines)


def active_line(beside: Beside, width: int) -> Content:
    """What the model that is looked at says at the position, where there is room for one line."""
    place = f"{beside.position + 1}/{beside.longest} "
    here = _here(beside, beside.active)
    if isinstance(here, str):
        return Content(f"{place}{here}").truncate(max(1, width), ellipsis=True)
    kl = f" KL {here.kl}" if here.kl else ""
    line = Content.assemble(place, (here.token, _STYLES[here.shift]), f" {here.shift} rank {here.rank}{kl}")
    return line.truncate(max(1, width), ellipsis=True)


@dataclass(frozen=True, slots=True)
class _Here:
    """A model's token at the position, as people read it."""

    token: str
    shift: ShiftClass
    rank: int
    kl: str


def _here(beside: Beside, number: int) -> _Here | str:
    """What a model says at the position, or why there is nothing to tell."""
    answer = beside.answers[number] if beside.answers else None
    if answer is None or answer.response is None:
        return "not answered yet"
    if beside.position >= len(answer.positions):
        return "has ended" if answer.positions else "empty"
    scores, position = answer.scores, answer.positions[beside.position]
    text = token_label(answer.text[position.start : position.end]) if position.end > position.start else ""
    if scores is None:
        return f"{_padded(text, TOKEN)}  not scored yet"
    text = text or token_label(beside.cells[number].run.token_text(scores.ids[beside.position]))
    kl = "" if scores.kl is None else kl_text(scores.kl[beside.position], 3)
    return _Here(text, position.shift or CLASSES[0], scores.rank_base[beside.position], kl)


def _narrow_lines(beside: Beside, name: int) -> Iterator[Content]:
    """A line a model, with a letter for its class; then the likeliest tokens of the model that is looked at."""
    yield Content.styled(f"   {'model':<{name}} {'token':<{_NARROW_TOKEN}} S/M   rank     KL", MUTED)
    for number, each in enumerate(beside.names):
        mark = "▸" if number == beside.active else " "
        start = Content.assemble(f"{mark}{number + 1} ", (_padded(visible_line(each), name), "bold"), " ")
        here = _here(beside, number)
        if isinstance(here, str):
            yield start + Content.styled(here, MUTED)
        else:
            token = (_padded(here.token, _NARROW_TOKEN), _STYLES[here.shift])
            yield start + Content.assemble(token, f"  {_CLASS_MARKS[here.shift]} {here.rank:>6} {here.kl:>6}")
    scores = beside.answers[beside.active].scores
    if scores is not None and _has(beside, scores):
        yield Content(f"likeliest  {_top(beside, beside.active)}")
        if scores.top_tuned is not None:
            yield Content.styled(f"base says  {_alternatives(beside, beside.active, scores.top_base)}", MUTED)


def _model_line(beside: Beside, number: int, name: int) -> Content:
    shown = _padded(visible_line(beside.names[number]), name)
    start = Content.assemble("▸ " if number == beside.active else "  ", (shown, "bold"), "  ")
    here = _here(beside, number)
    if isinstance(here, str):
        return start + Content.styled(here, MUTED)
    return start + Content.assemble(
        (_padded(here.token, TOKEN), _STYLES[here.shift]),
        f"  {here.shift:<9}  {here.rank:>5} {here.kl:>6}  ",
        _top(beside, number),
    )


def _top(beside: Beside, number: int) -> str:
    scores = beside.answers[number].scores
    if scores is None:
        return ""
    top = scores.top_tuned if scores.top_tuned is not None else scores.top_base
    return _alternatives(beside, number, top)


def _alternatives(beside: Beside, number: int, top: Sequence[Sequence[tuple[int, float]]]) -> str:
    run, found = beside.cells[number].run, top[beside.position] if beside.position < len(top) else ()
    return "  ".join(
        f"{token_label(run.token_text(token))} {probability_text(math.exp(logprob))}" for token, logprob in found[:5]
    )


def _base_lines(beside: Beside, name: int) -> Iterator[Content]:
    """What the base model would say there: one line as long as all answers are the same, else one each."""
    partings = beside.partings
    together = partings is not None and (partings.first is None or beside.position <= partings.first)
    tuned = [n for n, cell in enumerate(beside.cells) if not cell.is_base and _has(beside, beside.answers[n].scores)]
    for number in tuned[:1] if together else tuned:
        scores = beside.answers[number].scores
        if scores is not None:
            after = "base, here" if together else f"base after {visible_line(beside.names[number])}"
            line = f"  {_padded(shortened(after, name + TOKEN + 2), name + TOKEN + 2)}  "
            line += _alternatives(beside, number, scores.top_base)
            yield Content.styled(line, MUTED)


def _has(beside: Beside, scores: TokenScores | None) -> bool:
    return scores is not None and beside.position < len(scores)


def _padded(text: str, width: int) -> str:
    text = shortened(text, width)
    return text + " " * max(width - text_cells(text), 0)


def differences_table(differences: Sequence[tuple[str, tuple[str, ...]]], names: Sequence[str]) -> Table:
    """What the recipes ask of each model, where that differs."""
    columns = (
        Column("key", "key of the recipe", "text"),
        *(Column(f"{number}", name, "text") for number, name in enumerate(names)),
    )
    rows = tuple({"key": key, **{f"{n}": value or "–" for n, value in enumerate(told)}} for key, told in differences)
    note = "What concerns a model's own tuning stands under `model`. Keys whose values are the same are left out."
    title = "What was asked of them differs in" if rows else "The recipes ask the same of all of them"
    return Table("recipes", title, columns, rows, note)
