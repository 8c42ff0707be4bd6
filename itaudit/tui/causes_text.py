"""Causes and chance in words."""

from typing import TYPE_CHECKING

from itaudit.sanitize import visible_line
from itaudit.tui.layout import shortened
from itaudit.tui.proofs_told import ToldVerdict
from itaudit.tui.span_causes import SpanCause

if TYPE_CHECKING:
    from itaudit.trace.causes import Causes, CauseWord, Outcome

Pieces = list[tuple[str, str]]
_STYLES = {"borrowed": "evidence", "pretrained": "dim", "unexplained": "strong"}


def share_text(share: float) -> str:
    """A share of 0 to 1 in percent, never rounded to nothing or to all."""
    percent = 100 * share
    if 0 < percent < 1:
        return "<1 %"
    if 99 < percent < 100:
        return ">99 %"
    return f"{percent:.0f} %"


def word_pieces(causes: "Causes", word: "CauseWord", rank: int) -> Pieces:
    """A content word in a line: where it comes from, how frequent it is, and what chance would find."""
    outcome = causes.outcome(word, rank)
    by_instances, by_words = causes.expected(word)
    where = " (in the prompt)" if word.in_prompt else ""
    return [
        (f"“{shortened(visible_line(word.text), 24)}” ", ""),
        (outcome, _STYLES[outcome]),
        (f"{where} · in {word.frequency} of {causes.instances} responses", ""),
        (f" · by chance {share_text(by_instances)}, other words {share_text(by_words)}", "dim"),
    ]


def outcome_words(cause: SpanCause) -> str:
    """`borrowed, strict`: where a span comes from, and whether one turn holds all its words."""
    strict = cause.strict and cause.outcome != "pretrained" and cause.several
    return f"{cause.outcome}{', strict' if strict else ''}"


def cause_pieces(cause: SpanCause, chance: tuple[float, float] | None) -> list[Pieces]:
    """A span's words in lines: what holds them, and what chance would find."""
    held = len(cause.holders)
    lines: list[Pieces] = [[(outcome_words(cause), _style(cause.outcome))]]
    if cause.several:
        lines[0].append((f" · all {len(cause.words)} words in one answer of {len(cause.strict)}", ""))
        lines[0].append((f", some in {held}, of the {cause.similar} most similar instances", ""))
    else:
        lines[0].append((f" · in answers of {held} of the {cause.similar} most similar instances", ""))
    if chance is None:
        lines.append([("chance: …", "dim")])
    else:
        by_instances, by_words = chance
        what = "phrases" if cause.several else "words"
        lines.append(
            [
                (f"found by chance {share_text(by_instances)}", "strong"),
                (f" in as many random instances, {share_text(by_words)} for other {what} as frequent", "dim"),
            ]
        )
    return lines


def verdict_pieces(told: ToldVerdict) -> list[Pieces]:
    """What a proof says of a span, and how far it is where it is not done."""
    shown = told.verdict == "cause shown"
    pieces: Pieces = [("⊢ " if shown else "· ", "bracket"), (visible_line(told.text), "strong" if shown else "")]
    lines = [[*pieces, (f" ({visible_line(told.proof)})", "dim")]]
    if told.progress:
        lines.append([(f"  proof {visible_line(told.progress)}", "dim")])
    return lines


def _style(outcome: "Outcome") -> str:
    return _STYLES[outcome]
