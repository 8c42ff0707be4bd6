"""How values of tables read."""

import pytest

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, shown

KL = Column("kl", "KL (nats)")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.939, "0.939"),
        (0.0301, "0.030"),
        (0.0042, "0.0042"),
        (0.000237, "0.00024"),
        (0.0, "0.000"),
        (3e-17, "0.000"),
        (None, "–"),
        (Estimate(0.000237, 0.000177, 0.000312, 32), "0.00024 (0.00018 to 0.00031)"),
        (Estimate(0.0042, 0.0034, 0.0113, 32), "0.004 (0.003 to 0.011)"),
        (Estimate(0.5, prompts=1), "0.500"),
    ],
)
def test_a_small_number_still_tells_something(value: float | Estimate | None, text: str) -> None:
    assert shown(value, KL) == text


def test_a_difference_near_none_keeps_its_digits() -> None:
    assert shown(Estimate(0.0001, -0.08, 0.07, 9), Column("d", "", "difference")) == "+0.000 (-0.080 to +0.070)"
    assert shown(0.00001, Column("d", "", "difference")) == "+0.000"


def test_a_difference_of_shares_reads_in_percentage_points() -> None:
    above = Column("above", "", "points")
    assert shown(0.05, above) == "+5.0 pp" and shown(-0.0625, Column("d", "", "points", 2)) == "-6 pp"
    assert shown(Estimate(0.163, -0.062, 0.275, 80), above) == "+16.3 pp (-6.2 to +27.5)"
    assert shown(None, above) == "–" and shown(Estimate(0.05, prompts=1), above) == "+5.0 pp"


def test_kinds_read_as_they_say() -> None:
    assert shown(0.1234, Column("s", "", "share")) == "12.3 %"
    assert shown(1234, Column("n", "", "count")) == "1,234"
    assert shown(3.166, Column("t", "", "times", 2)) == "3.17 ×"
    # The unit stands once, and the interval is the narrower for it.
    assert shown(Estimate(0.062, 0.012, 0.125, 80), Column("s", "", "share")) == "6.2 % (1.2 to 12.5)"
    assert shown(Estimate(2.2, 1.8, 2.6, 80), Column("t", "", "times", 2)) == "2.20 × (1.80 to 2.60)"
