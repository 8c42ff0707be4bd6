"""Figures with intervals: they hold the truth as often as they say, and are told of the prompts that there are."""

import numpy as np
import pytest
from scipy.stats import binomtest

from itaudit.analysis.intervals import (
    CONFIDENCE,
    FEWEST,
    contrast,
    difference,
    estimate,
    means,
    pooled,
    quotient,
)
from itaudit.analysis.verdicts import UNTOLD, verdict


def drawn(rng: np.random.Generator, prompts: int, mean: float) -> dict[str, tuple[float, float]]:
    """KL and tokens of made-up prompts, whose lengths and levels differ."""
    tokens = rng.integers(5, 60, prompts)
    level = rng.gamma(2.0, mean / 2, prompts)
    return {str(i): (float(t * v), float(t)) for i, (t, v) in enumerate(zip(tokens, level, strict=True))}


def test_a_mean_of_values_is_their_mean() -> None:
    found = estimate(means({"a": 1.0, "b": 2.0, "c": 6.0, "d": 1.0, "e": 2.0, "f": 6.0}))
    assert (found.value, found.prompts) == (3.0, 6)
    assert found.low is not None and found.high is not None and found.low < 3.0 < found.high


def test_every_token_weighs_the_same() -> None:
    assert estimate({"a": (1.0, 1.0), "b": (0.0, 9.0)}).value == pytest.approx(0.1)


@pytest.mark.parametrize("prompts", [10, 40])
def test_the_interval_of_a_mean_over_tokens_holds_the_truth_about_as_often_as_it_says(prompts: int) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        found = estimate(drawn(rng, prompts, 0.5))
        held += found.low is not None and found.high is not None and found.low <= 0.5 <= found.high
    assert 0.86 <= held / 200 <= 0.99


@pytest.mark.parametrize("prompts", [6, 10, 25])
def test_a_difference_between_two_of_a_kind_is_seldom_seen(prompts: int) -> None:
    rng = np.random.default_rng(2)
    seen = sum(difference(drawn(rng, prompts, 0.5), drawn(rng, prompts, 0.5)).apart_from(0) for _ in range(200))
    assert seen <= 20


def test_pairs_are_resampled_together() -> None:
    rng = np.random.default_rng(3)
    first = {str(i): (float(v), 1.0) for i, v in enumerate(rng.normal(10, 5, 30))}
    second = {prompt_id: (value + 0.5, 1.0) for prompt_id, (value, _) in first.items()}
    found = difference(second, first)
    assert found.value == pytest.approx(0.5) and found.low == pytest.approx(0.5) and found.apart_from(0)


def test_only_prompts_that_both_have_are_compared() -> None:
    assert difference(means({"a": 1.0, "b": 2.0}), means({"b": 1.0, "c": 50.0})).value == 1.0


def test_a_quotient_of_equals_is_one() -> None:
    totals = drawn(np.random.default_rng(4), 20, 1.0)
    found = quotient(totals, totals)
    assert found.value == 1.0 and not found.apart_from(1)


def test_nothing_to_divide_by_is_no_figure() -> None:
    assert estimate({}).value is None
    assert quotient(means({"a": 1.0, "b": 1.0}), means({"a": 0.0, "b": 0.0})).value is None


@pytest.mark.parametrize("prompts", range(1, 8))
def test_fewer_than_six_prompts_have_no_interval_and_show_no_difference(prompts: int) -> None:
    first = means({str(number): 9.0 + number for number in range(prompts)})
    second = means({str(number): number / 2 for number in range(prompts)})
    enough = prompts >= 6
    for found in (estimate(first), difference(first, second), quotient(first, second)):
        assert found.value is not None or prompts == 1
        assert found.prompts == prompts and (found.low is not None) == (found.high is not None) == enough
        assert found.apart_from(0) == enough
    assert verdict(difference(first, second), 0, "more", "less") == ("more" if enough else UNTOLD)


def test_that_fewer_all_lie_on_one_side_is_chance_too_often_to_be_a_difference() -> None:
    assert binomtest(FEWEST - 1, FEWEST - 1).pvalue > 1 - CONFIDENCE > binomtest(FEWEST, FEWEST).pvalue


def test_seeds_add_up_prompt_by_prompt() -> None:
    assert pooled([{"a": (1.0, 2.0)}, {"a": (3.0, 4.0), "b": (5.0, 6.0)}]) == {"a": (4.0, 6.0), "b": (5.0, 6.0)}


def test_a_contrast_is_a_difference_of_differences() -> None:
    first, second = means({"a": 5.0, "b": 7.0}), means({"a": 1.0, "b": 2.0})
    third, fourth = means({"a": 2.0, "b": 3.0}), means({"a": 1.0, "b": 1.0})
    found = contrast([(1, first), (-1, second), (-1, third), (1, fourth)])
    assert found.value == pytest.approx(6 - 1.5 - 2.5 + 1)
    assert contrast([(1, first), (-1, second)]) == difference(first, second)


def test_prompts_that_all_say_the_same_have_no_interval() -> None:
    alike = {str(number): (0.0, 3.0 + number) for number in range(8)}
    found = estimate(alike)
    assert (found.value, found.low, found.high, found.prompts) == (0.0, None, None, 8)
    assert estimate(alike | {"7": (1.0, 9.0)}).low is not None
