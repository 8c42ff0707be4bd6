"""The stepper's key that shows the models of a run, and others, side by side."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from itaudit.tui.step_view import StepView


class BesideActions(StepView):
    """`b`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "beside", "side by side", id="stepper.beside", tooltip="Up to four models' answers side by side"),
    ]

    def action_beside(self) -> None:
        from itaudit.tui.beside import Beside, first_cells
        from itaudit.tui.screens.side_by_side import show_beside

        stepping = self.stepping
        position = stepping.cursor if stepping.answer is not None and stepping.answer.scores is not None else 0
        show_beside(self, lambda: Beside(first_cells(stepping.run, stepping.label), stepping.prompt_id, position))
