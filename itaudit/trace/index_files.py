"""The files of an index: built once per content, put into the cache whole, checked and memory-mapped when opened."""

import hashlib
import os
import shutil
import tempfile
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import orjson
from filelock import FileLock

from itaudit.analysis.words import word_keys
from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.trace.bm25 import Bm25s
from itaudit.trace.evidence import fields
from itaudit.trace.suffixes import BLOCK, SEPARATOR, SuffixArray, TokenIds, suffix_order

VERSION = 1
"""Part of the content hash; raise it with every change of the tokenisation or of the files."""


class Instances(Protocol):
    """A Dataset, or a list of instances; an instance's place in it is its position."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int, /) -> Instance: ...
    def __iter__(self) -> Iterator[Instance]: ...


@dataclass(frozen=True, slots=True)
class IndexFiles:
    """An opened index; `instance_starts` [instances] is where each instance begins in the suffix array's tokens.

    `bm25` is None where no instance holds a word.
    """

    suffixes: SuffixArray
    instance_starts: npt.NDArray[np.int64]
    bm25: Bm25s | None

    def documents(self) -> list[list[int]]:
        """The word ids of every instance."""
        parts = np.split(self.suffixes.tokens, self.instance_starts)[1:]
        return [part[part != SEPARATOR].tolist() for part in parts]


def content_hash(instances: Instances) -> str:
    """A hash of all the texts that are indexed and of how they are divided."""
    digest = hashlib.sha256(f"itaudit.trace {VERSION}".encode())
    for instance in instances:
        named = fields(instance)
        digest.update(b"%d;" % len(named))
        for name, text in named:
            content = text.encode("utf-8", "surrogatepass")
            digest.update(b"%s %d;" % (name.encode(), len(content)))
            digest.update(content)
    return digest.hexdigest()


def cached_files(instances: Instances, directory: Path) -> IndexFiles:
    """The index of `instances` in `directory`, built there if it is missing or damaged.

    Several processes may ask at once: one builds, the others wait. Raises UserError if it can't be written.
    """
    name = content_hash(instances)[:32]
    found = _read(directory / name)
    if found is not None:
        return found
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / f"{name}.lock"):
            # Another process may have built it while this one waited.
            found = _read(directory / name)
            return found if found is not None else _replaced(instances, directory, name)
    except OSError as error:
        raise UserError(
            f"{visible_line(str(directory))}: can't write the trace index: {error.strerror or error}; "
            "make room there, or set ITAUDIT_CACHE_DIR to another directory"
        ) from error


def _replaced(instances: Instances, directory: Path, name: str) -> IndexFiles:
    for leftover in directory.glob(f".{name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    building = Path(tempfile.mkdtemp(dir=directory, prefix=f".{name}."))
    try:
        _build(instances, building)
        if (directory / name).exists():
            shutil.rmtree(directory / name)
        building.rename(directory / name)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    found = _read(directory / name)
    if found is None:
        raise OSError("the files differ from what was written")
    return found


def _build(instances: Instances, directory: Path) -> None:
    # The separator takes id 0, as a word that no text can hold.
    vocabulary = {"": SEPARATOR}
    tokens, starts, documents = array("i", [SEPARATOR]), array("q"), []
    for instance in instances:
        starts.append(len(tokens))
        document: list[int] = []
        for _, text in fields(instance):
            ids = [vocabulary.setdefault(key, len(vocabulary)) for key in word_keys(text)]
            document += ids
            tokens.extend(ids)
            tokens.append(SEPARATOR)
        documents.append(document)
    sequence: TokenIds = np.frombuffer(tokens, dtype=np.int32)
    np.save(directory / "tokens.npy", np.concatenate([sequence, np.full(BLOCK, SEPARATOR, dtype=np.int32)]))
    np.save(directory / "order.npy", suffix_order(sequence))
    np.save(directory / "instance_starts.npy", np.array(starts, dtype=np.int64))
    if len(vocabulary) > 1:
        Bm25s.build(documents, vocabulary, directory / "bm25")
    files = {str(path.relative_to(directory)): _checksum(path) for path in directory.rglob("*") if path.is_file()}
    manifest = directory / "manifest.json"
    manifest.write_bytes(orjson.dumps({"version": VERSION, "files": files}))
    for path in (manifest, *(directory / file for file in files)):
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _read(directory: Path) -> IndexFiles | None:
    """The index in a directory, memory-mapped; None where there is none, or not the one that was written."""
    try:
        files = orjson.loads((directory / "manifest.json").read_bytes())["files"]
        if any(_checksum(directory / file) != known for file, known in files.items()):
            return None
        # Plain views of the maps: indexing a memmap costs several times what the look-up itself does.
        tokens, order = (np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r")) for name in ("tokens", "order"))
        starts = np.load(directory / "instance_starts.npy")
        bm25 = Bm25s(directory / "bm25") if "bm25/params.index.json" in files else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return IndexFiles(SuffixArray(tokens, order), starts, bm25)


def _checksum(path: Path) -> list[int]:
    """Size and CRC-32: what tells a file that was cut, or damaged on disk, from the one that was written."""
    size, checksum = 0, 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size += len(block)
            checksum = zlib.crc32(block, checksum)
    return [size, checksum]
