"""Detections: spans of a response that a detector takes for hallucinated; candidates until a person confirms them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Detector = Literal["reference", "consistency", "signal", "judge", "import"]
DETECTORS: tuple[Detector, ...] = ("reference", "consistency", "signal", "judge", "import")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span that a detector flags: half-open character offsets of the response, and the text that stands there.

    `score` is 0 to 1, higher is more suspect; scores of different detectors don't compare. `reason` is one line.
    """

    start: int
    end: int
    text: str
    score: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Detection:
    """What one detector says of one response; `problem` is one line where it could not look at it.

    `refused` counts what a model named and the response does not hold.
    """

    prompt_id: str
    candidates: tuple[Candidate, ...]
    problem: str = ""
    seconds: float = 0.0
    refused: int = 0


def detection_row(order: int, detection: Detection) -> dict[str, Any]:
    """A detection as a row of the DETECTIONS schema."""
    candidates = [
        {"start": c.start, "end": c.end, "text": c.text, "score": c.score, "reason": c.reason}
        for c in detection.candidates
    ]
    return {
        "order": order,
        "prompt_id": detection.prompt_id,
        "candidates": candidates,
        "problem": detection.problem,
        "seconds": detection.seconds,
        "refused": detection.refused,
    }


def detection_of(row: Mapping[str, Any]) -> Detection:
    """The detection in a row of the DETECTIONS schema."""
    candidates = tuple(Candidate(**candidate) for candidate in row["candidates"])
    return Detection(row["prompt_id"], candidates, row["problem"], row["seconds"], row["refused"])
