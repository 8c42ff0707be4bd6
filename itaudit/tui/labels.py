"""Labels of marks: how each is told on the screen, by a character as well as by a style."""

from collections.abc import Iterable

from itaudit.runs.marks import Mark

LABEL_MARKS = {"hallucinated": "✗", "unsupported": "¿", "style": "≈", "correct": "✓"}
"""The character that follows every stretch with the label."""
OWN_MARK = "◆"
"""Follows a stretch with a label of the user's own."""
CANDIDATE_MARKS = ("‹", "›")
"""Around every stretch that a detector flags, and nobody has judged yet."""
LEGEND = (
    *((mark, f"marked as {label}") for label, mark in LABEL_MARKS.items()),
    (OWN_MARK, "marked with a label of your own"),
    ("".join(CANDIDATE_MARKS), "flagged by a detector, not judged yet"),
)


def label_mark(label: str) -> str:
    """The character of a label."""
    return LABEL_MARKS.get(label, OWN_MARK)


def label_style(label: str) -> str:
    """The name of a label's style in a panel."""
    return label if label in LABEL_MARKS else "own"


def own_labels(marks: Iterable[Mark]) -> list[str]:
    """The labels that are none of the usual ones, the most used first."""
    counts: dict[str, int] = {}
    for mark in marks:
        if mark.label not in LABEL_MARKS:
            counts[mark.label] = counts.get(mark.label, 0) + 1
    return sorted(counts, key=lambda label: (-counts[label], label))
