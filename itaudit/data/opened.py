"""A dataset with its edits and its measures, by the name that a user gives."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itaudit.data.cache import Cached
from itaudit.data.edited import EditedDataset
from itaudit.data.versions import overlay_of, split_version

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Opened:
    """`folder` is where the dataset is cached, None where it is not; `warning` is one line, if anything is amiss."""

    edited: EditedDataset
    measures: "pa.Table"
    folder: Path | None
    warning: str


def open_whole(
    source: str,
    *,
    format: str = "auto",
    split: str | None = None,
    progress: Callable[[Cached], None] | None = None,
) -> Opened:
    """Reads a dataset through the cache and waits until all of it is there. Raises UserError where it can't be read.

    `source` may name a version, see `itaudit.data.versions`; without one it is read with all its edits.
    """
    name, version = split_version(source)
    cached = Cached.open(name, format=format, split=split)
    dataset, measures = cached.whole(progress)
    return Opened(EditedDataset(dataset, overlay_of(dataset.path, version)), measures, cached.folder, cached.warning)
