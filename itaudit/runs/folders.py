"""Folders that lie beside each other, told apart by a file that they hold."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from itaudit.errors import UserError

One = TypeVar("One")


def holds(folder: Path, name: str) -> bool:
    """Whether a folder holds a file of that name."""
    try:
        return (folder / name).is_file()
    except PermissionError:
        # Somebody else's folder among the others hides itself, and not them.
        return False


def new_folder(directory: Path, name: str, kind: str) -> Path:
    """Makes `directory/NAME`; a name that is taken gets a number. `kind` is what it is for, in a word.

    Raises UserError where it can't be made.
    """
    for number in range(1, 10_000):
        path = directory / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(f"{path}: can't make the {kind}'s directory: {error.strerror}") from None
        return path
    raise UserError(f"{directory}: too many {kind}s are called {name}; give another --name")


def newest_first(directory: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """The folders in a directory that are wanted, by the time of their last change; of one moment, by name."""
    found = []
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in directory.iterdir():
            with suppress(FileNotFoundError):
                if wanted(path):
                    found.append((-path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def opened(paths: Iterable[Path], open_one: Callable[[Path], One]) -> Iterator[One]:
    """What stands in some folders; one that is taken away meanwhile is left out."""
    for path in paths:
        try:
            one = open_one(path)
        except UserError:
            continue
        yield one
