import pytest
from hypothesis import given
from hypothesis import strategies as st

from itaudit.analysis.answers import parting, phrase_fate

OLD = "The Zamboni was invented by the Italian engineer Luigi Zamboni. He lived in Rome."


def fate(phrase: str, other: str) -> tuple[str, str | None]:
    start = OLD.index(phrase)
    found = phrase_fate(OLD, start, start + len(phrase), other)
    return found.fate, None if found.start is None else other[found.start : found.end]


@pytest.mark.parametrize(
    ("phrase", "other", "expected"),
    [
        ("Luigi Zamboni", "It was made by luigi\nZamboni, they say.", ("still said", "luigi\nZamboni")),
        ("Luigi Zamboni", "It was made by Frank Zamboni.", ("changed", None)),
        ("Luigi Zamboni", "Nobody knows.", ("gone", None)),
        ("Luigi Zamboni", "", ("gone", None)),
        # A common word that stays does not keep a phrase.
        ("invented by the Italian", "The machine was made by an American.", ("gone", None)),
        ("Italian engineer", "An engineer of Italian birth.", ("changed", None)),
        (".", "Yes. No", ("still said", ".")),
        (".", "Yes", ("gone", None)),
        ("the", "the one", ("still said", "the")),
        ("the", "an other", ("gone", None)),
    ],
)
def test_a_phrase_is_still_said_changed_or_gone(phrase: str, other: str, expected: tuple[str, str | None]) -> None:
    assert fate(phrase, other) == expected


def test_a_phrase_that_stands_twice_is_found_where_it_stood() -> None:
    other = f"Zamboni? {' '.join(['The machine'] * 5)} of Zamboni"
    start = OLD.rindex("Zamboni")
    found = phrase_fate(OLD, start, start + len("Zamboni"), other)
    assert (found.fate, found.start) == ("still said", other.rindex("Zamboni"))


@given(st.text(), st.text(), st.data())
def test_any_phrase_has_a_fate_and_a_place_only_where_it_is_said(old: str, new: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(old)))
    end = data.draw(st.integers(start, len(old)))
    found = phrase_fate(old, start, end, new)
    assert (found.start is not None) == (found.fate == "still said")
    if found.start is not None and found.end is not None:
        assert 0 <= found.start < found.end <= len(new)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [([1, 2, 3], [1, 2, 3], None), ([1, 2], [1, 3], 1), ([1, 2], [1, 2, 3], 2), ([1, 2], [1], 1), ([], [], None)],
)
def test_answers_part_at_the_first_other_token(first: list[int], second: list[int], expected: int | None) -> None:
    assert parting(first, second) == expected
