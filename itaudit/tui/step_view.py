"""What the parts of the stepper's screen know of it: where the user is, and how to draw it."""

from textual.screen import Screen

from itaudit.tui.step_layout import PanelName
from itaudit.tui.stepping import Stepping


class StepView(Screen[None]):
    """The stepper as its actions see it."""

    stepping: Stepping

    def draw(self) -> None:
        """Brings every panel up to date with where the user is."""
        raise NotImplementedError

    def show_panel(self, panel: PanelName) -> None:
        """Brings a panel into sight, where there is not room for all."""
        raise NotImplementedError

    def activate(self, panel: PanelName) -> None:
        """Makes a panel the active one, which is in sight."""
        raise NotImplementedError
