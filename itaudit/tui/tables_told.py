"""Tables of results, heard from a process beside the screen."""

from collections.abc import Callable

from textual.message_pump import MessagePump
from textual.timer import Timer

from itaudit.analysis.table import Table
from itaudit.data.child import Child
from itaudit.report.told import table_of

_LISTEN = 0.1
"""Seconds between two looks at what the process has said."""


class TablesTold:
    """The tables that were asked for last, by name. `changed` is called whenever there are others to show."""

    def __init__(self, node: MessagePump, changed: Callable[[], None]) -> None:
        self._node = node
        self._changed = changed
        self._child: Child | None = None
        self._timer: Timer | None = None
        self._hearing: dict[str, Table] = {}
        self._said_all = False
        self._asked: object = None
        self.tables: dict[str, Table] = {}
        self.problem = ""

    @property
    def busy(self) -> bool:
        return self._child is not None

    def ask(self, request: str, stamp: object = None) -> None:
        """Asks, unless the same was asked at the same `stamp`, which changes whenever there is more to tell."""
        if self._asked == (request, stamp) or self.busy:
            return
        self._asked = (request, stamp)
        self._hearing, self._said_all, self.problem = {}, False, ""
        self._child = Child("itaudit.report.told", [request])
        self._timer = self._node.set_interval(_LISTEN, self._listen)

    def _listen(self) -> None:
        if self._child is None:
            return
        came = False
        for message in self._child.messages():
            if "table" in message:
                table = table_of(message["table"])
                self._hearing[table.name] = table
                came = True
            elif "problem" in message:
                self.problem = message["problem"]
            else:
                self._said_all = True
        if self._child.ended:
            if self._said_all:
                self.tables = self._hearing
            elif not self.problem:
                self.problem = f"the process that counts {self._child.last_words()}"
            self.close()
            self._changed()
        elif came and self.tables.keys() <= self._hearing.keys():
            # What was counted before stands until there is as much again.
            self.tables = dict(self._hearing)
            self._changed()

    def close(self) -> None:
        """Lets go of the process."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._child is not None:
            self._child.close()
            self._child = None
