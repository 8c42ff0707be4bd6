"""Numbers about a dataset, as its edits leave it: lengths, openings, formats, languages, columns."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset, EditedRow
from itaudit.data.measures import MEASURES
from itaudit.data.patch import edited_slices
from itaudit.data.searching import flags
from itaudit.data.selection import Positions, facets, values_at

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
OPENING_WORDS = (1, 2, 3, 4)
UNSURE = "unsure"
"""The language of a text that is too short or too mixed to tell."""

# What a response is set in, as RE2 expressions; a blank at the end of a marker keeps plain text out.
_FORMATS = {
    "bulleted list": r"(?m)^[ \t]*[-*+\x{2022}][ \t]+\S",
    "numbered list": r"(?m)^[ \t]*\d{1,3}[.)][ \t]+\S",
    "heading": r"(?m)^[ \t]{0,3}#{1,6}[ \t]+\S",
    "code block": r"(?m)^[ \t]*(```|~~~)",
    "table": r"(?m)^[ \t]*\|?.*\|.*\n[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*\|",
    "bold": r"\*\*[^\s*][^*\n]*\*\*",
    "emoji": r"[\x{1F000}-\x{1FAFF}\x{2600}-\x{27BF}\x{2B50}\x{2B55}]",
    "URL": r"(?i)\bhttps?://\S|\bwww\.\w",
}
_SHOWN = 20
_BINS = 24
_SAMPLE = 2000
_LANGUAGE_CHARS = 1000
_SHORT = 20
_CONFIDENCE = 0.5
_SEED = 0
_OPENING_CHARS = 160
_SLICE = 32768


@dataclass(frozen=True, slots=True)
class Distribution:
    """Numbers at a glance: `quantiles` maps "0.5" and others to values, `counts[i]` lie in [edges[i], edges[i + 1]).

    All bins but the last are equally wide and reach to the 99th percentile; the last holds what lies beyond.
    """

    count: int
    mean: float
    minimum: float
    maximum: float
    quantiles: dict[str, float]
    edges: list[float]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Column:
    """The most frequent values of a column of the source, how many differ, and how many rows have none."""

    values: list[tuple[Any, int]]
    distinct: int
    missing: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What `statistics_of` counts.

    `lengths` are the distributions of each measure and of columns of numbers. `openings` maps a number of words
    to the most frequent beginnings of that length. `formats` counts responses that hold each. `languages` are
    those of the responses (of prompts, where there are none) of `language_sample` instances drawn with a fixed seed.
    `duplicates` is how many copies there are, None where nobody looked.
    """

    instances: int
    empty: int
    without_response: int
    edited: int
    deleted: int
    tagged: int
    noted: int
    conflicts: int
    duplicates: int | None
    lengths: dict[str, Distribution]
    openings: dict[str, list[tuple[str, int]]]
    formats: dict[str, int]
    languages: list[tuple[str, int]]
    language_sample: int
    columns: dict[str, Column]

    def to_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Statistics":
        """What `to_json` made."""

        def pairs(values: list[list[Any]]) -> list[tuple[Any, int]]:
            return [(value, count) for value, count in values]

        return cls(
            **document
            | {
                "lengths": {name: Distribution(**each) for name, each in document["lengths"].items()},
                "openings": {words: pairs(values) for words, values in document["openings"].items()},
                "languages": pairs(document["languages"]),
                "columns": {
                    name: Column(pairs(each["values"]), each["distinct"], each["missing"])
                    for name, each in document["columns"].items()
                },
            }
        )


