"""Where the dataset screen has its rows from: a source that is still read, or a dataset that is in memory."""

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa
from textual.message_pump import MessagePump

from itaudit.data.dataset import Dataset
from itaudit.tui.background import Background

_SLICE = 2048


class Feed(Protocol):
    """What `Cached` offers; `dataset` and `measures` only ever grow."""

    source: str
    dataset: Dataset | None
    measures: pa.Table | None
    complete: bool
    problem: str
    warning: str
    share: float | None

    def poll(self) -> bool:
        """Takes in what came since; whether anything did."""

    def close(self) -> None:
        """Ends what is still at work."""


class InMemory:
    """A dataset that is there whole; what is measured of it comes a moment later."""

    def __init__(self, dataset: Dataset, node: MessagePump) -> None:
        self.source = dataset.path
        self.dataset: Dataset | None = dataset
        self.measures: pa.Table | None = None
        self.complete = True
        self.problem = self.warning = ""
        self.share: float | None = 1.0
        self._measuring: Background[pa.Table] = Background(node)
        self._news = False

        def work(report: Callable[[pa.Table], None]) -> None:
            from itaudit.data.measures import joined_measures, measured

            parts = [measured(dataset[start : start + _SLICE]) for start in range(0, max(1, len(dataset)), _SLICE)]
            report(joined_measures(parts))

        self._measuring.start(work, self._take, fail=lambda _: None)

    def _take(self, measures: pa.Table) -> None:
        self.measures, self._news = measures, True

    def poll(self) -> bool:
        news, self._news = self._news, False
        return news

    def close(self) -> None:
        self._measuring.cancel()
