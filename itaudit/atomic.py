"""Writes that a reader, a crash or a full disk never sees half done."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once it is whole and on disk; on an error nothing changes."""
    scratch = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    # Not by mkstemp, whose files are private: asking for the user's umask changes it for all threads meanwhile.
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces `path` by `content`, atomically."""
    with replacing(path) as file:
        file.write(content)


def append_line(path: Path, line: bytes, *, sync: bool = False) -> None:
    """Adds one line to `path` in a single write, so that appends of several processes never mix.

    A torn last line, left by a crash, is closed first: it stays unreadable by itself and spoils nothing after it.
    With `sync` the line is on the disk when this returns. Raises OSError where it could not be written whole.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (b"\n" if torn else b"") + line.rstrip(b"\n") + b"\n"
        if os.write(descriptor, content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
