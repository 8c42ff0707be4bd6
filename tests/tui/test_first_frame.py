"""What the first frame of a run waits for."""

from pathlib import Path

from itaudit.tui.app import ItauditApp
from itaudit.tui.screens.stepper import StepperScreen
from tests.tui.harness import until
from tests.tui.make_run import make_run


class Watched(ItauditApp):
    """Notes, at each frame that goes to the terminal, whether flags and causes were in."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, path.parent)
        self.shallow: list[bool] = []

    def post_display_hook(self) -> None:
        # Frames that are made while the app starts are thrown away.
        if not self._batch_count and isinstance(self.screen, StepperScreen):
            self.shallow.append(self.screen.stepping.shallow)


async def test_the_first_frame_of_a_run_does_not_wait_for_flags_and_causes(tmp_path: Path) -> None:
    app = Watched(make_run(tmp_path).path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: bool(app.shallow) and not app.shallow[-1])
        assert app.shallow[0]
