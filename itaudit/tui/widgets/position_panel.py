"""What both models thought at the position under the cursor."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import zip_longest

from itaudit.runs.rows import TokenScores
from itaudit.runs.run import BASE
from itaudit.sanitize import visible_line
from itaudit.tui.answer import Answer, token_label
from itaudit.tui.labels import CANDIDATE_MARKS, label_mark, label_style
from itaudit.tui.layout import bar, shortened, text_cells
from itaudit.tui.widgets.panel import Panel, Piece, wrapped
from itaudit.units import kl_text

SIDE_BY_SIDE = 56
"""Cells from which the two models' alternatives stand beside each other."""
EMITTED = "◀"
"""Follows the token that the response has at this position."""

TokenText = Callable[[int], str]
Row = list[Piece]


class PositionPanel(Panel):
    """Rank, log-probabilities, KL and the most likely tokens of both models."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._answer: Answer | None = None
        self._number = 0
        self._token_text: TokenText = str
        self._extra: Sequence[Row] = ()
        self._rows: list[Row] = []

    def show(self, answer: Answer | None, number: int, token_text: TokenText, extra: Sequence[Row] = ()) -> None:
        """Shows a position of an answer; `token_text` says what a token id stands for, `extra` what else is known."""
        self._answer, self._number, self._token_text, self._extra = answer, number, token_text, extra
        self.title(*position_title(answer, number, token_text))
        self.changed()

    def lay_out(self, width: int) -> int:
        self._rows = list(position_rows(self._answer, self._number, self._token_text, width, self._extra))
        return len(self._rows)

    def pieces(self, y: int) -> Sequence[Piece]:
        return self._rows[y]


def position_title(answer: Answer | None, number: int, token_text: TokenText) -> Row:
    """The position in a few words: number, from 1, and token."""
    if answer is None or not answer.positions:
        return [("position", "")]
    return [(f"position {number + 1} · “{_emitted_label(answer, number, token_text)}”", "")]


def position_rows(
    answer: Answer | None, number: int, token_text: TokenText, width: int, extra: Sequence[Row] = ()
) -> Iterator[Row]:
    """The lines of the panel at a width in cells; `extra` stands above the alternatives."""
    if answer is None or not answer.positions:
        yield [("there is no token here", "dim")]
        return
    told = [*_flagged(answer, number, width), *(line for row in extra for line in wrapped(row, width, 0))]
    scores = answer.scores
    if scores is None:
        yield [("not scored yet: words stand in for tokens", "dim")]
        yield from told
        return
    yield from _facts(answer, scores, number, width)
    yield from told
    base = list(_alternatives(BASE, scores.top_base, scores.logprob_base, scores, number, token_text))
    if answer.label == BASE:
        yield from _columns([base], width)
        return
    tuned = (
        None
        if scores.top_tuned is None or scores.logprob_tuned is None
        else list(_alternatives(answer.label, scores.top_tuned, scores.logprob_tuned, scores, number, token_text))
    )
    if tuned is None:
        yield from _columns([base], width)
        yield [(f"{answer.label}: its distribution is not known, since the model was not loaded", "dim")]
    elif width >= SIDE_BY_SIDE:
        yield from _columns([base, tuned], width)
    else:
        yield from _columns([base], width)
        yield from _columns([tuned], width)


def _flagged(answer: Answer, number: int, width: int) -> Iterator[Row]:
    """Who or what flagged the span at a position, when, and what they noted."""
    flag = answer.flag_at(number)
    if flag is None:
        return
    scores = ", ".join(f"{name} {score:.2f}" for name, score in flag.scores.items())
    if flag.mark is None:
        yield from wrapped([("".join(CANDIDATE_MARKS), "candidate"), (f" candidate of {scores}", "")], width, 0)
        return
    mark = flag.mark
    pieces: Row = [(f"{label_mark(mark.label)} {visible_line(mark.label)}", label_style(mark.label))]
    pieces.append((f" by {visible_line(mark.by) or 'somebody'}", ""))
    if mark.time > 0:
        pieces.append((f", {time_text(mark.time)}", "dim"))
    if mark.detector:
        verb = "confirms" if flag.state == "confirmed" else "overrides"
        score = "" if mark.score is None else f" {mark.score:.2f}"
        detectors = ", ".join(visible_line(name) for name in mark.detector.split(","))
        pieces.append((f", {verb} {detectors}{score}", ""))
    elif scores:
        pieces.append((f", flagged by {scores} too", ""))
    if mark.note:
        pieces.append((f" · {visible_line(mark.note)}", ""))
    yield from wrapped(pieces, width, 0)


def time_text(seconds: float) -> str:
    """When something was done, in local time."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"


