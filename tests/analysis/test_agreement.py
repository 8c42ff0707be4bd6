"""Krippendorff's alpha over words, checked against its own textbook case, and told apart where there is none."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.analysis.agreement import agreement, pair_agreements


def yes_no(text: str) -> list[bool | None]:
    return [{"1": True, "0": False, ".": None}[character] for character in text]


def test_the_textbooks_binary_example() -> None:
    """Krippendorff, Computing Krippendorff's alpha-reliability (2011), A: alpha = 0.095."""
    found = agreement({"A": yes_no("0100000000"), "B": yes_no("1110010010")})
    assert found.alpha == pytest.approx(0.095, abs=5e-4)
    assert found.agreed == pytest.approx(0.6)
    assert found.units == 10


def test_words_that_only_one_looked_at_do_not_count() -> None:
    found = agreement({"A": yes_no("0101...."), "B": yes_no("0101..11"), "C": yes_no("....1...")})
    assert (found.units, found.alpha, found.agreed) == (4, 1.0, 1.0)


@pytest.mark.parametrize(
    ("ratings", "reason"),
    [
        ({"A": "000", "B": "000"}, "nobody flags a word"),
        ({"A": "11.", "B": "111"}, "everybody flags every word"),
        ({"A": "1..", "B": ".01"}, "no word was looked at by two of them"),
        ({"A": "", "B": ""}, "no word was looked at by two of them"),
        ({"A": "101"}, "no word was looked at by two of them"),
        ({}, "no word was looked at by two of them"),
    ],
)
def test_where_alpha_is_not_defined_it_is_none_with_a_reason(ratings: dict[str, str], reason: str) -> None:
    found = agreement({name: yes_no(values) for name, values in ratings.items()})
    assert found.alpha is None
    assert found.reason == reason


def test_pairs_say_who_flags_alone() -> None:
    first, second, third = pair_agreements({"A": yes_no("1100"), "B": yes_no("101."), "C": yes_no("....")})
    assert first.agreement.raters == ("A", "B")
    assert (first.both, first.only_first, first.only_second) == (1, 1, 1)
    assert second.agreement.raters == ("A", "C")
    assert second.agreement.alpha is third.agreement.alpha is None


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 12).flatmap(
        lambda units: st.lists(
            st.lists(st.sampled_from([True, False, None]), min_size=units, max_size=units), min_size=0, max_size=4
        )
    )
)
def test_alpha_is_never_nan_and_is_one_just_where_all_agree(rows: list[list[bool | None]]) -> None:
    found = agreement({str(number): row for number, row in enumerate(rows)})
    if found.alpha is None:
        assert found.reason
    else:
        assert math.isfinite(found.alpha)
        assert found.alpha <= 1 + 1e-12
        assert (found.agreed == 1) == (found.alpha == pytest.approx(1))
