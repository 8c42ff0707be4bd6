"""Waiting for what processes and threads do in their own time, however slow the machine is."""

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds after which something that is waited for will never come: many times what the slowest machine takes."""


def until(condition: Callable[[], object], told: Callable[[], object] = lambda: "", seconds: float = PATIENCE) -> None:
    """Waits until a condition holds; says what `told` gives where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, told()
        time.sleep(0.01)
