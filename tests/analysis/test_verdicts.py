"""Nothing is called a difference that is none more than every twentieth time, however few prompts there are."""

import numpy as np
import pytest

from itaudit.analysis.intervals import Estimate, difference, means
from itaudit.analysis.verdicts import NOT_APART, UNTOLD, verdict


def told(estimate: Estimate, null: float = 0) -> str:
    return verdict(estimate, null, "above", "below")


def test_a_verdict_goes_by_the_interval() -> None:
    assert told(Estimate(0.2, 0.1, 0.3, 20)) == "above"
    assert told(Estimate(-0.2, -0.3, -0.1, 20)) == "below"
    assert told(Estimate(0.2, 0.0, 0.4, 20)) == NOT_APART
    assert told(Estimate(0.8, 0.7, 0.9, 20), 1) == "below"
    assert told(Estimate(None, prompts=20)) == told(Estimate(0.3, prompts=1)) == UNTOLD


@pytest.mark.parametrize("prompts", [2, 3, 5, 6, 10])
def test_two_of_a_kind_are_seldom_called_apart_however_few_the_prompts(prompts: int) -> None:
    rng = np.random.default_rng(prompts)
    apart = 0
    for _ in range(200):
        first, second = rng.normal(size=(2, prompts))
        both = (means({str(n): value for n, value in enumerate(side)}) for side in (first, second))
        apart += told(difference(*both)) in ("above", "below")
    assert apart / 200 <= 0.09
