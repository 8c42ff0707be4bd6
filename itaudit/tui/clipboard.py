"""Copying text to where the user can paste it."""

from pathlib import Path
from typing import Any

from textual.app import App

from itaudit import atomic, paths
from itaudit.errors import UserError


def copy(app: App[Any], text: str) -> Path:
    """Puts a text on the clipboard of the user's terminal, and into a file; returns the file.

    Over SSH the terminal's clipboard is reached by OSC 52, which some terminals and tmux settings refuse silently:
    the file is there for those. Raises UserError where the file can't be written.
    """
    app.copy_to_clipboard(text)
    path = paths.state_dir() / "clipboard.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, text.encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise UserError(f"{path}: can't write what was copied: {error.strerror}") from None
    return path
