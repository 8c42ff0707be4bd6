"""What the screen of blind rating says: the prompt, the answer, and what is rated. Nothing here knows a model."""

from textual.content import Content

from itaudit.evaluation.aspects import ASKED, ASPECTS, HIGHEST, LOWEST
from itaudit.evaluation.blind import BlindAnswer, Count, is_done
from itaudit.runs.ratings import Rated
from itaudit.runs.rows import Prompt
from itaudit.sanitize import visible, visible_line
from itaudit.tui.layout import shortened, text_cells

RATED, SKIPPED, BEGUN = "✓", "–", "…"
MARKS = ((RATED, "rated in all aspects"), (BEGUN, "begun"), (SKIPPED, "skipped"))
_NAMES = max(map(len, ASPECTS))
_GAP, _LEAST = 3, 20
"""Cells between the scale and what is asked, and those that the question needs to be worth it."""


def title_text(rater: str, count: Count | None, width: int) -> Content:
    """Whose rating it is, and how far it is."""
    told = ""
    if count is not None:
        told = f"{count.rated:,} of {count.answers:,} rated"
        told += f" · {count.skipped:,} skipped" if count.skipped else ""
    name = shortened(visible_line(rater), max(width - len("blind rating  ") - len(told) - 4, 0))
    left = f"blind rating  {name}"
    gap = " " * max(width - text_cells(left) - len(told), 1)
    return Content.assemble(("blind rating", "bold $primary"), f"  {name}", gap, (told, "$foreground-muted"))


def prompt_text(prompt: Prompt, *, reference: bool) -> Content:
    """What the models were asked, turn by turn where there are several, and the reference where it is wanted."""
    if len(prompt.messages) > 1:
        turns = [
            Content.assemble((visible_line(turn.get("role", "")), "bold $accent"), "\n", visible(turn["content"]))
            for turn in prompt.messages
        ]
        text = Content("\n").join(turns)
    else:
        text = Content(visible(prompt.prompt))
    if not reference:
        return text
    told = visible(prompt.reference) if prompt.reference else "this prompt has none"
    return Content.assemble(text, "\n\n", ("reference", "bold $accent"), "\n", told)


def answer_text(answer: BlindAnswer) -> Content:
    if not answer.text:
        return Content.styled("The answer is empty.", "$foreground-muted")
    return Content(visible(answer.text))


def answer_title(answer: BlindAnswer, rated: Rated) -> Content:
    """Which of the answers to its prompt it is, and whether it is rated."""
    state = ""
    if rated.skipped:
        state = f" · {SKIPPED} skipped"
    elif is_done(rated):
        state = f" · {RATED} rated"
    elif rated.values:
        state = f" · {BEGUN} begun"
    return Content.assemble((f"answer {answer.number} of {answer.of}", "bold"), (state, "$foreground-muted"))


def aspects_text(rated: Rated, here: int, width: int, *, short: bool) -> Content:
    """The aspects with their values, the one at `here` marked; where there is little height, that one alone.

    The chosen value stands in brackets, so that it is told without colours.
    """
    if short:
        where = f"{here + 1}/{len(ASPECTS)} "
        return Content.assemble((where, "$foreground-muted"), _scale(rated, here, here)).truncate(width)
    lines = [_scale(rated, number, here) for number in range(len(ASPECTS))]
    room = width - lines[0].cell_length - _GAP
    if room >= max(map(len, ASKED.values())):
        styles = ["" if number == here else "$foreground-muted" for number in range(len(ASPECTS))]
        asked = [Content.styled(ASKED[aspect], style) for aspect, style in zip(ASPECTS, styles, strict=True)]
    else:
        # Room for one of them: the one that is asked now, beside the list.
        asked = Content(ASKED[ASPECTS[here]]).wrap(room) if room >= _LEAST else []
    asked = [*asked[: len(lines)], *[Content()] * (len(lines) - len(asked))]
    return Content("\n").join(
        Content.assemble(line, " " * _GAP, beside).truncate(width) for line, beside in zip(lines, asked, strict=True)
    )


def _scale(rated: Rated, number: int, here: int) -> Content:
    """`▸ clarity  1 [2] 3  4  5 `."""
    aspect = ASPECTS[number]
    value = rated.values.get(aspect)
    scale = [
        (f"[{each}]", "bold $accent") if each == value else (f" {each} ", "" if number == here else "$foreground-muted")
        for each in range(LOWEST, HIGHEST + 1)
    ]
    mark = "▸ " if number == here else "  "
    return Content.assemble((f"{mark}{aspect:<{_NAMES}} ", "bold" if number == here else ""), *scale)


def values_text(rated: Rated) -> str:
    """`4 2 5 3 3`: what an answer was given, in the order of the aspects."""
    return " ".join(str(rated.values[aspect]) for aspect in ASPECTS if aspect in rated.values)
