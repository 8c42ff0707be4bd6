"""Questions to a process that ranks a dataset: it indexes what is there, and the whole once all of it is."""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from textual.message_pump import MessagePump

from itaudit.data.dataset import Dataset
from itaudit.errors import UserError

FIRST = 4000
"""Instances that are indexed at once, so that an answer is there while the rest is being indexed."""
HITS = 1000

Words = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best instances for a question, best first: each position's score and what each word adds to it.

    `instances` is how many were indexed; while they are not the `whole` dataset, a better answer is on its way.
    """

    question: str
    scores: Mapping[int, float]
    words: Mapping[int, Words]
    instances: int
    whole: bool


class Ranker:
    """The process, started with the first question. What it says is heard on the UI's thread."""

    def __init__(self, node: MessagePump, heard: Callable[[Ranking], None], failed: Callable[[str], None]) -> None:
        self._node = node
        self._heard = heard
        self._failed = failed
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._number = 0
        self._question = ""
        self._whole_sent = False
        self._writing: threading.Thread | None = None

    def ask(self, question: str, dataset: Dataset, complete: bool, folder: Path | None = None) -> None:
        """Has instances ranked; answers come one after another, each better than the last.

        `folder` is where a complete dataset is kept in parts, if it is.
        """
        self._number += 1
        self._question = question
        first = self._process is None
        if first:
            self._start()
        self._send({"ask": self._number, "question": question, "k": HITS})
        if first:
            self._give(dataset[:FIRST], "first", whole=complete and len(dataset) <= FIRST)
        if complete:
            self.give_whole(dataset, folder)

    def give_whole(self, dataset: Dataset, folder: Path | None = None) -> None:
        """Has all of a dataset indexed, if anything was asked of it."""
        if self._process is None or self._whole_sent:
            return
        parts = sorted(folder.glob("????.arrow")) if folder is not None else []
        if parts:
            self._whole_sent = True
            self._in_order(lambda: self._send({"index": [str(part) for part in parts], "whole": True}))
        else:
            self._give(dataset, "whole", whole=True)

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        if self._folder is not None:
            self._folder.cleanup()

    def _start(self) -> None:
        # Rows may still be written into it while it goes.
        self._folder = tempfile.TemporaryDirectory(prefix="itaudit-", ignore_cleanup_errors=True)
        # What it may complain of has no place on the screen.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "itaudit.trace.ranker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # It is killed in the end, and what it puts aside must go with ours.
            env={**os.environ, "TMPDIR": self._folder.name},
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True, name="itaudit-ranker").start()

    def _give(self, dataset: Dataset, name: str, whole: bool) -> None:
        """Writes instances where the process maps them: off this thread, since all of them may be a gigabyte."""
        if self._whole_sent:
            return
        self._whole_sent = whole
        assert self._folder is not None
        file = Path(self._folder.name) / f"{name}.arrow"

        def write() -> None:
            try:
                dataset.save(file)
            except UserError as error:
                self._hand(self._failed, str(error))
                return
            self._send({"index": [str(file)], "whole": whole})

        self._in_order(write)

    def _in_order(self, work: Callable[[], None]) -> None:
        """Works off this thread, after what was begun before: the first rows are to be indexed first."""
        before = self._writing

        def run() -> None:
            if before is not None:
                before.join()
            work()

        self._writing = threading.Thread(target=run, daemon=True, name="itaudit-rows")
        self._writing.start()

    def _send(self, request: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            process.stdin.write(orjson.dumps(request) + b"\n")
            process.stdin.flush()
        except (OSError, ValueError):
            self._hand(self._failed, "The process that ranks has died; ask again.")

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            message = orjson.loads(line)
            # Before the number is looked at, which another question changes first.
            question = self._question
            if "problem" in message:
                self._hand(self._failed, message["problem"])
            elif message.get("answer") == self._number:
                hits = message["hits"]
                self._hand(
                    self._heard,
                    Ranking(
                        question,
                        {position: score for position, score, _ in hits},
                        {position: words for position, _, words in hits},
                        message["instances"],
                        message["whole"],
                    ),
                )
        self._hand(self._died, process)

    def _died(self, process: "subprocess.Popen[bytes]") -> None:
        if process is not self._process:
            # It was ended here, and another may be at work by now.
            return
        self.close()
        self._whole_sent = False
        self._failed("The process that ranks has died; ask again.")

    def _hand(self, callback: Callable[[Any], None], value: Any) -> None:
        try:
            self._node.call_later(lambda: callback(value))
        except RuntimeError:
            # The app has gone.
            return
