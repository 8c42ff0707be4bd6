"""Numbers as people read them."""

import pytest

from itaudit.units import age_text, bar, duration_text, kl_text, pace_text, plural, size_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (41, "41 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (4320, "1 h 12 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "now"), (59, "now"), (60, "1 min ago"), (7300, "2 h ago"), (90000, "1 d ago")]
)
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (139 * 2**30, "139 GiB"), (3 * 2**40, "3.0 TiB")],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(2.14, "2.1/s"), (1234.5, "1,234/s"), (0.25, "4.0 s each"), (0.01, "1 min 40 s each")]
)
def test_paces(rate: float, text: str) -> None:
    assert pace_text(rate) == text


def test_bars_and_plurals() -> None:
    assert [bar(share, 4) for share in (-1, 0, 0.5, 1, 9)] == ["────", "────", "━━──", "━━━━", "━━━━"]
    assert [plural(unit) for unit in ("step", "prompts", "")] == ["steps", "prompts", ""]


@pytest.mark.parametrize(
    ("kl", "digits", "text"),
    [(0.648, 3, "0.648"), (0.00024, 3, "<0.001"), (0.00024, 2, "<0.01"), (0.0005, 3, "0.001"), (0.0, 3, "0.000")],
)
def test_a_small_kl_does_not_read_as_none(kl: float, digits: int, text: str) -> None:
    assert kl_text(kl, digits) == text
    assert kl_text(-1e-17, 3).lstrip("-") == "0.000", "what is left of rounding"
