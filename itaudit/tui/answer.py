"""A response as it is stepped through: its positions, their classes, marks and sources, and the text that is shown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from itaudit.analysis.shift import CLASSES, ShiftClass, Thresholds, class_codes
from itaudit.runs.detections import Detection, Detector
from itaudit.runs.marks import Mark
from itaudit.runs.rows import Response, TokenScores
from itaudit.sanitize import visible, visible_line
from itaudit.trace.types import Source, Span
from itaudit.tui.labels import CANDIDATE_MARKS, label_mark, label_style

if TYPE_CHECKING:
    from itaudit.detect.spans import Flag

END_MARK = "⏎end"
"""Stands for the end-of-sequence token, which has no characters."""


@dataclass(frozen=True, slots=True)
class Position:
    """One position of a response: half-open character offsets, and its class where it is scored."""

    start: int
    end: int
    shift: ShiftClass | None


@dataclass(frozen=True, slots=True)
class Shown:
    """The text on the screen. `places` gives each character's offset in the response; None for an inserted mark.

    The characters of END_MARK have the response's length as their place.
    """

    text: str
    places: tuple[int | None, ...]
    first: tuple[int, ...]
    """Where in `text` each offset of the response is shown; one more than the response has characters."""
    inserted: Mapping[int, str]
    """The style of each inserted mark, by where it stands in `text`."""


class Answer:
    """One model's response to one prompt, with everything that is known of it so far.

    Without scores its words stand in for tokens, so that it can be stepped through, marked and traced all the same.
    """

    def __init__(
        self,
        label: str,
        prompt_id: str,
        response: Response | None,
        scores: TokenScores | None,
        spans: tuple[Span, ...] | None,
        marks: Sequence[Mark],
        thresholds: Thresholds,
        detections: Mapping[Detector, Detection] | None = None,
    ) -> None:
        self.label = label
        self.prompt_id = prompt_id
        self.response = response
        # Scores of a response that somebody took away place nothing.
        self.scores = scores if response is not None else None
        self.spans = spans
        self.marks = tuple(marks)
        """In the order in which they were put."""
        self.thresholds = thresholds
        self.detections = detections or {}
        """What each detector said that has looked at this response."""
        self.text = response.response if response else ""

    def marked(self, marks: Sequence[Mark]) -> "Answer":
        """The same answer with other marks, or itself where they are the same."""
        if tuple(marks) == self.marks:
            return self
        answer = Answer(
            self.label,
            self.prompt_id,
            self.response,
            self.scores,
            self.spans,
            marks,
            self.thresholds,
            self.detections,
        )
        answer.__dict__["positions"] = self.positions
        return answer

    @cached_property
    def positions(self) -> tuple[Position, ...]:
        if self.scores is None:
            return tuple(Position(*match.span(), None) for match in re.finditer(r"\s*\S+|\s+$", self.text))
        codes = class_codes(self.scores.rank_base, self.thresholds).tolist()
        return tuple(
            Position(start, end, CLASSES[code])
            for start, end, code in zip(self.scores.starts, self.scores.ends, codes, strict=True)
        )

    @cached_property
    def flags(self) -> "tuple[Flag, ...]":
        """Candidates of detectors and marks, brought together, by where they start; no two overlap."""
        candidates = {name: detection.candidates for name, detection in self.detections.items()}
        if not self.marks and not any(candidates.values()):
            return ()
        # Words take a while to import, and there are runs with nothing to flag.
        from itaudit.detect.spans import flags_of

        text = self.text
        return flags_of(
            text,
            {
                name: [one for one in found if one.text and text[one.start : one.end] == one.text]
                for name, found in candidates.items()
            },
            [mark for mark in self.marks if mark.stands_in(text)],
        )

    @cached_property
    def shown(self) -> Shown:
        """The response as the screen holds it: control characters visible, marks and the end-of-sequence inserted."""
        text: list[str] = []
        places: list[int | None] = []
        first: list[int] = []
        inserted: dict[int, str] = {}
        opening, closing = self._opening_and_closing()

        def insert(marks: Sequence[tuple[str, str]]) -> None:
            for mark, style in marks:
                inserted[len(text)] = style
                text.append(mark)
                places.append(None)

        for offset, character in enumerate((*visible(self.text), "")):
            insert(closing.get(offset, ()))
            insert(opening.get(offset, ()))
            first.append(len(text))
            if character:
                text.append(character)
                places.append(offset)
        if any(position.start >= len(self.text) for position in self.positions):
            text.extend(END_MARK)
            places.extend([len(self.text)] * len(END_MARK))
        return Shown("".join(text), tuple(places), tuple(first), inserted)

    def _opening_and_closing(self) -> tuple[dict[int, list[tuple[str, str]]], dict[int, list[tuple[str, str]]]]:
        """(character, style) of the marks to insert, by offset: before what begins there, after what ends there."""
        opening: dict[int, list[tuple[str, str]]] = {}
        closing: dict[int, list[tuple[str, str]]] = {}
        for flag in self.flags:
            if flag.mark is None:
                opening.setdefault(flag.start, []).append((CANDIDATE_MARKS[0], "candidate"))
                closing.setdefault(flag.end, []).append((CANDIDATE_MARKS[1], "candidate"))
            else:
                closing.setdefault(flag.end, []).append((label_mark(flag.label), label_style(flag.label)))
        return opening, closing

    def shown_range(self, first: int, last: int) -> tuple[int, int]:
        """Half-open offsets in the shown text of the positions `first` to `last`; at least one character."""
        if not self.positions:
            return 0, 0
        start, end = self.positions[first].start, self.positions[last].end
        if self.positions[last].start >= len(self.text):
            return self.shown.first[min(start, len(self.text))], len(self.shown.text)
        begin = self.shown.first[start]
        # A mark that closes inside the range is part of it; one that closes at its end is not.
        return begin, max(begin + 1, self.shown.first[max(end - 1, start)] + 1)

    @cached_property
    def codes(self) -> tuple[int, ...]:
        """The class of every character as a position in CLASSES, the end-of-sequence's last; -1 where not known.

        A character of several tokens has the highest class among them.
        """
        codes = [-1] * (len(self.text) + 1)
        for position in self.positions:
            if position.shift is None:
                continue
            code = CLASSES.index(position.shift)
            start = min(position.start, len(self.text))
            for offset in range(start, max(position.end, start + (start == len(self.text)))):
                codes[offset] = max(codes[offset], code)
        return tuple(codes)

    @cached_property
    def labels(self) -> Mapping[int, str]:
        """The label of every marked offset."""
        return {offset: flag.label for flag in self.flags if flag.mark for offset in range(flag.start, flag.end)}

    def position_at(self, place: int) -> int | None:
        """The first position that holds a character; for the response's length, the end-of-sequence."""
        for number, position in enumerate(self.positions):
            if position.start <= place < position.end or position.start == place == len(self.text):
                return number
        return None

    def covering(self, start: int, end: int) -> tuple[int, int] | None:
        """The first and last position that share a character with a stretch; None where none does."""
        numbers = [n for n, position in enumerate(self.positions) if position.start < end and start < position.end]
        return (numbers[0], numbers[-1]) if numbers else None

    def flag_at(self, number: int) -> "Flag | None":
        """The flagged span that a position is part of; of several, the first."""
        if not self.positions:
            return None
        start, end = self.text_range(number, number)
        return next((flag for flag in self.flags if flag.start < end and start < flag.end), None)

    def text_range(self, first: int, last: int) -> tuple[int, int]:
        """Half-open character offsets of the positions `first` to `last`, without the blanks around them."""
        start, end = self.positions[first].start, self.positions[last].end
        stretch = self.text[start:end]
        if not stretch.strip():
            return start, end
        return start + len(stretch) - len(stretch.lstrip()), end - (len(stretch) - len(stretch.rstrip()))

    def marks_within(self, start: int, end: int) -> list[Mark]:
        """The marks that share a character with a stretch."""
        return [mark for mark in self.marks if mark.start < end and start < mark.end]

    def sharing(self, number: int) -> tuple[int, int]:
        """Which part of its characters a position is, from 1, and of how many: (1, 1) for most.

        A character of several bytes may be made of several tokens.
        """
        position = self.positions[number]
        if position.start == position.end:
            return 1, 1
        same = [
            other
            for other, candidate in enumerate(self.positions)
            if (candidate.start, candidate.end) == (position.start, position.end)
        ]
        return same.index(number) + 1, len(same)

    def sources_at(self, number: int) -> list[tuple[Span, int, Source]]:
        """What the spans over a position lead to: (span, rank from 1, source).

        The shortest span's sources come first, and of a span those with evidence.
        """
        if not self.positions:
            return []
        position = self.positions[number]
        covering = [span for span in self.spans or () if span.start < position.end and position.start < span.end]
        covering.sort(key=lambda span: (span.kind != "selected", span.end - span.start))
        found = [(span, rank, source) for span in covering for rank, source in enumerate(span.sources, 1)]
        # A source that holds nothing of the span is similar at best.
        place = {id(span): number for number, span in enumerate(covering)}
        return sorted(found, key=lambda each: (place[id(each[0])], not each[2].evidence))

    def spans_at(self, number: int) -> list[Span]:
        """The traced spans over a position."""
        if not self.positions:
            return []
        position = self.positions[number]
        return [span for span in self.spans or () if span.start < position.end and position.start < span.end]


def token_label(text: str) -> str:
    """A token's text on one line, with the blanks at its ends to be seen."""
    shown = visible_line(text)
    inner = shown.strip(" ")
    if not inner:
        return "␣" * len(shown) or "∅"
    before = len(shown) - len(shown.lstrip(" "))
    return "␣" * before + inner + "␣" * (len(shown) - before - len(inner))
