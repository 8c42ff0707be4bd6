"""Walking the flagged spans of an answer on the stepper."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from itaudit.tui.step_view import StepView
from itaudit.tui.telling import say
from itaudit.tui.walking import WALK_KEYS, WALK_WORDS, walk_spans


class FlagActions(StepView):
    """`n`, `N` and `f`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "flagged(1)", "flagged", id="stepper.flagged-next", tooltip="Next flagged span"),
        Binding("N", "flagged(-1)", "flagged", id="stepper.flagged-previous", tooltip="Previous flagged span"),
        Binding("f", "walk", "flags", id="stepper.flag", tooltip="Choose what n and N stop at"),
        Binding("S", "overview", "statistics", id="stepper.statistics", tooltip="Hallucination in the run as a whole"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._alphas: dict[str, float | None] = {}

    @property
    def agreement_here(self) -> str:
        """How far the detectors agree on the current model's answers, where that was counted."""
        alpha = self._alphas.get(self.stepping.label)
        return "" if alpha is None else f"agreement α {alpha:.2f}"

    def action_overview(self) -> None:
        from itaudit.tui.screens.hallucination import HallucinationScreen

        self.app.push_screen(HallucinationScreen(self.stepping.run, self._agreed))

    def _agreed(self, label: str, alpha: float | None) -> None:
        self._alphas[label] = alpha
        self.draw()

    def action_flagged(self, direction: int) -> None:
        if not self.stepping.move_to_flagged(direction):
            which = "after" if direction > 0 else "before"
            say(self.app, f"no flagged span {which} this one ({WALK_WORDS[self.stepping.walk]}); f chooses others")
        self.draw()

    def action_walk(self) -> None:
        """Asks what counts as flagged, with how many spans of this answer that is."""
        from itaudit.tui.screens.choice import ChoiceScreen

        answer = self.stepping.answer
        keys = {WALK_KEYS[walk]: walk for walk in self.stepping.walks}
        counts = {walk: len(walk_spans(answer, walk)) if answer else 0 for walk in keys.values()}
        choices = [(key, f"{WALK_WORDS[walk]} {counts[walk]}") for key, walk in keys.items()]

        def chosen(key: str | None) -> None:
            if key:
                self.stepping.choose_walk(keys[key])
                self.draw()

        self.app.push_screen(ChoiceScreen("n and N stop at spans of this answer flagged by", choices), chosen)