def statistics_of(
    edited: EditedDataset,
    measures: pa.Table,
    positions: Positions | None = None,
    *,
    duplicates: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Statistics:
    """The statistics of the instances at some positions, which ascend; without any, of all that are not deleted.

    `measures` are those of the whole dataset. `progress` hears how many instances were read.
    """
    rows = edited.edited_positions()
    if positions is None:
        deleted = [position for position, row in rows.items() if row.deleted]
        positions = np.delete(np.arange(len(edited), dtype=np.int64), deleted)
    # Arrow searches texts without holding the interpreter, so several expressions are looked for at once.
    with ThreadPoolExecutor() as pool:
        reading = _Reading(pool)
        for start, part in _parts(edited, positions):
            reading.take(part)
            if progress is not None:
                progress(start)
    chosen = [row for position, row in rows.items() if _holds(positions, position)]
    languages, sample = _languages(edited, positions)
    lengths, columns = _columns(edited, measures, positions)

    def count(true: Callable[[EditedRow], bool]) -> int:
        return sum(map(true, chosen))

    return Statistics(
        instances=len(positions),
        empty=reading.empty,
        without_response=reading.without_response,
        edited=count(lambda row: row.changed),
        deleted=sum(row.deleted for row in rows.values()),
        tagged=count(lambda row: bool(row.tags)),
        noted=count(lambda row: bool(row.note)),
        conflicts=count(lambda row: bool(row.conflicts)),
        duplicates=duplicates,
        lengths=lengths,
        openings=reading.openings(),
        formats=dict(reading.formats),
        languages=languages,
        language_sample=sample,
        columns=columns,
    )


class _Reading:
    """What is counted while the texts go by."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.empty = 0
        self.without_response = 0
        self.formats: Counter[str] = Counter(dict.fromkeys(_FORMATS, 0))
        self._openings: dict[int, list[pa.Array]] = {words: [] for words in OPENING_WORDS}

    def take(self, part: Dataset) -> None:
        responses = part.table.column("response").combine_chunks()
        self.without_response += responses.null_count
        self.empty += int(pc.sum(pc.equal(pc.utf8_trim_whitespace(responses), "")).as_py() or 0)

        def holding(expression: str) -> int:
            return int(flags(pc.match_substring_regex(responses, expression)).sum())

        self.formats.update(dict(zip(_FORMATS, self._pool.map(holding, _FORMATS.values()), strict=True)))
        starts = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(responses.drop_null(), 0, _OPENING_CHARS))
        words = pc.utf8_split_whitespace(starts, max_splits=max(OPENING_WORDS))
        lengths = pc.list_value_length(words)
        for number in OPENING_WORDS:
            enough = words.filter(pc.greater_equal(lengths, number))
            joined = pc.binary_join(pc.list_slice(enough, 0, number), pa.scalar(" ", pa.large_string()))
            self._openings[number].append(pc.utf8_rtrim(joined, characters=",.;:!?"))

    def openings(self) -> dict[str, list[tuple[str, int]]]:
        found = {}
        for number, parts in self._openings.items():
            texts = pa.chunked_array(parts, pa.large_string()).combine_chunks()
            found[str(number)] = _most_frequent(texts, at_least=2)
        return found


def _most_frequent(values: pa.Array, *, at_least: int = 1) -> list[tuple[Any, int]]:
    counted = pc.value_counts(values.drop_null())
    frequent = counted.filter(pc.greater_equal(counted.field(1), at_least))
    pairs = zip(frequent.field(0).to_pylist(), frequent.field(1).to_pylist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:_SHOWN]


def _parts(edited: EditedDataset, positions: Positions) -> Iterator[tuple[int, Dataset]]:
    """How far the reading came, and the chosen instances on the way."""
    start = 0
    for part in edited_slices(edited, _SLICE):
        first, last = np.searchsorted(positions, [start, start + len(part)])
        wanted = positions[first:last] - start
        start += len(part)
        if len(wanted):
            yield start, part if len(wanted) == len(part) else part.select(wanted.tolist())


def _holds(positions: Positions, position: int) -> bool:
    place = int(np.searchsorted(positions, position))
    return place < len(positions) and int(positions[place]) == position


def _columns(
    edited: EditedDataset, measures: pa.Table, positions: Positions
) -> tuple[dict[str, Distribution], dict[str, Column]]:
    lengths: dict[str, Distribution] = {}
    columns: dict[str, Column] = {}
    for name in measures.column_names:
        kind = measures.schema.field(name).type
        values = values_at(edited, measures, name, positions)
        if name in MEASURES or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            lengths[name] = distribution_of(pc.drop_null(values).to_numpy())
        else:
            counted = facets(pa.table({name: values}), None, name)
            known = [(value, count) for value, count in counted if value is not None]
            columns[name] = Column(known[:_SHOWN], len(known), values.null_count)
    return lengths, columns


def distribution_of(values: npt.NDArray[Any]) -> Distribution:
    """The distribution of numbers; those that are not finite are left out."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Distribution(0, 0.0, 0.0, 0.0, {}, [], [])
    quantiles = np.quantile(values, QUANTILES)
    low, high = float(values.min()), float(values.max())
    edges = _edges(low, float(quantiles[-1]), high, whole=values.dtype.kind == "i")
    counts = np.histogram(values, edges)[0]
    return Distribution(
        count=len(values),
        mean=float(values.mean()),
        minimum=low,
        maximum=high,
        quantiles={str(share): float(value) for share, value in zip(QUANTILES, quantiles, strict=True)},
        edges=edges,
        counts=counts.tolist(),
    )


def _edges(low: float, most: float, high: float, *, whole: bool) -> list[float]:
    """Edges of bins of a round width up to the bulk's end, and beyond the highest value."""
    low = 0.0 if 0 <= low < (most - low) else low
    width = max((most - low) / (_BINS - 1), 1.0 if whole else 0.0)
    if width == 0:
        return [low, low + 1.0]
    unit = 10.0 ** np.floor(np.log10(width))
    width = float(unit * next(step for step in (1, 2, 2.5, 5, 10) if step * unit >= width * (1 - 1e-9)))
    if whole:
        width = float(np.ceil(width))
    first = float(np.floor(low / width) * width)
    edges = [first]
    while edges[-1] <= most:
        edges.append(first + len(edges) * width)
    if edges[-1] <= high:
        edges.append(high + (1.0 if whole else width))
    return edges


def _languages(edited: EditedDataset, positions: Positions) -> tuple[list[tuple[str, int]], int]:
    """The languages of a sample, the most frequent first, and how many instances it has."""
    generator = np.random.default_rng(_SEED)
    sample = generator.choice(positions, min(_SAMPLE, len(positions)), replace=False)
    identifier = _identifier()
    found: Counter[str] = Counter()
    for position in sample.tolist():
        instance = edited[position]
        text = (instance.prompt if instance.response is None else instance.response)[:_LANGUAGE_CHARS].strip()
        language, confidence = identifier.classify(text)
        found[language if len(text) >= _SHORT and confidence >= _CONFIDENCE else UNSURE] += 1
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0])), len(sample)


@cache
def _identifier() -> Any:
    """Tells languages; its model takes half a second to load."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
