"""What the detectors flagged in a run, and how far they agree: the document of `itaudit detect --json`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from itaudit.analysis.agreement import Agreement, agreement, pair_agreements
from itaudit.analysis.words import Word, content_words
from itaudit.detect.spans import ResponseFlags
from itaudit.runs.detections import Detection, Detector
from itaudit.runs.run import Run

MARKS = "marks"
"""The rater that stands for the people who marked."""


def detect_document(run: Run, labels: Sequence[str]) -> dict[str, Any]:
    """For each model, what each detector that has looked at it flagged, and the agreement of all over content words."""
    return {"run": str(run.path), "models": {label: _model_document(run, label) for label in labels}}


def _model_document(run: Run, label: str) -> dict[str, Any]:
    flags = ResponseFlags(run, label)
    words = {prompt_id: content_words(text) for prompt_id, text in flags.texts.items()}
    ratings: dict[str, list[bool | None]] = {}
    for detector in flags.detections:
        ratings[detector] = _joined(_detector_ratings(flags, detector, id, found) for id, found in words.items())
    if flags.marks:
        ratings[MARKS] = _joined(_mark_ratings(flags, id, found) for id, found in words.items())
    return {
        "responses": len(words),
        "words": sum(map(len, words.values())),
        "detectors": {
            detector: _detector_document(list(by_prompt.values()), ratings[detector], flags.texts)
            for detector, by_prompt in flags.detections.items()
        },
        "agreement": _agreement_document(ratings),
    }


def _detector_document(
    detections: Sequence[Detection], ratings: Sequence[bool | None], texts: dict[str, str]
) -> dict[str, Any]:
    """Shares are 0 to 1, of the content words and characters of the responses that the detector could look at."""
    looked = [detection for detection in detections if not detection.problem]
    rated = [value for value in ratings if value is not None]
    characters = sum(len(texts.get(detection.prompt_id, "")) for detection in looked)
    flagged = sum(
        _covered((candidate.start, candidate.end) for candidate in detection.candidates) for detection in looked
    )
    return {
        "responses": len(looked),
        "candidates": sum(len(detection.candidates) for detection in looked),
        "flagged_words": sum(rated) / len(rated) if rated else None,
        "flagged_characters": flagged / characters if characters else None,
        "seconds_per_response": sum(d.seconds for d in detections) / len(detections) if detections else None,
        "refused": sum(detection.refused for detection in detections),
        "problems": dict(Counter(detection.problem for detection in detections if detection.problem)),
    }


def _joined(ratings: Iterable[Sequence[bool | None]]) -> list[bool | None]:
    return list(chain.from_iterable(ratings))


def _covered(stretches: Iterable[tuple[int, int]]) -> int:
    """How many characters stand in at least one stretch."""
    total, reach = 0, 0
    for start, end in sorted(stretches):
        total += max(0, end - max(start, reach))
        reach = max(reach, end)
    return total


def _detector_ratings(
    flags: ResponseFlags, detector: Detector, prompt_id: str, words: Sequence[Word]
) -> list[bool | None]:
    found = flags.candidates(prompt_id).get(detector)
    if found is None:
        return [None] * len(words)
    return touched(words, [(candidate.start, candidate.end) for candidate in found])


def _mark_ratings(flags: ResponseFlags, prompt_id: str, words: Sequence[Word]) -> list[bool | None]:
    """Whoever marked a span of a response has read it: its other words count as not flagged."""
    marks = flags.marks.get(prompt_id)
    if not marks:
        return [None] * len(words)
    confirmed = [(flag.start, flag.end) for flag in flags.flags(prompt_id) if flag.state == "confirmed"]
    return touched(words, confirmed)


def touched(words: Sequence[Word], stretches: Sequence[tuple[int, int]]) -> list[bool | None]:
    """Whether each word shares a character with a stretch."""
    return [any(start < word.end and word.start < end for start, end in stretches) for word in words]


def _agreement_document(ratings: dict[str, list[bool | None]]) -> dict[str, Any] | None:
    if len(ratings) < 2:
        return None
    pairs = [
        {**_told(pair.agreement), "both": pair.both, "only_first": pair.only_first, "only_second": pair.only_second}
        for pair in pair_agreements(ratings)
    ]
    return {**_told(agreement(ratings)), "pairs": pairs}


def _told(found: Agreement) -> dict[str, Any]:
    told = asdict(found)
    return {"raters": list(found.raters), "words": told["units"], **{k: told[k] for k in ("alpha", "reason", "agreed")}}
