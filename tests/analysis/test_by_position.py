"""Shift by position, against sums by hand."""

import numpy as np
import pytest

from itaudit.analysis.by_position import by_position
from itaudit.analysis.shift import Thresholds


def test_the_first_positions_stand_alone_and_later_ones_are_taken_together() -> None:
    found = by_position([[0] * 40] * 6, None)
    assert found.starts[:6] == (0, 1, 2, 3, 4, 5)
    assert found.ends[-1] >= 40 and found.starts[-1] < 40
    lengths = np.subtract(found.ends, found.starts)
    assert (np.diff(lengths) >= 0).all() and lengths[-1] > 3


def test_each_position_weighs_the_same() -> None:
    ranks = [[0, 3, 0], [5, 3, 0], [1, 0], [2, 9], [0, 3]]
    found = by_position(ranks, [[1.0, 2.0, 3.0], [3.0, 2.0, 5.0], [0.0, 1.0], [0.0, 1.0], [1.0, 4.0]])
    assert found.answers == (5, 5)
    assert found.shares["shifted"] == (1 / 5, 4 / 5)
    assert found.shares["marginal"] == (2 / 5, 0.0)
    assert found.kl == pytest.approx((1.0, 2.0))


def test_a_position_that_few_answers_reach_is_not_told() -> None:
    """The third is reached by two answers, of more than five."""
    assert by_position([[0] * 3] * 2 + [[0] * 2] * 5, None).starts == (0, 1)
    assert by_position([[0] * 3] * 2, None).starts == (0, 1, 2)


def test_classes_follow_the_thresholds() -> None:
    found = by_position([[4]], None, Thresholds(marginal=2, shifted=9))
    assert found.shares["marginal"] == (1.0,) and found.kl is None


@pytest.mark.parametrize("ranks", [[], [[]], [[], []]])
def test_nothing_is_told_of_empty_answers(ranks: list[list[int]]) -> None:
    found = by_position(ranks, [[] for _ in ranks])
    assert found.starts == () and found.kl == () and found.shares["shifted"] == ()
