"""Tables of results, heard from a process beside the screen."""

from collections.abc import Callable
from typing import Any

from textual.message_pump import MessagePump

from itaudit.analysis.table import Table
from itaudit.report.told import table_of
from itaudit.runs.left_out import LeftOut, merged
from itaudit.tui.hearing import Hearing


class TablesTold:
    """The tables that were asked for last, by name, and what is left out of them.

    `changed` is called whenever there are others to show.
    """

    def __init__(self, node: MessagePump, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._hearing = Hearing(node, "counts", self._heard, self._ended)
        self._coming: dict[str, Table] = {}
        self._missing: list[LeftOut] = []
        self._asked: object = None
        self.tables: dict[str, Table] = {}
        self.left_out: tuple[LeftOut, ...] = ()
        self.problem = ""

    @property
    def busy(self) -> bool:
        return self._hearing.busy

    def ask(self, request: str, stamp: object = None) -> None:
        """Asks, unless the same was asked at the same `stamp`, which changes whenever there is more to tell."""
        if self._asked == (request, stamp) or self.busy:
            return
        self._asked = (request, stamp)
        self._coming, self._missing, self.problem = {}, [], ""
        self._hearing.start("itaudit.report.told", request)

    def _heard(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if "table" in message:
                table = table_of(message["table"])
                self._coming[table.name] = table
            else:
                self._missing.append(LeftOut.of_json(message["left_out"]))
        if self.tables.keys() <= self._coming.keys():
            # What was counted before stands until there is as much again.
            self._take()
            self._changed()

    def _ended(self, problem: str) -> None:
        self.problem = problem
        if not problem:
            self._take()
        self._changed()

    def _take(self) -> None:
        self.tables, self.left_out = dict(self._coming), merged(self._missing)

    def close(self) -> None:
        """Lets go of the process."""
        self._hearing.close()
