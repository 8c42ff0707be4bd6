"""The end of what a worker wrote, for those who ask why it died."""

from pathlib import Path


def log_tail(path: Path, lines: int = 20) -> list[str]:
    """The last lines of a log; a file that can't be read says so in one line."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            content = file.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{path}: can't be read: {error.strerror}"]
    # Progress bars of libraries redraw with carriage returns; what counts is their last word.
    text = content.decode("utf-8", "replace")
    return [line.rsplit("\r", 1)[-1] for line in text.rstrip("\n").split("\n")[-lines:]]
