"""The way from the stepper to blind rating."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from itaudit.tui.step_view import StepView


class RatingActions(StepView):
    """`B`: rate the answers of the run without knowing whose they are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("B", "rate_blindly", "blind rating", id="stepper.rate", tooltip="Rate the answers blindly", show=False),
    ]

    def action_rate_blindly(self) -> None:
        from itaudit.tui.screens.rate import RateScreen

        self.app.push_screen(RateScreen(self.stepping.run))
