"""Datasets that were opened recently, newest first, in the state directory."""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from itaudit import atomic, paths

KEPT = 12


@dataclass(frozen=True, slots=True)
class RecentDataset:
    """One dataset that was opened: its path or hub name, what it held, and when (seconds since the epoch)."""

    path: str
    format: str
    instances: int
    opened: float


def recent_datasets() -> list[RecentDataset]:
    """Newest first; empty where there are none, or where the file can't be read."""
    try:
        return [RecentDataset(**row) for row in orjson.loads(_file().read_bytes())]
    except (OSError, orjson.JSONDecodeError, TypeError):
        return []


def remember_dataset(dataset: RecentDataset) -> None:
    """Puts a dataset first. A state directory that can't be written costs only the memory of it."""
    kept = [dataset, *(other for other in recent_datasets() if other.path != dataset.path)][:KEPT]
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(_file(), orjson.dumps([asdict(row) for row in kept]))
    except OSError:
        return


def _file() -> Path:
    return paths.state_dir() / "recent-datasets.json"
