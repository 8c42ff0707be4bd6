"""Marking on the stepper: labels, notes, and verdicts on what detectors flag."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from itaudit.errors import UserError
from itaudit.runs.marks import FLAGGED, Mark, check_label
from itaudit.sanitize import visible_line
from itaudit.tui.labels import own_labels
from itaudit.tui.layout import shortened
from itaudit.tui.step_view import StepView
from itaudit.tui.telling import say, told

if TYPE_CHECKING:
    from itaudit.detect.spans import Flag
    from itaudit.tui.screens.label import Labelled

_SHOWN = 40
"""Characters of a marked text that are told."""


class MarkActions(StepView):
    """`v`, `m`, `M`, `c`, `d` and `u`: what is marked is the selection, or the flagged span, or the token."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "mark", "mark", id="stepper.mark", tooltip="Mark with the last label, or unmark"),
        Binding("M", "label", "label", id="stepper.label", tooltip="Mark with a label and a note"),
        Binding("c", "judge(True)", "confirm", id="stepper.confirm", tooltip="Confirm what a detector flags"),
        Binding("d", "judge(False)", "dismiss", id="stepper.dismiss", tooltip="Dismiss it: it is correct"),
        Binding("u", "undo", "undo", id="stepper.undo", tooltip="Undo the last act on marks"),
        Binding("v", "select", "select", id="stepper.select", tooltip="Begin or drop a selection"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.label = "hallucinated"

    def action_select(self) -> None:
        self.stepping.anchor = self.stepping.cursor if self.stepping.anchor is None else None
        self.draw()

    def action_mark(self) -> None:
        """Takes the marks away that are there, or marks with the label that was used last."""
        with told(self.app):
            answer, stepping = self.stepping.answer, self.stepping
            start, end = answer.text_range(*stepping.selection) if answer and answer.positions else (0, 0)
            standing = answer.marks_within(start, end) if answer else []
            if standing:
                self._write(*standing, removed=True)
            else:
                self._write(self._target(self.label))
        self.draw()

    def action_label(self) -> None:
        """Asks for a label and a note."""
        from itaudit.tui.screens.label import LabelScreen

        with told(self.app):
            mark = self._target(self.label)
            own = own_labels(self.stepping.run.marks().values())

            def labelled(chosen: "Labelled | None") -> None:
                if chosen is not None:
                    self._labelled(mark, chosen)

            self.app.push_screen(LabelScreen(mark.text, own, mark.note), labelled)

    def _labelled(self, mark: Mark, chosen: "Labelled") -> None:
        with told(self.app):
            label = check_label(chosen.label)
            # Signed and dated anew: it is somebody's word from now on.
            self._write(replace(mark, label=label, note=chosen.note, by="", time=0.0))
            self.label = label
        self.draw()

    def action_judge(self, hallucinated: bool) -> None:
        """Writes a person's word on the flagged span under the cursor."""
        confirming = self.label if self.label in FLAGGED else "hallucinated"
        label = confirming if hallucinated else "correct"
        with told(self.app):
            answer = self.stepping.answer
            flag = answer.flag_at(self.stepping.cursor) if answer else None
            if answer is None or flag is None:
                raise UserError("no flagged span here; n goes to the next one, m marks what you doubt yourself")
            if flag.label == label:
                raise UserError(f"“{_short(flag.text)}” is marked as {label} already; u takes the last act back")
            note = flag.mark.note if flag.mark else ""
            self._write(self._on_flag(flag, label, note))
        self.draw()

    def action_undo(self) -> None:
        with told(self.app):
            try:
                changes = self.stepping.run.undo_mark()
            except OSError as error:
                raise UserError(f"{self.stepping.run.marks_path}: can't write the mark: {error.strerror}") from None
            if not changes:
                raise UserError("nothing is marked in this run that could be undone")
            self.stepping.poll()
            away = [change for change in changes if not self._here(change.after or change.before)]
            if away:
                # What is not seen has to be told.
                say(self.app, "; ".join(_undone(change.before, change.after) for change in away[:3]))
        self.draw()

    def _here(self, mark: Mark | None) -> bool:
        """Whether a mark is of the answer on the screen."""
        return mark is not None and (mark.model, mark.prompt_id) == (self.stepping.label, self.stepping.prompt_id)

    def _target(self, label: str) -> Mark:
        """The mark that a key would make: of the selection, the flagged span, or the token; the mark that is there.

        Raises UserError where there is nothing to mark.
        """
        stepping, answer = self.stepping, self.stepping.answer
        start, end = answer.text_range(*stepping.selection) if answer and answer.positions else (0, 0)
        if answer is None or start == end:
            raise UserError("there is no text here to mark; move to a token with h and l")
        if stepping.anchor is None:
            flag = answer.flag_at(stepping.cursor)
            if flag is not None and flag.mark is not None:
                return flag.mark
            if flag is not None:
                return self._on_flag(flag, label)
        return Mark(answer.label, answer.prompt_id, start, end, answer.text[start:end], label)

    def _on_flag(self, flag: "Flag", label: str, note: str = "") -> Mark:
        assert self.stepping.prompt_id is not None
        return flag.marked(label, self.stepping.label, self.stepping.prompt_id, note=note)

    def _write(self, *marks: Mark, removed: bool = False) -> None:
        run = self.stepping.run
        try:
            run.mark(*marks, removed=removed)
        except OSError as error:
            raise UserError(f"{run.marks_path}: can't write the mark: {error.strerror}") from None
        self.stepping.anchor = None
        self.stepping.poll()


def _undone(before: Mark | None, after: Mark | None) -> str:
    """What an undoing did to one place, in a few words."""
    mark = after or before
    if mark is None:
        return "nothing changed"
    where = f"“{_short(mark.text)}” of {visible_line(mark.model)}, prompt {_short(mark.prompt_id)}"
    return f"{where} is {mark.label} again" if after else f"{where} is unmarked again"


def _short(text: str) -> str:
    return shortened(visible_line(text), _SHOWN)
