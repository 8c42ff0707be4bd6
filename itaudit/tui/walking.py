"""What `n` and `N` stop at: flagged spans of detectors and people, or shifted tokens."""

from typing import Literal, get_args

from itaudit.runs.detections import DETECTORS, Detector
from itaudit.tui.answer import Answer

Shifts = Literal["shifted or marginal", "shifted"]
Walk = Literal["any", "marks", Detector, Shifts]
"""`any` and detectors leave out what a person has looked at and not called untrue; `marks` are all marks."""
SHIFTS: tuple[Shifts, ...] = get_args(Shifts)
WALK_KEYS: dict[Walk, str] = {
    "any": "a",
    "marks": "m",
    "reference": "r",
    "consistency": "c",
    "signal": "s",
    "judge": "j",
    "import": "i",
    "shifted or marginal": "w",
    "shifted": "h",
}
WALK_WORDS: dict[Walk, str] = {
    "any": "any detector or mark",
    "marks": "marks",
    **{detector: detector for detector in DETECTORS},
    "shifted or marginal": "shifted or marginal",
    "shifted": "shifted",
}
_CLASSES = {"shifted or marginal": ("shifted", "marginal"), "shifted": ("shifted",)}


def walk_spans(answer: Answer, walk: Walk) -> list[tuple[int, int]]:
    """The first and last position of every stretch to stop at, in order of the text."""
    if walk in _CLASSES:
        return [(n, n) for n, position in enumerate(answer.positions) if position.shift in _CLASSES[walk]]
    return [covered for start, end in _stretches(answer, walk) if (covered := answer.covering(start, end)) is not None]


def _stretches(answer: Answer, walk: Walk) -> list[tuple[int, int]]:
    if walk == "marks":
        return [(flag.start, flag.end) for flag in answer.flags if flag.mark is not None]
    return [
        (flag.start, flag.end)
        for flag in answer.flags
        if (walk == "any" or walk in flag.scores) and flag.state != "dismissed"
    ]
