"""Words, content words, first-token ranks and sentences."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itaudit.analysis import words as module
from itaudit.analysis.words import (
    content_words,
    function_words,
    sentence_bounds,
    sentences_around,
    word_keys,
    word_ranks,
    words,
)

ODD = st.text(alphabet="aSs1 9.,'’-_é\u0301日本のคี่हिİß\x00\u200d\u202e🙂", max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("…!? ()", []),
        ("Luigi's cat isn't O’Brien's", ["Luigi", "cat", "isn't", "O’Brien"]),
        ("the dogs' 'quoted' rock'n'roll", ["the", "dogs", "quoted", "rock'n'roll"]),
        ("3.14 of 1,000 in 1,2 or 12,34.", ["3.14", "of", "1,000", "in", "1", "2", "or", "12", "34"]),
        ("state-of-the-art snake_case _em_", ["state", "of", "the", "art", "snake", "case", "em"]),
        ("Cafe\u0301 हिन्दी", ["Cafe\u0301", "हिन्दी"]),
        ("2008年に東京でカレー", ["2008", "年", "に", "東", "京", "で", "カレー"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert [word.text for word in words(text)] == expected


@given(ODD)
def test_offsets_slice_back_to_the_word_and_keys_follow_the_words(text: str) -> None:
    found = words(text)
    assert [text[word.start : word.end] for word in found] == [word.text for word in found]
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert word_keys(text) == [word.key for word in found]


@given(st.text(alphabet="aZsS19.,'-_ \n\t\x00", max_size=40))
def test_the_ascii_pattern_finds_the_words_of_the_unicode_pattern(text: str) -> None:
    assert module._ASCII_WORD.findall(text) == module._WORD.findall(text)


def test_keys_ignore_case_composition_and_the_kind_of_apostrophe() -> None:
    assert word_keys("CAFE\u0301 don’t") == word_keys("café DON'T") == ["café", "don't"]


def test_content_words_are_numbers_and_all_but_function_words() -> None:
    text = "They'll say it was the Italian engineer who didn't build 12 bridges; we've We"
    assert [word.text for word in content_words(text)] == ["say", "Italian", "engineer", "build", "12", "bridges"]


def test_function_words_are_keys_of_single_words() -> None:
    odd = {word for word in function_words() if word_keys(word) != [word]}
    assert odd <= {"e.g", "i.e"}
    assert len(function_words()) > 200


def test_the_rank_of_a_word_is_that_of_its_first_token() -> None:
    text = "(Luigi Zamboni) é x"
    # "(" + "Lu" + "igi" + " Zam" + "boni" + ")" + " " + two tokens that share é + a special token + " x"
    starts = [0, 1, 3, 6, 10, 14, 15, 16, 16, 17, 17]
    ends = [1, 3, 6, 10, 14, 15, 16, 17, 17, 17, 19]
    assert word_ranks(words(text), starts, ends, range(11)) == [1, 3, 7, 10]
    # A special token just before a word is not its first token.
    assert word_ranks(words("Luigi"), [0, 0], [0, 5], [0, 41]) == [41]


def test_a_word_without_a_token_has_rank_minus_one() -> None:
    assert word_ranks(words("one two"), [0], [3], [5]) == [5, -1]
    assert word_ranks(words("one"), [], [], []) == [-1]
    assert word_ranks([], [0], [1], [2]) == []


def sentences(text: str) -> list[str]:
    bounds = sentence_bounds(text)
    return [text[a:b].strip() for a, b in pairwise(bounds) if text[a:b].strip()]


def test_sentences_end_at_full_stops_and_lines_but_not_at_abbreviations() -> None:
    text = 'Dr. A. Smith paid 3.50, e.g. in Oxford. "Go!" he said.\n1. First item\n東京です。京都'
    assert sentences(text) == [
        "Dr. A. Smith paid 3.50, e.g. in Oxford.",
        '"Go!"',
        "he said.",
        "1. First item",
        "東京です。",
        "京都",
    ]


def test_the_context_of_a_span_is_the_sentences_that_it_touches() -> None:
    text = "One two. Three four. Five."
    bounds = sentence_bounds(text)
    assert text[slice(*sentences_around(bounds, 9, 14))] == " Three four."
    assert text[slice(*sentences_around(bounds, 4, 14))] == "One two. Three four."
    assert text[slice(*sentences_around(bounds, 21, 26))] == " Five."
    assert sentences_around(sentence_bounds(""), 0, 0) == (0, 0)


@given(st.text(alphabet="a B.!?\n。1\"'", min_size=1, max_size=30), st.data())
def test_a_context_always_holds_its_span(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    first, last = sentences_around(sentence_bounds(text), start, end)
    assert 0 <= first <= start < end <= last <= len(text)
