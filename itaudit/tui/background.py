"""Work off the UI's thread: in daemon threads, so that quitting never waits for any."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from textual.message_pump import MessagePump

from itaudit.errors import UserError

Step = TypeVar("Step")


class _Cancelled(Exception):
    """Ends work that nobody waits for any more."""


class Background(Generic[Step]):
    """Does one piece of work at a time; a new one takes the place of the last, of which nothing more is heard.

    What takes long in it must release the GIL (Arrow, NumPy, a child's pipe), or the screen stalls with it.
    """

    def __init__(self, node: MessagePump) -> None:
        self._node = node
        self._cancelled = threading.Event()
        self._busy = False

    @property
    def busy(self) -> bool:
        return self._busy

    def start(
        self,
        work: Callable[[Callable[[Step], None]], None],
        take: Callable[[Step], None],
        *,
        fail: Callable[[str], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Calls `work` with a function that reports a step, and ends it there once it is cancelled.

        Every step is handed to `take`, a UserError's text to `fail`, and the end to `done`, all on the UI's thread. An
        error of another kind is raised there, where it ends the app with its traceback.
        """
        self.cancel()
        cancelled = self._cancelled = threading.Event()
        self._busy = True

        def hand(callback: Callable[[], None], last: bool = False) -> None:
            def unless_cancelled() -> None:
                if not cancelled.is_set():
                    if last:
                        self._busy = False
                    callback()

            try:
                # Nothing is taken once the screen is gone.
                self._node.call_later(unless_cancelled)
            except RuntimeError:
                cancelled.set()

        def report(step: Step) -> None:
            if cancelled.is_set():
                raise _Cancelled
            hand(lambda: take(step))

        def run() -> None:
            try:
                work(report)
            except _Cancelled:
                return
            except UserError as error:
                text = str(error)
                hand(lambda: fail(text), last=True)
            except BaseException as error:  # noqa: BLE001  # handed on: a thread's own traceback would spoil the screen
                hand(_raising(error), last=True)
            else:
                hand(done, last=True)

        threading.Thread(target=run, daemon=True, name="itaudit-background").start()

    def cancel(self) -> None:
        """Drops the work at hand; it ends with its next step."""
        self._cancelled.set()
        self._busy = False


def _raising(error: BaseException) -> Callable[[], None]:
    def throw() -> None:
        raise error

    return throw
