"""Instances that say the same as an earlier one, or nearly the same.

Exact copies are those with the same words, case and white space aside. Near copies share runs of three words with an
earlier instance: the Jaccard similarity of the two sets of runs is at least the threshold. Which pairs to compare is
found by MinHash signatures in bands (locality-sensitive hashing), which overlooks about one pair in a hundred right
at the threshold; what is compared is the runs themselves, so that every similarity told is exact.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rensa import RMinHash

from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset
from itaudit.data.patch import edited_slices

Field = Literal["instance", "prompt", "response"]
FIELDS: tuple[Field, ...] = ("instance", "prompt", "response")
THRESHOLD = 0.8

_RUN = 3
"""Words in a run."""
_HASHES = 128
"""Values in a signature."""
_SEED = 1
_FOUND = 0.99
"""How likely a pair right at the threshold is to be compared."""
_CROWD = 256
"""Instances of one band that later ones are compared with: more of them share only what a whole dataset has."""
_SLICE = 8192

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Group:
    """Instances alike, by position: `first` stands for all, `copies` follow in order.

    `similarities` are those of the copies to the first, 0 to 1; `exact` counts the copies that have the same words.
    """

    first: int
    copies: tuple[int, ...]
    similarities: tuple[float, ...]
    exact: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """All groups of a dataset, in the order of their firsts; how they were looked for beside them."""

    groups: tuple[Group, ...]
    threshold: float
    field: Field
    instances: int

    @property
    def copies(self) -> npt.NDArray[np.int64]:
        """Every instance but the first of each group, in order: what a dataset can do without."""
        return np.sort(np.array([copy for group in self.groups for copy in group.copies], np.int64))

    @property
    def members(self) -> npt.NDArray[np.int64]:
        """Every instance of every group, group by group."""
        return np.array([p for group in self.groups for p in (group.first, *group.copies)], np.int64)

    def to_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Duplicates":
        """What `to_json` made."""
        groups = tuple(
            Group(group["first"], tuple(group["copies"]), tuple(group["similarities"]), group["exact"])
            for group in document["groups"]
        )
        return cls(groups, document["threshold"], document["field"], document["instances"])


def find_duplicates(
    edited: EditedDataset,
    *,
    threshold: float = THRESHOLD,
    field: Field = "instance",
    progress: Callable[[int], None] | None = None,
) -> Duplicates:
    """Groups the instances of a dataset as their edits leave them; deleted ones and those without words are left out.

    `threshold` is above 0 and at most 1, where only exact copies are found. `field` is what is compared: all of an
    instance, its prompt with the turns before, or its response. `progress` hears how many instances were read.
    """
    deleted = {position for position, row in edited.edited_positions().items() if row.deleted}
    exact = _ExactCopies()
    bands: list[Hashes] = []
    kept: list[int] = []
    start = 0
    for part in edited_slices(edited, _SLICE):
        words = _words(part, field)
        counts = np.diff(words.offsets.to_numpy())
        new = [
            number
            for number, digest in enumerate(_digests(words))
            if counts[number] and start + number not in deleted and exact.is_new(start + number, digest)
        ]
        if threshold < 1 and new:
            runs, offsets = _runs(words.take(pa.array(new, pa.int64())))
            bands.append(_bands(runs, offsets, threshold))
        kept += [start + number for number in new]
        start += len(part)
        if progress is not None:
            progress(start)
    near: dict[int, tuple[int, float]] = {}
    if bands:
        candidates = _candidates(np.concatenate(bands))
        positions = np.array(kept, np.int64)
        runs_of = _run_sets(edited, field, positions[[*candidates]])
        near = _nearest(positions, candidates, runs_of, threshold)
    return Duplicates(tuple(_grouped(exact.copies, near)), threshold, field, len(edited) - len(deleted))


class _ExactCopies:
    """Which position an equal text stood at first, by its digest."""

    def __init__(self) -> None:
        self.copies: dict[int, int] = {}
        self._seen: dict[bytes, int] = {}

    def is_new(self, position: int, digest: bytes) -> bool:
        first = self._seen.setdefault(digest, position)
        if first != position:
            self.copies[position] = first
        return first == position


def _words(part: Dataset, field: Field) -> pa.Array:
    """The words of each instance, in lower case: a list of texts for each."""
    table = part.table.combine_chunks()
    columns: list[pa.Array] = []
    if field != "response":
        instruction = _column(table, "instruction")
        if instruction.null_count:
            # A task's definition is the same in all its instances and would make them all alike.
            own = pc.binary_join_element_wise(
                _large("task"), pc.cast(_column(table, "record"), pa.large_string()), _large("-")
            )
            instruction = pc.coalesce(instruction, own)
        columns += [_contents(_column(table, "history")), instruction, _column(table, "input")]
    if field != "prompt":
        columns.append(_column(table, "response"))
    if field == "instance":
        columns.append(_contents(_column(table, "later")))
    filled = [pc.fill_null(pc.cast(column, pa.large_string()), "") for column in columns]
    texts = pc.binary_join_element_wise(*filled, _large("\n"))
    return pc.utf8_split_whitespace(pc.utf8_trim_whitespace(pc.utf8_lower(pc.utf8_normalize(texts, form="NFC"))))


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def _contents(turns: pa.Array) -> pa.Array:
    """What is said in all turns of each conversation, as one text."""
    if turns.null_count == len(turns):
        return pa.nulls(len(turns), pa.large_string())
    texts = pc.cast(pc.struct_field(pc.list_flatten(turns), "content"), pa.large_string())
    offsets = np.concatenate([[0], np.cumsum(pc.fill_null(pc.list_value_length(turns), 0).to_numpy())])
    return pc.binary_join(pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), texts), _large("\n"))


def _large(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _digests(words: pa.Array) -> Iterator[bytes]:
    for text in pc.binary_join(words, _large(" ")).to_pylist():
        yield hashlib.blake2b(text.encode(), digest_size=16).digest()


def _runs(words: pa.Array) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Hashes of all runs of words of each text, and where each text's begin; a shorter text is one run."""
    encoded = pc.dictionary_encode(words.flatten())
    known = np.array(RMinHash.hash_token_sets([encoded.dictionary.to_pylist()])[0], np.uint64)
    hashes = known[encoded.indices.to_numpy()]
    counts = np.diff(words.offsets.to_numpy())
    # Short texts are filled up to one run with hashes of nothing.
    padded = np.maximum(counts, _RUN)
    ends = np.cumsum(padded)
    places = np.repeat(ends - padded - (np.cumsum(counts) - counts), counts) + np.arange(len(hashes))
    filled = np.zeros(int(ends[-1]), np.uint64)
    filled[places] = hashes
    runs = filled[: len(filled) - _RUN + 1].copy()
    for step in range(1, _RUN):
        runs = (runs ^ (runs >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        runs += filled[step : len(filled) - _RUN + 1 + step]
    runs ^= runs >> np.uint64(29)
    runs *= np.uint64(0xBF58476D1CE4E5B9)
    runs ^= runs >> np.uint64(32)
    within = np.ones(len(filled), dtype=bool)
    for step in range(1, _RUN):
        within[ends - step] = False
    return runs[within[: len(runs)]], np.concatenate([[0], np.cumsum(padded - _RUN + 1)])


def _bands(runs: Hashes, offsets: npt.NDArray[np.int64], threshold: float) -> Hashes:
    """For each text one hash per band of its signature: texts that share one are worth comparing."""
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(runs, offsets, _HASHES, _SEED)
    signatures = np.array(matrix.to_rows(), np.uint64)
    rows = _rows_in_band(threshold)
    bands = _HASHES // rows
    parts = signatures[:, : bands * rows].reshape(len(signatures), bands, rows)
    hashes = np.zeros(parts.shape[:2], np.uint64)
    for row in range(rows):
        hashes = (hashes ^ parts[:, :, row] ^ (hashes >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return hashes


def _rows_in_band(threshold: float) -> int:
    """As many as leave a pair at the threshold likely enough to agree in a whole band."""
    fitting = [rows for rows in range(1, 33) if 1 - (1 - threshold**rows) ** (_HASHES // rows) >= _FOUND]
    return max(fitting, default=1)


def _candidates(bands: Hashes) -> dict[int, list[int]]:
    """For each text that shares a band with another, by number: the earlier ones, of a crowd the earliest."""
    found: dict[int, set[int]] = defaultdict(set)
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        hashes = band[order]
        begins = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        sizes = np.diff(np.append(begins, len(hashes)))
        for begin, size in zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
            alike = order[begin : begin + size].tolist()
            found[alike[0]].update()
            for place, number in enumerate(alike[1:], 1):
                found[number].update(alike[: min(place, _CROWD)])
    return {number: sorted(found[number]) for number in sorted(found)}


def _run_sets(edited: EditedDataset, field: Field, positions: npt.NDArray[np.int64]) -> dict[int, Hashes]:
    """The runs of some instances, made again: keeping those of all would take more memory than their texts."""
    found: dict[int, Hashes] = {}
    start = 0
    for part in edited_slices(edited, _SLICE):
        first, last = np.searchsorted(positions, [start, start + len(part)])
        wanted = positions[first:last]
        if len(wanted):
            words = _words(part.select((wanted - start).tolist()), field)
            runs, offsets = _runs(words)
            for number, position in enumerate(wanted.tolist()):
                found[position] = np.unique(runs[offsets[number] : offsets[number + 1]])
        start += len(part)
    return found


def _nearest(
    positions: npt.NDArray[np.int64],
    candidates: dict[int, list[int]],
    runs_of: dict[int, Hashes],
    threshold: float,
) -> dict[int, tuple[int, float]]:
    """The first of a group that each instance is most like, and how much; firsts themselves are left out.

    An instance is compared with firsts alone: each copy is that like what stands for it, and no chain of small
    differences makes one group of things that differ.
    """
    near: dict[int, tuple[int, float]] = {}
    for number, others in candidates.items():
        position = int(positions[number])
        own = runs_of[position]
        best, similarity = -1, 0.0
        for other in (int(positions[other]) for other in others):
            theirs = runs_of[other]
            # Sets of such different sizes can't be alike enough.
            if other in near or min(len(own), len(theirs)) < threshold * max(len(own), len(theirs)):
                continue
            shared = len(np.intersect1d(own, theirs, assume_unique=True))
            jaccard = shared / (len(own) + len(theirs) - shared)
            if jaccard > similarity:
                best, similarity = other, jaccard
        if similarity >= threshold:
            near[position] = (best, similarity)
    return near


def _grouped(exact: dict[int, int], near: dict[int, tuple[int, float]]) -> Iterator[Group]:
    members: dict[int, list[tuple[int, float, bool]]] = defaultdict(list)
    for position, (first, similarity) in near.items():
        members[first].append((position, similarity, False))
    for position, twin in exact.items():
        first, similarity = near.get(twin, (twin, 1.0))
        members[first].append((position, similarity, first == twin))
    for first in sorted(members):
        copies = sorted(members[first])
        yield Group(
            first,
            tuple(position for position, _, _ in copies),
            tuple(round(similarity, 4) for _, similarity, _ in copies),
            sum(is_exact for _, _, is_exact in copies),
        )
