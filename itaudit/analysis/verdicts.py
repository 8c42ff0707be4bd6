"""What is said of a comparison in words: a difference inside its interval is not called one."""

from itaudit.analysis.intervals import Estimate

NOT_APART = "not apart"
"""What is said of a comparison whose interval holds that there is no difference."""
UNTOLD = "too few prompts"
"""What is said of a comparison without an interval; see `intervals.FEWEST`."""


def verdict(told: Estimate, null: float, above: str, below: str) -> str:
    """`above` or `below`, or that the two are not apart where the interval holds `null`."""
    if told.value is None or told.low is None:
        return UNTOLD
    if not told.apart_from(null):
        return NOT_APART
    return above if told.value > null else below
