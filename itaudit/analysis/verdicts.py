"""What is said of a comparison in words: a difference inside its interval is not called one."""

from itaudit.analysis.intervals import Estimate

NOT_APART = "not apart"
"""What is said of a comparison whose interval holds that there is no difference."""
UNTOLD = "can't be told"
"""What is said where there are too few prompts for an interval, or to believe one that leaves out no difference."""
FEWEST = 6
"""The least prompts that a difference is told from. Even if fewer all differ alike, a sign test is above 5 %; and a
bootstrap can't reach beyond what it has: of two prompts it leaves out the truth every other time, of five every tenth.
"""


def differs(told: Estimate, null: float) -> bool:
    """Whether the interval leaves out `null`, of as many prompts as that takes."""
    return told.prompts >= FEWEST and told.apart_from(null)


def verdict(told: Estimate, null: float, above: str, below: str) -> str:
    """`above` or `below`, or that the two are not apart where the interval holds `null`."""
    if told.value is None or told.low is None:
        return UNTOLD
    if not told.apart_from(null):
        return NOT_APART
    if not differs(told, null):
        return UNTOLD
    return above if told.value > null else below
