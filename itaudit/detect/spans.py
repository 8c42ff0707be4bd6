"""What stands on a response: the candidates of all detectors and people's marks, brought together into flags.

Marks are painted over candidates, and later marks over earlier ones, character by character. What shows in the end is
what stands: a mark decides the words that it touches, and whatever else a candidate or an earlier mark holds stays as
it was. Candidates of several detectors that share a character are one flag. No two flags overlap.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from itaudit.analysis.words import content_words, words
from itaudit.runs.detections import DETECTORS, Candidate, Detection, Detector, detection_of
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run

FlagState = Literal["candidate", "confirmed", "dismissed"]
Flags = Literal["marks", "any"] | Detector
"""Which flags count: `marks` are those that a person confirmed or set, a detector's name its candidates that nobody
dismissed, `any` both."""

Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Flag:
    """A stretch of a response that somebody or something flagged: half-open character offsets, and its text.

    `by` holds the person who marked it, if one did, and the detectors whose candidates it takes in, in the order of
    DETECTORS; `scores` and `reasons` are theirs, the highest score where one has several. `label` is the mark's, and
    empty for a candidate. A mark with a label of FLAGGED is `confirmed`, any other `dismissed`: a person looked at it
    and did not call it untrue. `mark` is the mark that stands there.
    """

    start: int
    end: int
    text: str
    by: tuple[str, ...]
    label: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    state: FlagState = "candidate"
    reasons: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None

    @property
    def detectors(self) -> tuple[Detector, ...]:
        return tuple(name for name in DETECTORS if name in self.scores)

    def marked(self, label: str, model: str, prompt_id: str, *, note: str = "") -> Mark:
        """The mark by which a person confirms or overrides this flag."""
        detectors = self.detectors
        return Mark(
            model,
            prompt_id,
            self.start,
            self.end,
            self.text,
            label,
            note=note,
            detector=",".join(detectors),
            # Scores of different detectors don't compare, so that two of them are no score.
            score=self.scores[detectors[0]] if len(detectors) == 1 else None,
        )


def standing(run: Run, label: str, prompt_id: str) -> tuple[Flag, ...]:
    """The flags of one response, in order; none where it is not generated yet. Raises UserError for unknown labels."""
    return ResponseFlags(run, label).flags(prompt_id)


def flagged_spans(run: Run, label: str, prompt_id: str, flags: Flags = "marks") -> tuple[Stretch, ...]:
    """The flagged stretches of one response, in order and without overlaps. Raises UserError for unknown labels."""
    return ResponseFlags(run, label).spans(prompt_id, flags)


class ResponseFlags:
    """The flags of one model's responses. Marks and detections are read once, when they are first asked for."""

    def __init__(self, run: Run, label: str) -> None:
        self.run = run
        self.label = label

    @cached_property
    def texts(self) -> dict[str, str]:
        """The responses that there are, by prompt."""
        columns = self.run.table("responses", self.label).read().select(["prompt_id", "response"])
        return dict(zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True))

    @cached_property
    def marks(self) -> dict[str, list[Mark]]:
        """The marks by prompt, in the order in which they were put; a text that is no longer there brings none."""
        found: dict[str, list[Mark]] = {}
        for mark in self.run.marks().values():
            if mark.model == self.label and mark.stands_in(self.texts.get(mark.prompt_id, "")):
                found.setdefault(mark.prompt_id, []).append(mark)
        return found

    @cached_property
    def detections(self) -> dict[Detector, dict[str, Detection]]:
        """What each detector says so far, by detector and prompt."""
        return {
            detector: {
                row["prompt_id"]: detection_of(row)
                for row in self.run.detections(detector, self.label).read().to_pylist()
            }
            for detector in self.run.detectors(self.label)
        }

    def candidates(self, prompt_id: str) -> dict[Detector, tuple[Candidate, ...]]:
        """The candidates of the detectors that could look at a response; those whose text is not there are left out."""
        text = self.texts.get(prompt_id, "")
        return {
            detector: tuple(one for one in found.candidates if one.text and text[one.start : one.end] == one.text)
            for detector, by_prompt in self.detections.items()
            if (found := by_prompt.get(prompt_id)) is not None and not found.problem
        }

    def flags(self, prompt_id: str) -> tuple[Flag, ...]:
        """The flags of one response, in order."""
        text = self.texts.get(prompt_id, "")
        return flags_of(text, self.candidates(prompt_id), self.marks.get(prompt_id, ()))

    def spans(self, prompt_id: str, flags: Flags = "marks") -> tuple[Stretch, ...]:
        """The flagged stretches of one response, in order and without overlaps."""
        return tuple(
            (flag.start, flag.end)
            for flag in self.flags(prompt_id)
            if (flag.state == "confirmed" and (flags in ("marks", "any") or flags in flag.scores))
            or (flag.state == "candidate" and (flags == "any" or flags in flag.scores))
        )


