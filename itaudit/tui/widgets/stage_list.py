"""The stages of a job, a line each, in columns that fit the width there is."""

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from itaudit.runs.state import StageState
from itaudit.tui.progress import stage_lines


class StageList(Widget):
    """Shows stages as they stand at a time; without any, a text."""

    DEFAULT_CSS = """
    StageList { height: auto; width: 1fr; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._stages: tuple[StageState, ...] = ()
        self._now = 0.0
        self._empty = Content()

    def show(self, stages: Sequence[StageState], now: float, empty: Content) -> None:
        """Shows stages at the time `now`; `empty` stands there where there are none."""
        grown = len(stages) != len(self._stages)
        self._stages, self._now, self._empty = tuple(stages), now, empty
        self.refresh(layout=grown)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        if not self._stages:
            return super().get_content_height(container, viewport, width)
        return len(self._stages)

    def render(self) -> Content:
        if not self._stages:
            return self._empty
        return Content("\n").join(stage_lines(self._stages, self._now, self.size.width))