def _facts(answer: Answer, scores: TokenScores, number: int, width: int) -> Iterator[Row]:
    shift = answer.positions[number].shift or ""
    facts: Row = [(shift, shift), (f" rank {scores.rank_base[number]}", "")]
    part, parts = answer.sharing(number)
    if parts > 1:
        facts.append((f"  part {part} of {parts} of this character", "dim"))
    # What does not fit beside the rest goes on a line of its own.
    groups: list[Row] = [facts]
    known = f"log p  {BASE} {scores.logprob_base[number]:.2f}"
    if scores.logprob_tuned is not None and answer.label != BASE:
        known += f"  {answer.label} {scores.logprob_tuned[number]:.2f}"
    groups.append([(known, "")])
    if scores.kl is not None and answer.label != BASE:
        groups.append([(f"KL({answer.label}‖{BASE}) {kl_text(scores.kl[number], 3)} nats", "")])
        if scores.kl_reverse is not None:
            groups.append([(f"KL({BASE}‖{answer.label}) {kl_text(scores.kl_reverse[number], 3)} nats", "")])
    if scores.kl_aligntds is not None:
        groups.append([(f"AlignTDS KL {kl_text(scores.kl_aligntds[number], 3)}", "dim")])
    line: Row = []
    for group in groups:
        if line and _cells(line) + 3 + _cells(group) > width:
            yield line
            line = []
        line = [*line, ("   ", ""), *group] if line else group
    yield line


# What an alternative shows: rank or what is known of it, token text, probability, whether it was emitted.
_Alternative = tuple[str, str, float, bool]


def _alternatives(
    label: str,
    tops: list[list[tuple[int, float]]],
    logprobs: list[float],
    scores: TokenScores,
    number: int,
    token_text: TokenText,
) -> Iterator[tuple[str, _Alternative | None]]:
    """(label, None) for the heading, then the most likely tokens and, if it is not among them, the emitted one."""
    yield label, None
    top = tops[number] if number < len(tops) else []
    emitted = scores.ids[number]
    for rank, (token, logprob) in enumerate(top):
        yield label, (str(rank), token_label(token_text(token)), math.exp(logprob), token == emitted)
    if all(token != emitted for token, _ in top):
        # Ranks are kept for the base model alone; of the tuned model's it is known that it is beyond its list.
        rank_text = str(scores.rank_base[number]) if label == BASE else f"≥{len(top)}"
        yield label, (rank_text, token_label(token_text(emitted)), math.exp(logprobs[number]), True)


def _columns(columns: list[list[tuple[str, _Alternative | None]]], width: int) -> Iterator[Row]:
    each = (width - 2 * (len(columns) - 1)) // len(columns)
    for cells in zip_longest(*columns):
        row: Row = []
        for cell in cells:
            if row:
                row.append(("  ", ""))
            if cell is None:
                row.append((" " * each, ""))
                continue
            pieces = _heading(cell[0]) if cell[1] is None else _alternative(cell[0], cell[1], each)
            row += pieces
            row.append((" " * (each - _cells(pieces)), ""))
        # Blanks at the end would carry a background to the edge.
        while row and not row[-1][0].strip():
            row.pop()
        yield row


def _heading(label: str) -> Row:
    return [(label, "strong base" if label == BASE else "strong tuned")]


def _alternative(label: str, alternative: _Alternative, width: int) -> Row:
    rank, text, probability, emitted = alternative
    room = max(min(width - 14, max(width // 3, 10)), 1)
    short = shortened(text, room)
    bar_room = max(0, width - room - 14)
    pieces = [
        (f"{rank:>5} ", "dim"),
        (short + " " * (room - text_cells(short)), "strong" if emitted else ""),
        (f" {probability_text(probability):>5}", ""),
        (EMITTED if emitted else " ", "bracket"),
    ]
    if bar_room > 1:
        pieces.append((" " + bar(probability, bar_room - 1), "base" if label == BASE else "tuned"))
    return pieces


def probability_text(probability: float) -> str:
    """A probability in at most five characters."""
    if probability >= 0.9995:
        return "1.00"
    if probability >= 0.0005:
        return f"{probability:.3f}".removeprefix("0")
    return f"{probability:.0e}".replace("e-0", "e-") if probability > 0 else "0"


def _emitted_label(answer: Answer, number: int, token_text: TokenText) -> str:
    position = answer.positions[number]
    text = answer.text[position.start : position.end]
    if not text and answer.scores is not None:
        text = token_text(answer.scores.ids[number])
    return token_label(text)


def _cells(row: Row) -> int:
    return sum(text_cells(text) for text, _ in row)
