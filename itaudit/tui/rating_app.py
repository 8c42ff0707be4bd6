"""The workbench for somebody who was asked to rate: it opens on blind rating, and leaving that is leaving."""

from pathlib import Path

from textual.screen import Screen

from itaudit.evaluation.blind import BlindRating
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp


class RatingApp(ItauditApp):
    """Shows one rater's answers, and no screen that tells the models."""

    def __init__(self, run: Run, rating: BlindRating, runs_dir: Path) -> None:
        self.run_rated = run
        self.rating = rating
        super().__init__(run.path, runs_dir)

    def _first_screen(self) -> Screen[None]:
        from itaudit.tui.screens.rate import RateScreen

        return RateScreen(self.run_rated, self.rating)

    async def _leave_for_home(self) -> None:
        self.exit()
