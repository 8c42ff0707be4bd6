"""`python -m itaudit.trace.ranker`: ranks the instances of a dataset by questions, in a process of its own.

It reads requests from standard input and answers on standard output, one JSON object a line:

    {"index": [files], "whole": true|false}     index the instances of files that `Dataset.save` wrote
    {"ask": N, "question": "…", "k": 100}       rank by BM25; N comes back with every answer

    {"indexed": instances, "whole": …}
    {"answer": N, "instances": …, "whole": …, "hits": [[position, score, [[word, what it adds] …]] …]}
    {"problem": "one line"}

A question is answered from the index that is there, and once more when the index of the whole dataset is.
"""

import os
import queue
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from itaudit import paths
from itaudit.data.dataset import Dataset, joined
from itaudit.errors import UserError


class Ranker:
    """Answers from the best index so far; the one of the whole dataset is built beside the answering."""

    def __init__(self, temporary: Path) -> None:
        from itaudit.trace.index import TraceIndex

        self._open = TraceIndex.open
        self._temporary = temporary
        self._lock = threading.Lock()
        self._index: TraceIndex | None = None
        self._instances = 0
        self._whole = False
        self._asked: dict[str, Any] | None = None

    def index(self, files: Sequence[str], whole: bool) -> None:
        """Builds an index, or opens it from the cache; answers the last question again."""
        try:
            dataset = joined([Dataset.open(Path(file)) for file in files])
            index = self._open(dataset, cache_dir=paths.cache_dir() if whole else self._temporary)
        except UserError as error:
            _say({"problem": str(error)})
            return
        with self._lock:
            if self._whole:
                return
            self._index, self._instances, self._whole = index, len(dataset), whole
            asked = self._asked
        _say({"indexed": len(dataset), "whole": whole})
        if asked is not None:
            self.answer(asked)

    def answer(self, request: dict[str, Any]) -> None:
        """Says the hits of a question, if there is an index to ask."""
        with self._lock:
            self._asked = request
            index, instances, whole = self._index, self._instances, self._whole
        if index is None:
            return
        best = index.ranking(request["question"]).best(request["k"])
        hits = [[hit.position, hit.score, hit.words] for hit in best]
        _say({"answer": request["ask"], "instances": instances, "whole": whole, "hits": hits})


_SAYING = threading.Lock()


def _say(message: dict[str, Any]) -> None:
    with _SAYING:
        sys.stdout.buffer.write(orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        sys.stdout.buffer.flush()


def main() -> None:
    wanted: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="itaudit-ranker-") as temporary:
        ranker = Ranker(Path(temporary))

        def build() -> None:
            while True:
                request = wanted.get()
                ranker.index(request["index"], request["whole"])

        threading.Thread(target=build, daemon=True, name="index").start()
        for line in sys.stdin.buffer:
            request = orjson.loads(line)
            if "index" in request:
                wanted.put(request)
            else:
                ranker.answer(request)


if __name__ == "__main__":
    main()
    # Whoever asked has gone; an index that is still being built is nobody's.
    os._exit(0)
