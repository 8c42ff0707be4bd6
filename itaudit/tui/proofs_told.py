"""What the proofs of a run say, heard from a process beside the screen whenever there is more to say."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from textual.message_pump import MessagePump

from itaudit.tui.hearing import Hearing


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
        self._folder = run_path / "proofs"
        self._run_path = run_path
        self._changed = changed
        self._stamp: object = ()
        self._hearing = Hearing(node, "reads the proofs", self._heard, self._ended)
        self._coming: list[ToldVerdict] = []
        self.verdicts: tuple[ToldVerdict, ...] = ()
        self.problem = ""

    def poll(self) -> None:
        """Asks again where a proof was begun, went on or ended."""
        if self._hearing.busy:
            return
        stamp = self._looks()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if not stamp:
            self.verdicts = ()
            self._changed()
            return
        self._coming = []
        self._hearing.start("itaudit.proof.told", str(self._run_path))

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

    def _heard(self, messages: list[dict[str, Any]]) -> None:
        self._coming += [verdict for message in messages for verdict in _verdicts(message)]

    def _ended(self, problem: str) -> None:
        self.problem, self.verdicts = problem, tuple(self._coming)
        self._changed()

    def close(self) -> None:
        """Ends the process if it is still at work."""
        self._hearing.close()


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
