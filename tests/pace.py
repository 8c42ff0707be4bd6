"""How long work takes, told apart from how fast the machine is and from what else runs on it."""

import time
from collections.abc import Callable

_USUAL = 0.0125
"""CPU seconds that `_errand` takes on a machine of the usual kind."""


def cpu_seconds(work: Callable[[], object], times: int = 3) -> float:
    """CPU time of this process for one call, the least of some."""
    took = []
    for _ in range(times):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def slowness() -> float:
    """How many times slower this machine is now than the usual one; 1 where it is faster."""
    return max(1.0, cpu_seconds(_errand) / _USUAL)


def _errand() -> int:
    counts: dict[str, int] = {}
    for number in range(100_000):
        word = str(number * 7919 % 1009)
        counts[word] = counts.get(word, 0) + len(word)
    return sum(counts.values())
