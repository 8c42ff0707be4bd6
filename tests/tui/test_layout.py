"""Laying out text in cells loses, doubles and overfills nothing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from itaudit.sanitize import visible
from itaudit.tui.layout import NARROWEST, bar, line_at, shortened, text_cells, wrap

TEXTS = st.text(
    st.one_of(
        st.sampled_from("ab \n\t語🙂é\u0301\u200d\u202e\x00[/]"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=120,
)


@given(TEXTS, st.integers(NARROWEST, 30))
def test_every_character_stands_in_exactly_one_line(text: str, width: int) -> None:
    lines = wrap(visible(text), width)
    assert lines[0].start == 0 and lines[-1].end == len(text)
    assert all(before.end == after.start for before, after in pairwise(lines))
    assert all(line.end > line.start for line in lines) or not text


@given(TEXTS, st.integers(NARROWEST, 30))
def test_no_line_is_wider_than_asked_and_its_cells_are_what_the_terminal_takes(text: str, width: int) -> None:
    shown = visible(text)
    for line in wrap(shown, width):
        drawn = shown[line.start : line.end].replace("\n", "↵")
        assert line.cells == cell_len(drawn) <= width


@given(TEXTS, st.integers(NARROWEST, 30))
def test_line_feeds_end_lines_and_only_the_last_line_may_be_without(text: str, width: int) -> None:
    shown = visible(text)
    for line in wrap(shown, width):
        assert "\n" not in shown[line.start : line.end - 1]


@given(TEXTS.filter(bool), st.integers(NARROWEST, 30), st.data())
def test_the_line_found_for_a_character_holds_it(text: str, width: int, data: st.DataObject) -> None:
    lines = wrap(visible(text), width)
    offset = data.draw(st.integers(0, len(text) - 1))
    line = lines[line_at(lines, offset)]
    assert line.start <= offset < line.end


def test_words_stay_whole_where_they_fit() -> None:
    text = "the quick brown fox"
    assert [text[line.start : line.end] for line in wrap(text, 10)] == ["the quick ", "brown fox"]


def test_a_word_longer_than_the_line_is_cut_and_wide_characters_part_anywhere() -> None:
    assert [line.cells for line in wrap("a" * 25, 10)] == [10, 10, 5]
    assert [line.cells for line in wrap("語" * 6, 5)] == [4, 4, 4]


@given(TEXTS, st.integers(1, 20))
def test_a_shortened_text_fits_and_says_that_it_is_shortened(text: str, width: int) -> None:
    line = visible(text).replace("\n", "↵")
    short = shortened(line, width)
    assert text_cells(short) <= width
    assert short == line if text_cells(line) <= width else short.endswith("…")


def test_bars_grow_with_the_share_and_stay_within_their_width() -> None:
    assert bar(0, 8) == "" and bar(1, 8) == "█" * 8 and bar(2, 8) == "█" * 8
    assert bar(0.5, 1) == "▌"
