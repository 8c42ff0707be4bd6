"""Texts in an editor: what is shown, and that nothing is lost on the way back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.document._document import Document

from itaudit.errors import UserError
from itaudit.sanitize import visible
from itaudit.tui.editor_text import EditorText
from tests.tui.harness import HOSTILE

HARD = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.sampled_from("\r\n\t\x00\x1b\x0b\x0c\x1c\x85\u2028\u2029\u00a0\u200b\u202e\u0301␛␍⌶a b"),
    ),
    max_size=60,
)


@given(HARD)
@settings(max_examples=300, deadline=None)
def test_a_text_comes_back_as_it_was_from_an_editor(raw: str) -> None:
    try:
        text = EditorText(raw)
    except UserError:
        return
    held = Document(text.shown).text
    assert held == text.shown
    assert text.raw_of(held) == raw


@given(HARD, HARD, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_what_is_typed_changes_nothing_around_it(raw: str, typed: str, place: int) -> None:
    try:
        text = EditorText(raw)
        put = text.shown_of(typed)
    except UserError:
        return
    place = min(place, len(text.shown))
    shown = text.shown[:place] + put + text.shown[place:]
    made = text.raw_of(shown)
    # The start and the end that were not touched stand there as they were.
    before, after = text.raw_of(text.shown[:place] + "|").rpartition("|")[0], raw
    assert made.startswith(before)
    if place:
        after = raw[len(before) :]
        assert made.endswith(after) or text.crlf


@given(HARD)
@settings(max_examples=200, deadline=None)
def test_nothing_that_a_terminal_would_obey_is_shown(raw: str) -> None:
    try:
        shown = EditorText(raw, one_line=True).shown
    except UserError:
        return
    assert not any(character in shown for character in "\x1b\x00\r\n\x0b\x0c\u202e\u200b\u2028")


def test_line_ends_of_one_kind_are_kept_for_lines_that_are_added() -> None:
    text = EditorText("one\r\ntwo\r\n")
    assert text.shown == "one\ntwo\n"
    assert text.raw_of("one\nand\ntwo\n") == "one\r\nand\r\ntwo\r\n"
    assert "CR LF" in text.explained()


def test_line_ends_of_several_kinds_are_shown_and_kept() -> None:
    raw = "one\r\ntwo\nthree\rfour"
    text = EditorText(raw)
    assert text.shown == "one␍\ntwo\nthree␍four"
    assert text.raw_of(text.shown + "!") == raw + "!"


def test_a_mark_that_the_text_holds_already_is_not_taken() -> None:
    text = EditorText("␛ and \x1b")
    assert text.shown[0] == "␛" and text.shown[-1] != "␛"
    assert text.raw_of(text.shown + "!") == "␛ and \x1b!"


def test_marks_are_explained() -> None:
    assert "U+001B" in EditorText(HOSTILE).explained()
    assert EditorText("plain\ttext\n").explained() == ""


def test_too_many_kinds_of_invisible_characters_are_refused() -> None:
    with pytest.raises(UserError, match="too many kinds"):
        EditorText("".join(map(chr, range(0xE000, 0xE200))))


def test_hostile_text_is_shown_as_the_dataset_screen_shows_it_where_a_character_has_a_picture() -> None:
    raw = "\x1b\x00\x07"
    assert EditorText(raw).shown == visible(raw)
