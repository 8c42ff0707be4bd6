"""Any dataset, by file, folder or hub name, as one `Dataset`."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from itaudit.data import formats, sources
from itaudit.data.build import Builder
from itaudit.data.dataset import Dataset, joined
from itaudit.data.formats.base import Record
from itaudit.data.sources import Bad, HashedFile, Source, TextSource, shown
from itaudit.errors import UserError
from itaudit.sanitize import visible

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".arrow", ".txt", ".gz", ".zip", ".zst"})

_PART = 8192
"""Instances in one chunk of a dataset that is read as a whole."""
_HEAVY = 1 << 26
"""Characters after which a part ends however few instances it has."""

# What a file begins with when it is none of ours, and what to do about it.
_FOREIGN = (
    (b"\x1f\x8b", "is compressed with gzip; unpack it first"),
    (b"PK\x03\x04", "is a zip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; unpack it first"),
    (b"\xff\xfe", "is UTF-16 (byte 0); convert it, e.g. iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "is UTF-16 (byte 0); convert it, e.g. iconv -f UTF-16 -t UTF-8"),
)


@dataclass(frozen=True, slots=True)
class _Opened:
    source: Source
    path: str
    sha256: Callable[[], str]
    task_names: list[str] | None = None
    file: HashedFile | None = None


def load(source: str | Path, *, format: str = "auto", split: str | None = None, turn: int = -1) -> Dataset:
    """Reads a dataset; rows that cannot be instances are in its `rejected`.

    `source` is a file (JSON, JSON lines, CSV, Parquet), a folder (Super-NaturalInstructions task files, a
    saved `datasets` directory, or data files that `datasets` can load) or a hub name such as `owner/name`.
    `split` is for the latter three; without it `train` is read if there are several. `turn` is the assistant
    turn to audit, counted from 0, or from the end if negative. Raises UserError where nothing can be read.
    """
    reading = Reading(source, format=format, split=split, turn=turn)
    return joined(list(reading.parts()), sha256=reading.sha256())


class Reading:
    """A source that is read part by part; takes what `load` takes, and raises UserError where it does."""

    def __init__(self, source: str | Path, *, format: str = "auto", split: str | None = None, turn: int = -1) -> None:
        wanted = None if format == "auto" else formats.named(format)
        self._name = str(source)
        with self._told():
            self._opened = _open(source, split)
            chosen = wanted or formats.detect(self._opened.source.samples())
        if chosen is None:
            raise _no_format(self._opened)
        self._format = chosen
        self._turn = turn

    def parts(self, sizes: Iterable[int] = repeat(_PART)) -> Iterator[Dataset]:
        """The instances in datasets of their own, one for each of `sizes`, which is how many it holds.

        It may hold a few more, where a record of the source has several, and fewer where they are long.

        Each has the rejected rows and the tasks that belong to it, and no hash. Raises UserError.
        """
        opened = self._opened
        builder = Builder(self._format, self._turn, path=opened.path, task_names=opened.task_names)
        wanted = iter(sizes)
        size = next(wanted)
        with self._told():
            for batch in opened.source.read(self._format):
                builder.add(batch)
                if builder.waiting >= size or builder.weight >= _HEAVY:
                    yield builder.part()
                    size = next(wanted)
        if not builder.rows:
            raise UserError(f"{visible(opened.path)}: holds no rows; expected at least one instance")
        yield builder.part()

    def done(self) -> tuple[int, int] | None:
        """How many bytes of how many were read; None where the source is no file of text."""
        file = self._opened.file
        return None if file is None else (file.done, file.path.stat().st_size)

    def sha256(self) -> str:
        """The hash of the content, once all parts were read."""
        with self._told():
            return self._opened.sha256()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}; check the file"
            raise UserError(f"{visible(self._name)}: {reason}") from error


def is_hub_name(source: str) -> bool:
    """Whether a text reads as the name of a dataset on the hub: `owner/name`, and no file's."""
    return bool(HUB_NAME.fullmatch(source)) and Path(source).suffix not in _SUFFIXES


def _open(source: str | Path, split: str | None) -> _Opened:
    path = Path(source).expanduser()
    if path.is_dir():
        return _open_folder(path.resolve(), split)
    if not path.exists() and not path.is_symlink():
        if isinstance(source, str) and is_hub_name(source):
            from itaudit.data import hub

            table = hub.load_split(source, split)
            return _Opened(hub.source(table), source, lambda: hub.sha256(table))
        raise UserError(f"{shown(path)}: no such file or folder; check the path")
    path = path.absolute()
    path.stat()
    if not path.is_file():
        raise UserError(f"{shown(path)}: is neither a file nor a folder; save its content to a file first")
    return _open_file(path)


