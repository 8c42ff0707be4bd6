"""Short words to the user at the edge of the screen."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from textual.app import App

from itaudit.errors import UserError
from itaudit.sanitize import visible_line

SECONDS = 4.0


def say(app: App[Any], text: str) -> None:
    """Shows a line for a moment."""
    app.notify(visible_line(text), timeout=SECONDS, markup=False)


@contextmanager
def told(app: App[Any]) -> Iterator[None]:
    """Shows a UserError that is raised inside, in place of letting it end the app."""
    try:
        yield
    except UserError as error:
        app.notify(visible_line(str(error)), severity="error", timeout=2 * SECONDS, markup=False)
