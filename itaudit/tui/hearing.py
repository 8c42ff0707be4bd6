"""A process beside the screen, heard in turns that cost the screen no waiting."""

from collections.abc import Callable
from typing import Any

from textual.message_pump import MessagePump
from textual.timer import Timer

from itaudit.data.child import Child

LISTEN = 0.1
"""Seconds between two looks at what the process has said."""


class Hearing:
    """Hears one process at a time, which ends with `{"done": true}`, or with `{"problem": LINE}` where it fails.

    `heard` is told what else it said since the last look. `ended` is called once it is gone, with a line on what went
    wrong, or an empty one. `does` says in words what the process does, for the case that it dies.
    """

    def __init__(
        self,
        node: MessagePump,
        does: str,
        heard: Callable[[list[dict[str, Any]]], None],
        ended: Callable[[str], None],
    ) -> None:
        self._node, self._does = node, does
        self._heard, self._ended = heard, ended
        self._child: Child | None = None
        self._timer: Timer | None = None
        self._done, self._problem = False, ""

    @property
    def busy(self) -> bool:
        return self._child is not None

    @property
    def pid(self) -> int:
        """The process that is heard; 0 where there is none."""
        return 0 if self._child is None else self._child.pid

    def start(self, module: str, argument: str, every: float = LISTEN) -> None:
        """Starts `python -m MODULE ARGUMENT`, and looks at it every so many seconds."""
        self.close()
        self._done, self._problem = False, ""
        self._child = Child(module, [argument])
        self._timer = self._node.set_interval(every, self._listen)

    def _listen(self) -> None:
        if self._child is None:
            return
        said = []
        for message in self._child.messages():
            if "problem" in message:
                self._problem = str(message["problem"])
            elif "done" in message:
                self._done = True
            else:
                said.append(message)
        if said:
            self._heard(said)
        if self._child is not None and self._child.ended:
            died = "" if self._done else f"the process that {self._does} {self._child.last_words()}"
            self.close()
            self._ended(self._problem or died)

    def close(self) -> None:
        """Ends the process if it is still at work, and lets go of it."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._child is not None:
            self._child.close()
            self._child = None
