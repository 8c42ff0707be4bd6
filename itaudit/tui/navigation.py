"""Where screens ask the app to go: what the app offers them, apart from the app, so that neither imports the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from textual.screen import Screen

from itaudit.data.dataset import Dataset
from itaudit.trace.types import Evidence


class Navigator(Protocol):
    """The app as screens see it."""

    def open_run(self, path: Path, label: str = "", prompt_id: str | None = None) -> None:
        """Shows the responses of a run, those of a model to a prompt where they are named; or an experiment."""

    def open_live(self, path: Path) -> None:
        """Shows a run at work."""

    def open_dataset(
        self, source: Dataset | Path, index: int | None = None, highlights: Sequence[Evidence] = ()
    ) -> None:
        """Shows a dataset, or the file or folder that holds one; `index` is the row of the source to stand on."""

    def open_help(self) -> None:
        """Shows the keys of the screen underneath."""


def navigator(screen: Screen[None]) -> Navigator:
    """The app of a screen."""
    return cast(Navigator, screen.app)
