"""The flagged spans of a response: what each detector and person says of them, side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from itaudit.runs.detections import Detector
from itaudit.sanitize import visible_line
from itaudit.tui.answer import Answer
from itaudit.tui.labels import CANDIDATE_MARKS, label_mark, label_style
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.widgets.panel import Panel, Piece, dim_lines, wrapped

if TYPE_CHECKING:
    from itaudit.detect.spans import Flag

SHORT = {"reference": "ref", "consistency": "cons", "signal": "sig", "judge": "judge", "import": "imp"}
"""Detectors in a few letters."""
TEXT = 20
"""Cells that a span's text has at least before detectors and labels are written out."""
LABEL = 12
"""Cells of the longest usual label."""

Row = list[Piece]


class SpansPanel(Panel):
    """A row a span, a column a detector; the reasons of the span under the cursor below its row."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._answer: Answer | None = None
        self._detectors: Sequence[Detector] = ()
        self._flag: Flag | None = None
        self._rows: list[Row] = []
        self._shown: object = None
        self._here = (0, 0)

    def show(
        self, answer: Answer | None, detectors: Sequence[Detector], flag: "Flag | None", agreement: str = ""
    ) -> None:
        """Shows the spans of an answer with `flag` in sight, where the cursor is; `agreement` stands in the title."""
        shown = (id(answer), detectors, id(flag), agreement)
        if shown == self._shown:
            return
        self._shown = shown
        self._answer, self._detectors, self._flag = answer, detectors, flag
        flags = answer.flags if answer else ()
        place = f"{flags.index(flag) + 1}/{len(flags)}" if flag in flags else str(len(flags))
        self.title((f"spans {place}{f' · {agreement}' if agreement else ''}", ""))
        self.changed()
        self.revealed_again()

    def revealed_again(self) -> None:
        self.reveal(*self._here)

    def lay_out(self, width: int) -> int:
        self._rows, self._here = [], (0, 0)
        answer = self._answer
        if answer is None or answer.response is None:
            self._rows = dim_lines("nothing to flag yet", width)
            return len(self._rows)
        if not answer.flags:
            self._rows = dim_lines(_why_none(answer, self._detectors), width)
        else:
            columns = _Columns(self._detectors, width)
            self._rows.append(columns.heading())
            for flag in answer.flags:
                first = len(self._rows)
                here = flag is self._flag
                self._rows.append(columns.row(answer, flag, here))
                if here:
                    self._rows += reasons(flag, width)
                    # The heading comes along where that takes no more than its line.
                    self._here = (0 if first == 1 else first, len(self._rows) - 1)
        for detector, detection in answer.detections.items():
            if detection.problem:
                self._rows += dim_lines(f"! {detector}: {visible_line(detection.problem)}", width)
        return len(self._rows)

    def pieces(self, y: int) -> Row:
        return self._rows[y]


class _Columns:
    """The widths of the columns."""

    def __init__(self, detectors: Sequence[Detector], width: int) -> None:
        self.detectors = detectors
        self.width = width
        whole = sum(len(name) + 1 for name in detectors)
        self.written_out = width - whole - LABEL - 5 >= TEXT
        self.labels = self.written_out or width - self._cells(short=True) - LABEL - 5 >= TEXT
        self.text = max(width - self._cells(short=not self.written_out) - (LABEL + 1 if self.labels else 0) - 5, 1)

    def _name(self, detector: Detector) -> str:
        return detector if self.written_out else SHORT[detector]

    def _cells(self, *, short: bool) -> int:
        return sum(max(len(SHORT[name] if short else name), 4) + 1 for name in self.detectors)

    def heading(self) -> Row:
        names = "".join(f" {self._name(name):>4}" for name in self.detectors)
        label = "label".ljust(LABEL + 1) if self.labels else ""
        return [(f"     {label}{'span'.ljust(self.text)}{names}", "dim")]

    def row(self, answer: Answer, flag: "Flag", here: bool) -> Row:
        text = shortened(visible_line(flag.text), self.text)
        row: Row = [("▸ " if here else "  ", "bracket"), *_state(flag, LABEL if self.labels else 0)]
        row.append((text + " " * (self.text - text_cells(text)), "strong" if here else ""))
        for name in self.detectors:
            cell = _score(answer, flag, name)
            row.append((f" {cell:>{max(len(self._name(name)), 4)}}", "" if name in flag.scores else "dim"))
        return row


def _state(flag: "Flag", room: int) -> Row:
    """Whether a span is judged, and how: a mark and, where there is room, the label."""
    if flag.mark is None:
        mark, style, label = "".join(CANDIDATE_MARKS), "candidate", "candidate"
    else:
        mark, style, label = label_mark(flag.label), label_style(flag.label), visible_line(flag.label)
    return [
        (f"{mark:<2} ", style),
        (f"{shortened(label, room):{room}} " if room else "", "dim" if not flag.mark else ""),
    ]


def _score(answer: Answer, flag: "Flag", detector: Detector) -> str:
    """The score; `–` where a detector has nothing against a span, `!` where it could not look, blank where not yet."""
    if detector in flag.scores:
        return score_text(flag.scores[detector])
    detection = answer.detections.get(detector)
    return "" if detection is None else "!" if detection.problem else "–"


def score_text(score: float) -> str:
    """A score of 0 to 1 in at most four characters."""
    return f"{score:.2f}".removeprefix("0")


def reasons(flag: "Flag", width: int) -> list[Row]:
    """Why each detector flagged a span, and what was noted on it."""
    rows: list[Row] = []
    for name, reason in flag.reasons.items():
        rows += wrapped([(f"{name} {score_text(flag.scores[name])} ", "strong"), (visible_line(reason), "dim")], width)
    if flag.mark is not None and flag.mark.note:
        rows += wrapped([("note ", "strong"), (visible_line(flag.mark.note), "")], width)
    return rows


def _why_none(answer: Answer, detectors: Sequence[Detector]) -> str:
    if not detectors:
        return "no detector has looked at this model; `itaudit detect RUN` lets them, and m marks what you doubt"
    if not answer.detections:
        return "no detector has looked at this answer yet"
    return "nothing is flagged here; m marks what you doubt"
