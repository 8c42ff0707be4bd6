"""Where parsed datasets are kept, which of them still hold, and which make room for others.

CACHE/datasets/KEY/             one source as it was at one moment
    0000.arrow, 0001.arrow …    consecutive parts of the dataset, each as `Dataset.save` writes it
    0000.measures …             what is measured of their instances
    whole.json                  written last: without it the folder is no copy
CACHE/datasets/KEY.XXXX.partial/  the same while a loader writes it, with a lock that it holds
"""

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from itaudit import __version__, paths

FORM = 1
"""Raised whenever a source would be parsed or measured otherwise than before."""
BOUND = 16 * 2**30
"""Bytes that all copies may take together; beyond it those go that were used least recently."""
WHOLE = "whole.json"
_LOCK = "lock"
_PARTIAL = ".partial"
_ABANDONED = 3600.0
"""Seconds after which a partial folder without a lock is nobody's."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a copy is found by: `name` is its folder's. `lasting` is false where the source may change unseen."""

    name: str
    lasting: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """A finished copy: its folder, how many parts it has, and the hash of the source."""

    folder: Path
    parts: int
    sha256: str


def copies_folder() -> Path:
    """The folder of all copies."""
    return paths.cache_dir() / "datasets"


def key_of(source: str, *, format: str, split: str | None, turn: int) -> Key:
    """The key of a source as it is now, read one way. Raises OSError where it can't be looked at."""
    path = Path(source).expanduser()
    place = str(path.absolute()) if path.exists() else source
    options = [place, format, split or "", str(turn), __version__, str(FORM)]
    digest = hashlib.sha256("\0".join(options).encode("utf-8", "surrogateescape"))
    for file in _files(path):
        about = file.stat()
        name = os.fsencode(file.relative_to(path)) if file != path else b""
        # The time of the last change of anything about a file can't be set back, as its time of writing can.
        digest.update(b"%s\0%d %d %d\0" % (name, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
    return Key(digest.hexdigest()[:32], lasting=path.exists())


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        # The `datasets` library keeps caches of its own beside the data.
        return sorted(f for f in path.rglob("*") if f.is_file() and not f.name.startswith((".", "cache-")))
    return [path] if path.exists() else []


def find_whole(key: Key) -> Whole | None:
    """The finished copy under a key, if it is all there; it then counts as just used."""
    folder = copies_folder() / key.name
    if not key.lasting:
        return None
    try:
        about: dict[str, Any] = orjson.loads((folder / WHOLE).read_bytes())
        sizes = about["sizes"]
        for name, size in sizes.items():
            if (folder / name).stat().st_size != size:
                return None
        os.utime(folder / WHOLE)
        return Whole(folder, about["parts"], about["sha256"])
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def part_names(number: int) -> tuple[str, str]:
    """The file names of a part and of its measures."""
    return f"{number:04}.arrow", f"{number:04}.measures"


class Partial:
    """A copy while it is written. Raises OSError wherever the cache can't be written."""

    def __init__(self, key: Key) -> None:
        self.key = key
        copies = copies_folder()
        # What stands here was copied from files that may be private.
        copies.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{key.name}.", suffix=_PARTIAL, dir=copies))
        self._lock = (self.folder / _LOCK).open("wb")
        fcntl.flock(self._lock.fileno(), fcntl.LOCK_EX)
        # An empty lock is one that nobody held yet: whoever tidies up meanwhile lets it be.
        self._lock.write(b"1")
        self._lock.flush()

    def publish(self, parts: int, sha256: str) -> None:
        """Makes it the finished copy under its key, safe against a crash at any moment."""
        files = [self.folder / name for number in range(parts) for name in part_names(number)]
        for file in files:
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sizes = {file.name: file.stat().st_size for file in files}
        with (self.folder / WHOLE).open("wb") as whole:
            whole.write(orjson.dumps({"parts": parts, "sha256": sha256, "sizes": sizes}))
            whole.flush()
            os.fsync(whole.fileno())
        final = copies_folder() / self.key.name
        # Another loader may have been first; who mapped its files keeps them, and both say the same.
        if final.exists() and find_whole(self.key) is None:
            shutil.rmtree(final, ignore_errors=True)
        try:
            self.folder.rename(final)
        except OSError:
            if not final.exists():
                raise
            shutil.rmtree(self.folder, ignore_errors=True)

    def remove(self) -> None:
        """Gives the space back."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def clean(keep: str, bound: int = BOUND) -> None:
    """Removes what dead loaders left, and the copies used least recently until all take at most `bound` bytes.

    `keep` is the name of a key whose copy stays. A copy that is mapped somewhere stays readable there.
    """
    copies: list[tuple[float, int, Path]] = []
    for folder in _folders(copies_folder()):
        if folder.name.endswith(_PARTIAL):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)
            continue
        try:
            used = (folder / WHOLE).stat().st_mtime
            size = sum(file.stat().st_size for file in folder.iterdir())
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        copies.append((used, size, folder))
    total = sum(size for _, size, _ in copies)
    for _, size, folder in sorted(copies):
        if total <= bound:
            return
        if folder.name != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _folders(parent: Path) -> Iterator[Path]:
    try:
        entries = list(parent.iterdir())
    except OSError:
        return
    yield from filter(_is_folder, entries)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        # Another loader tidies up, or renames what it has finished, at the same time.
        return False


def _is_abandoned(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("rb") as lock:
            if not _lock(lock.fileno()):
                return False
            if lock.read(1):
                return True
    except FileNotFoundError:
        pass
    except OSError:
        return False
    # Its loader may be about to lock it.
    try:
        return time.time() - folder.stat().st_mtime > _ABANDONED
    except OSError:
        return False
