"""What the proofs of a run say, heard from a process beside the screen whenever there is more to say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from textual.message_pump import MessagePump
from textual.timer import Timer

from itaudit.data.child import Child

_LISTEN = 0.1
"""Seconds between two looks at what the process has said."""


@dataclass(frozen=True, slots=True)
class ToldVerdict:
    """What one proof says of one span of a response; `progress` while it is at work, else empty."""

    proof: str
    model: str
    prompt_id: str
    start: int
    end: int
    verdict: str
    text: str
    progress: str


class ProofsTold:
    """The verdicts of all proofs of a run. `changed` is called when others came."""

    def __init__(self, node: MessagePump, run_path: Path, changed: Callable[[], None]) -> None:
        self._node = node
        self._folder = run_path / "proofs"
        self._run_path = run_path
        self._changed = changed
        self._stamp: object = ()
        self._child: Child | None = None
        self._timer: Timer | None = None
        self._hearing: list[ToldVerdict] = []
        self._done = False
        self.verdicts: tuple[ToldVerdict, ...] = ()
        self.problem = ""

    def poll(self) -> None:
        """Asks again where a proof was begun, went on or ended."""
        if self._child is not None:
            return
        stamp = self._looks()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if not stamp:
            self.verdicts = ()
            self._changed()
            return
        self._hearing, self._done = [], False
        self._child = Child("itaudit.proof.told", [str(self._run_path)])
        self._timer = self._node.set_interval(_LISTEN, self._listen)

    def at(self, model: str, prompt_id: str, start: int, end: int) -> list[ToldVerdict]:
        """What proofs say of the spans that touch a stretch, the newest proof first."""
        return [
            told
            for told in self.verdicts
            if (told.model, told.prompt_id) == (model, prompt_id) and told.start < end and start < told.end
        ]

    def _looks(self) -> tuple[object, ...]:
        found = []
        for path in sorted(self._folder.glob("*/proof.json")):
            try:
                size = (path.parent / "results.jsonl").stat().st_size
            except OSError:
                size = 0
            found.append((path.parent.name, size, _state(path.parent / "status.json")))
        return tuple(found)

    def _listen(self) -> None:
        if self._child is None:
            return
        for message in self._child.messages():
            if "problem" in message:
                self.problem = message["problem"]
            elif "proof" in message:
                self._hearing += _verdicts(message)
            else:
                self._done = True
        if self._child.ended:
            if not self._done and not self.problem:
                self.problem = f"the process that reads the proofs {self._child.last_words()}"
            self.close()
            self.verdicts = tuple(self._hearing)
            self._changed()

    def close(self) -> None:
        """Ends the process if it is still at work."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._child is not None:
            self._child.close()
            self._child = None


def _state(path: Path) -> str:
    """The worker's last word; nothing where it can't be read at this moment."""
    try:
        told = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return ""
    return str(told.get("state", "")) if isinstance(told, dict) else ""


def _verdicts(message: dict[str, Any]) -> list[ToldVerdict]:
    proof = message["proof"]
    at_work = proof["status"]["state"] not in ("done",)
    return [
        ToldVerdict(
            proof["name"],
            verdict["model"],
            verdict["target"]["prompt_id"],
            verdict["target"]["start"],
            verdict["target"]["end"],
            verdict["verdict"],
            verdict["text"],
            message["progress"] if at_work else "",
        )
        for verdict in proof["verdicts"]
    ]
