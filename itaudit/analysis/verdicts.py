"""What is said of a comparison in words: a difference inside its interval is not called one."""

from itaudit.analysis.intervals import Estimate

NOT_APART = "not apart"
"""What is said of a comparison whose interval holds that there is no difference."""
UNTOLD = "can't be told"
"""What is said where there are too few prompts for an interval."""
FEWEST_ALIKE = 6
"""Prompts that must all differ alike before that is called a difference: a sign test of fewer is above 5 %, and a
bootstrap of equal values has no width."""


def verdict(told: Estimate, null: float, above: str, below: str) -> str:
    """`above` or `below`, or that the two are not apart where the interval holds `null`."""
    if told.value is None or told.low is None:
        return UNTOLD
    if told.value != null and told.low == told.high and told.prompts < FEWEST_ALIKE:
        return UNTOLD
    if not told.apart_from(null):
        return NOT_APART
    return above if told.value > null else below
