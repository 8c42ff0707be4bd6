"""The edited instances of a dataset as a small table of their own, measured like the others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from itaudit.data.dataset import Dataset, joined
from itaudit.data.edited import EditedDataset, EditedRow, with_rows
from itaudit.data.measures import conformed, measured

Positions = npt.NDArray[np.int64]


class Patch:
    """Instances that say something else than their source: positions (ascending), rows and measures in step."""

    def __init__(self, edited: EditedDataset, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows: dict[int, EditedRow] = {}
        self.positions: Positions = np.zeros(0, np.int64)
        self.dataset: Dataset = edited.source.select([])
        self.measures: pa.Table = schema.empty_table()

    def update(self, edited: EditedDataset) -> None:
        """Takes in what was edited or undone since; what is as it was is kept."""
        now = {position: row for position, row in edited.edited_positions().items() if row.changed}
        kept = [position for position in self.rows if now.get(position) is self.rows[position]]
        new = [position for position, row in now.items() if self.rows.get(position) is not row]
        if not new and len(kept) == len(self.rows):
            return
        stay = np.flatnonzero(np.isin(self.positions, np.array(kept, np.int64)))
        dataset, measures = self._made(edited, now, new)
        dataset = joined([self.dataset.select(stay.tolist()), dataset])
        measures = pa.concat_tables([self.measures.take(pa.array(stay)), measures])
        positions = np.concatenate([self.positions[stay], np.array(new, np.int64)])
        order = np.argsort(positions)
        self.rows = now
        self.positions = positions[order]
        self.dataset = dataset.select(order.tolist())
        self.measures = measures.take(pa.array(order))

    def _made(self, edited: EditedDataset, rows: dict[int, EditedRow], new: Sequence[int]) -> tuple[Dataset, pa.Table]:
        source = edited.source.select(new)
        # Deleted instances are selected from like all others, so none may be left out.
        changed = {number: replace(rows[position], deleted=False) for number, position in enumerate(new)}
        dataset = with_rows(source, changed)
        return dataset, conformed(measured(dataset), self.schema)


_PATCHES: WeakKeyDictionary[EditedDataset, Patch] = WeakKeyDictionary()


def patch_of(edited: EditedDataset, schema: pa.Schema) -> Patch:
    """The patch of a dataset, kept up to date from one selection to the next."""
    patch = _PATCHES.get(edited)
    if patch is None or not patch.schema.equals(schema):
        patch = _PATCHES[edited] = Patch(edited, schema)
    patch.update(edited)
    return patch


def edited_slices(edited: EditedDataset, size: int) -> Iterator[Dataset]:
    """The whole dataset in consecutive slices as its edits leave it, deleted instances included."""
    rows = {position: row for position, row in edited.edited_positions().items() if row.changed}
    positions = np.fromiter(rows, np.int64)
    for start in range(0, len(edited), size):
        part = sliced(edited.source, start, size)
        first, last = np.searchsorted(positions, [start, start + size])
        changed = positions[first:last].tolist()
        yield with_rows(part, {p - start: replace(rows[p], deleted=False) for p in changed}) if changed else part


def sliced(dataset: Dataset, start: int, size: int) -> Dataset:
    """Consecutive instances; nothing is copied."""
    return dataset.replaced(table=dataset.table.slice(start, size))