def _text(path: Path) -> str:
    # A name that is not UTF-8 could not be written into JSON.
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _open_file(path: Path) -> _Opened:
    """A file, its container told by its first bytes."""

    def text(read: Callable[[HashedFile], Iterator[Record | Bad]], *, cells: bool = False) -> _Opened:
        file = HashedFile(path)
        return _Opened(TextSource(read(file), cells=cells), _text(path), file.sha256, file=file)

    with path.open("rb") as file:
        head = file.read(4096)
    body = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    suffix = path.suffix.lower()
    for start, complaint in _FOREIGN:
        if head.startswith(start):
            raise UserError(f"{shown(path)}: {complaint}")
    if head.startswith(b"PAR1"):
        return _Opened(sources.parquet(path), _text(path), lambda: sources.file_sha256(path))
    if not body and path.stat().st_size <= len(head):
        raise UserError(f"{shown(path)}: is empty; expected JSON, JSON lines, CSV or Parquet")
    if suffix == ".parquet":
        raise UserError(f"{shown(path)}: is no Parquet file, whatever its name says; rename or rewrite it")
    # A CSV cell may hold any character; JSON writes this one as an escape.
    if b"\0" in head and suffix != ".csv":
        place = f"byte {head.index(bytes(1))} is 0"
        raise UserError(f"{shown(path)}: is binary ({place}); expected JSON, JSON lines, CSV or Parquet")
    if suffix == ".csv":
        return text(sources.csv_rows, cells=True)
    if suffix in (".jsonl", ".ndjson"):
        return text(sources.json_lines)
    if body.startswith(b"["):
        return text(sources.json_array)
    if body.startswith(b"{"):
        if _is_json_lines(path):
            return text(sources.json_lines)
        records = TextSource(iter([sources.json_object(path)]))
        return _Opened(records, _text(path), lambda: sources.file_sha256(path), [_text(Path(path.stem))])
    byte_offset = sources.bad_byte(path)
    if byte_offset is not None:
        raise sources.not_utf8(path, byte_offset)
    if suffix == ".json":
        wanted = "expected an array of objects, or one object a line"
        raise UserError(f"{shown(path)}: line 1: is not JSON; {wanted}")
    return text(sources.csv_rows, cells=True)


def _is_json_lines(path: Path) -> bool:
    """Whether the first line is an object by itself and others follow."""
    with path.open("rb") as file:
        lines = (line for line in file if line.strip())
        first, second = next(lines, b""), next(lines, None)
        end = first.rstrip()
        return second is not None and end.endswith(b"}") and not second.strip().startswith((b"]", b"}", b","))


def _open_folder(folder: Path, split: str | None) -> _Opened:
    names = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    path = _text(folder)
    if {"state.json", "dataset_dict.json"}.isdisjoint(name.name for name in names):
        tasks = [name for name in names if name.suffix == ".json" and name.is_file()]
        if tasks and _is_task(tasks[0]):
            records: Iterator[Record | Bad] = (sources.json_object(task) for task in tasks)
            stems = [_text(Path(task.stem)) for task in tasks]
            return _Opened(TextSource(records), path, lambda: sources.files_sha256(folder, tasks), stems)
        if not any(name.suffix.lower() in _SUFFIXES for name in folder.rglob("*")):
            wanted = "expected task files, a saved `datasets` directory or data files"
            raise UserError(f"{shown(folder)}: holds no dataset; {wanted}")
        workshop = next(folder.rglob("*.workshop/edits.jsonl"), None)
        if workshop is not None:
            # The library would take the edits for rows, and the workshop's name for that of a split.
            told = f"holds {shown(workshop.parent.relative_to(folder))}, the edits of one of its files"
            raise UserError(f"{shown(folder)}: {told}; load that file itself, or move its workshop elsewhere")
    from itaudit.data import hub

    table = hub.load_split(folder, split)
    # The library keeps its own caches beside the data.
    files = [file for file in folder.rglob("*") if _is_content(file)]
    return _Opened(hub.source(table), path, lambda: sources.files_sha256(folder, files))


def _is_content(file: Path) -> bool:
    """Whether a file of a folder is data: no cache of the library, no card, which tells of it."""
    return file.is_file() and file.name != "README.md" and not file.name.startswith((".", "cache-"))


def _is_task(path: Path) -> bool:
    try:
        return {"Definition", "Instances"} <= sources.json_object(path).keys()
    except UserError:
        return False


def _no_format(opened: _Opened) -> UserError:
    samples = opened.source.samples()
    place = visible(opened.path)
    fault = opened.source.first_fault if isinstance(opened.source, TextSource) else None
    if not samples and fault is None:
        return UserError(f"{place}: holds no rows; expected at least one instance")
    if not samples:
        return UserError(f"{place}: no row can be read; row 0: {visible(str(fault))}")
    keys = list(samples[0])
    columns = visible(", ".join(map(repr, keys[:8])) or "none")
    return UserError(
        f"{place}: cannot tell the format from the columns {columns} (a CSV file needs a header);"
        f" rename them, or name the format: {', '.join(formats.names())}"
    )
