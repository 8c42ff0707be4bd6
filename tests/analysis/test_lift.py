"""Lift, its interval and its p-value: worked cases, edges without numbers, and intervals that hold their level."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from itaudit.analysis.lift import lift, permutation_p, studentised


def test_the_lift_is_the_quotient_of_the_totals_and_lies_in_its_interval() -> None:
    told = lift([3, 1, 2, 0, 3, 1], [1.5, 0.5, 1.0, 0.5, 1.0, 0.5])
    assert (told.observed, told.expected, told.prompts, told.lift) == (10, 5, 6, 2)
    assert told.low is not None and told.high is not None
    assert 0 < told.low < 2 < told.high


def test_the_same_seed_gives_the_same_interval_and_another_a_near_one() -> None:
    rng = np.random.default_rng(0)
    found, chance = rng.poisson(3, 60), rng.uniform(1, 3, 60)
    first, again, other = lift(found, chance, seed=1), lift(found, chance, seed=1), lift(found, chance, seed=2)
    assert first == again
    assert (other.low, other.high) == pytest.approx((first.low, first.high), rel=0.05)


def test_fewer_prompts_make_a_wider_interval() -> None:
    few, many = lift([3, 1] * 3, [1.5, 1] * 3), lift([3, 1] * 30, [1.5, 1] * 30)
    assert few.low is not None and few.high is not None and many.low is not None and many.high is not None
    assert few.high - few.low > 2 * (many.high - many.low)


def test_draws_that_vary_together_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    expected = np.ones(40)
    apart = rng.poisson(1, (40, 999))
    together = np.tile(rng.poisson(1, 999), (40, 1)) * 0.3 + apart * 0.7
    found = rng.poisson(1, 40)
    narrow, wide = lift(found, expected, nulls=[apart]), lift(found, expected, nulls=[apart, together])
    assert narrow.low is not None and narrow.high is not None and wide.low is not None and wide.high is not None
    assert wide.low < narrow.low and narrow.high < wide.high


@pytest.mark.parametrize(
    ("observed", "expected", "quotient", "reason"),
    [
        ([], [], None, "nothing to observe"),
        ([0, 0], [0, 0], None, "chance finds nothing"),
        ([2, 1], [0, 0], None, "chance finds nothing"),
        ([0, 0, 0], [1, 0.5, 0], 0.0, "nothing is found"),
        ([2], [1], 2.0, "fewer than 6 prompts"),
        ([3, 1, 2, 0, 4], [1.5, 0.5, 1.0, 0.5, 1.5], 2.0, "fewer than 6 prompts"),
        ([1, 0, 0, 0, 0, 0], [0.5, 0, 0, 0, 0, 0], 2.0, "chance finds anything in too few prompts"),
    ],
)
def test_what_cannot_be_told_is_none_with_its_reason(
    observed: list[float], expected: list[float], quotient: float | None, reason: str
) -> None:
    told = lift(observed, expected)
    assert (told.lift, told.low, told.high, told.reason) == (quotient, None, None, reason)
    json.dumps(asdict(told), allow_nan=False)


def test_prompts_alike_have_an_interval_of_one_point_and_no_nan() -> None:
    told = lift([2] * 6, [1] * 6, nulls=[np.ones((6, 99))])
    assert (told.low, told.lift, told.high) == (2, 2, 2)
    json.dumps(asdict(told), allow_nan=False)


def test_prompts_that_vary_less_than_chance_does_have_no_interval() -> None:
    rng = np.random.default_rng(0)
    chance = np.tile(rng.uniform(0.2, 4, 199), (6, 1)) + rng.random((6, 199)) / 99
    told = lift([3, 3, 3, 3, 3, 3.1], [1] * 6, nulls=[chance])
    assert told.lift == pytest.approx(18.1 / 6)
    assert (told.low, told.high, told.reason) == (None, None, "too few unlike prompts")


def test_the_p_value_counts_the_observed_among_the_draws() -> None:
    assert permutation_p(3, [1, 2, 3, 4]) == 3 / 5
    assert permutation_p(5, [1, 2, 3, 4]) == 1 / 5
    assert permutation_p(0.1 + 0.2, [0.3]) == 1
    assert permutation_p(math.inf, [math.inf, 0, 1]) == 2 / 4
    assert permutation_p(-math.inf, [0, 1]) == 1


def test_studentised_sums_by_hand() -> None:
    values = np.array([[1.0, 1.0, 0.0, -1.0], [3.0, 1.0, 0.0, -1.0]])
    found = studentised(values)
    assert found[0] == pytest.approx(4 / math.sqrt(2))
    assert found[1:].tolist() == [math.inf, 0, -math.inf]
    assert studentised(np.array([[2.0, -1.0]])).tolist() == [2, -1]


@pytest.mark.slow
def test_intervals_of_unlike_prompts_hold_the_truth_in_about_95_of_100_samples() -> None:
    rng = np.random.default_rng(3)
    held = []
    for seed in range(150):
        size = rng.integers(1, 30, 20)
        told = lift(rng.binomial(size, 0.3), size * 0.3, nulls=[rng.binomial(size[:, None], 0.3, (20, 199))], seed=seed)
        assert told.low is not None and told.high is not None
        held.append(told.low <= 1 <= told.high)
    # 99.9 % of the numbers of hits among 150 lie between these.
    assert 133 <= sum(held) <= 150
