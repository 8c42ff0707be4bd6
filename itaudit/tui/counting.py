"""What takes long to count of a dataset: in a child process where the source can be read there, else in a thread."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.message_pump import MessagePump
from textual.timer import Timer

from itaudit.tui.background import Background
from itaudit.tui.pace import repaint_seconds

if TYPE_CHECKING:
    from itaudit.data.compute import Computing

Result = TypeVar("Result")


class Counting(Generic[Result]):
    """One count at a time. `take` has the result, `fail` one line, `tell` the share that is done, 0 to 1."""

    def __init__(
        self,
        node: MessagePump,
        take: Callable[[Result], None],
        *,
        fail: Callable[[str], None],
        tell: Callable[[float], None],
    ) -> None:
        self._node = node
        self._take = take
        self._fail = fail
        self._tell = tell
        self._computing: Computing[Result] | None = None  # type: ignore[type-var]  # one of the two that there are
        self._timer: Timer | None = None
        self._thread: Background[float | tuple[Result]] = Background(node)

    @property
    def busy(self) -> bool:
        return self._computing is not None or self._thread.busy

    def start_child(self, computing: "Computing[Result]") -> None:  # type: ignore[type-var]  # as above
        """Hears from a process that counts."""
        self.close()
        self._computing = computing
        self._tell(0.0)
        self._timer = self._node.set_interval(repaint_seconds(), self._poll)

    def start_thread(self, count: Callable[[Callable[[float], None]], Result]) -> None:
        """Counts beside the screen; `count` is given what to tell of its progress."""
        self.close()
        self._tell(0.0)

        def work(report: Callable[[float | tuple[Result]], None]) -> None:
            report((count(report),))

        self._thread.start(work, self._step, fail=self._fail)

    def _step(self, step: float | tuple[Result]) -> None:
        if isinstance(step, tuple):
            self._take(step[0])
        else:
            self._tell(step)

    def _poll(self) -> None:
        computing = self._computing
        if computing is None or not computing.poll():
            return
        if computing.result is not None:
            result = computing.result
            self.close()
            self._take(result)
        elif computing.problem:
            problem = computing.problem
            self.close()
            self._fail(problem)
        else:
            self._tell(computing.share)

    def close(self) -> None:
        """Drops the count at hand."""
        self._thread.cancel()
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._computing is not None:
            self._computing.close()
            self._computing = None
