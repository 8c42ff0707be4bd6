"""Work off the UI's thread: in daemon threads, so that quitting never waits for any."""

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from textual.message_pump import MessagePump

from itaudit.errors import UserError

Step = TypeVar("Step")


class Background(Generic[Step]):
    """Runs one iterator at a time; a new one takes the place of the last, of which nothing more is heard.

    What the work calls must release the GIL (Arrow, NumPy, a child's pipe), or the screen stalls with it.
    """

    def __init__(self, node: MessagePump) -> None:
        self._node = node
        self._cancel = threading.Event()
        self._busy = False

    @property
    def busy(self) -> bool:
        return self._busy

    def start(
        self,
        work: Callable[[], Iterator[Step]],
        take: Callable[[Step], None],
        *,
        fail: Callable[[str], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Hands every step to `take`, a UserError's text to `fail`, and the end to `done`, all on the UI's thread.

        An error of another kind is raised there, where it ends the app with its traceback.
        """
        self.cancel()
        cancelled = self._cancel = threading.Event()
        self._busy = True
        threading.Thread(target=self._run, args=(work, take, fail, done, cancelled), daemon=True).start()

    def cancel(self) -> None:
        """Drops the work at hand; it stops at its next step."""
        self._cancel.set()
        self._busy = False

    def _run(
        self,
        work: Callable[[], Iterator[Step]],
        take: Callable[[Step], None],
        fail: Callable[[str], None],
        done: Callable[[], None],
        cancelled: threading.Event,
    ) -> None:
        def hand(callback: Callable[[], None], last: bool = False) -> None:
            def unless_cancelled() -> None:
                if not cancelled.is_set():
                    if last:
                        self._busy = False
                    callback()

            # False, or a closed loop, once the screen is gone: then nobody wants to know.
            try:
                self._node.call_later(unless_cancelled)
            except RuntimeError:
                cancelled.set()

        try:
            for step in work():
                if cancelled.is_set():
                    return
                hand(lambda step=step: take(step))  # type: ignore[misc]  # mypy infers no type for the default
        except UserError as error:
            text = str(error)
            hand(lambda: fail(text), last=True)
        except BaseException as error:  # noqa: BLE001  # handed on: a thread's own traceback would spoil the screen
            caught = error

            def raised() -> None:
                raise caught

            hand(raised, last=True)
        else:
            hand(done, last=True)