def flags_of(text: str, candidates: Mapping[Detector, Sequence[Candidate]], marks: Sequence[Mark]) -> tuple[Flag, ...]:
    """The flags that stand on a text, in order and without overlaps; `marks` are in the order of their time.

    Offsets have to be those of the text.
    """
    top = [-1] * len(text)
    for number, mark in enumerate(marks):
        top[mark.start : mark.end] = [number] * (mark.end - mark.start)
    # A mark on part of a word decides the whole of it, or a candidate would go on with the rest.
    decided = [number >= 0 for number in top]
    for word in words(text):
        if any(decided[word.start : word.end]):
            decided[word.start : word.end] = [True] * (word.end - word.start)
    flags = [
        _of_mark(text, start, end, marks[number], candidates)
        for number, first, last in _runs(top)
        for start, end in _left_of(text, marks[number], first, last)
    ]
    pieces = [
        (start, end, detector, candidate)
        for detector, found in candidates.items()
        for candidate in found
        for start, end in _undecided(text, candidate, decided)
    ]
    return tuple(sorted([*flags, *_merged(text, pieces)], key=lambda flag: flag.start))


_Piece = tuple[int, int, Detector, Candidate]


def _runs(top: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(mark, start, end) of the stretches on which one mark is the topmost."""
    start = 0
    for at in range(1, len(top) + 1):
        if at == len(top) or top[at] != top[start]:
            if top[start] >= 0:
                yield top[start], start, at
            start = at


def _left_of(text: str, mark: Mark, start: int, end: int) -> list[Stretch]:
    """What later marks leave of a mark: all of it as it was set, or a piece that holds a word."""
    if (start, end) == (mark.start, mark.end):
        return [(start, end)]
    inside = words(text[start:end])
    return [(start + inside[0].start, start + inside[-1].end)] if inside else []


def _undecided(text: str, candidate: Candidate, decided: Sequence[bool]) -> list[Stretch]:
    """What marks leave of a candidate: all of it, or the pieces that hold a content word, without space around."""
    if not any(decided[candidate.start : candidate.end]):
        return [(candidate.start, candidate.end)]
    found, start = [], candidate.start
    for at in range(candidate.start, candidate.end + 1):
        if at < candidate.end and not decided[at]:
            continue
        inside = content_words(text[start:at])
        if inside:
            found.append((start + inside[0].start, start + inside[-1].end))
        start = at + 1
    return found


def _merged(text: str, pieces: Iterable[_Piece]) -> Iterator[Flag]:
    """One flag for all pieces that hang together by shared characters."""
    group: list[_Piece] = []
    reach = -1
    for piece in sorted(pieces, key=lambda piece: piece[:2]):
        if group and piece[0] >= reach:
            yield _of_pieces(text, group)
            group = []
        reach = max(reach, piece[1])
        group.append(piece)
    if group:
        yield _of_pieces(text, group)


def _of_pieces(text: str, group: Sequence[_Piece]) -> Flag:
    start, end = group[0][0], max(piece[1] for piece in group)
    scores, reasons = _told((detector, candidate) for _, _, detector, candidate in group)
    return Flag(start, end, text[start:end], tuple(scores), scores=scores, reasons=reasons)


def _of_mark(text: str, start: int, end: int, mark: Mark, candidates: Mapping[Detector, Sequence[Candidate]]) -> Flag:
    scores, reasons = _told(
        (detector, one)
        for detector, found in candidates.items()
        for one in found
        if one.start < end and start < one.end
    )
    by = (*((mark.by,) if mark.by else ()), *scores)
    state: FlagState = "confirmed" if mark.flagged else "dismissed"
    return Flag(start, end, text[start:end], by, mark.label, scores, state, reasons, mark)


def _told(found: Iterable[tuple[Detector, Candidate]]) -> tuple[dict[str, float], dict[str, str]]:
    """The highest score of each detector with its reason, in the order of DETECTORS."""
    best: dict[str, Candidate] = {}
    for detector, candidate in found:
        if detector not in best or candidate.score > best[detector].score:
            best[detector] = candidate
    names = [name for name in DETECTORS if name in best]
    return {name: best[name].score for name in names}, {name: best[name].reason for name in names}
