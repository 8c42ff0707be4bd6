"""Copied words: the suffix array against a search that tries everything."""

from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.analysis.words import word_keys
from itaudit.style.copied import AnswerSuffixes

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d."]), max_size=14).map(" ".join)


def tried(answers: list[str], text: str, length: int) -> int:
    """How many words of a text lie in a stretch of `length` words that some answer holds."""
    keys = word_keys(text)
    held = {
        tuple(there[at : at + length])
        for answer in answers
        for there in [word_keys(answer)]
        for at in range(len(there) - length + 1)
    }
    inside = {
        place
        for at in range(len(keys) - length + 1)
        if tuple(keys[at : at + length]) in held
        for place in range(at, at + length)
    }
    return len(inside)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_the_words_found_are_those_that_a_plain_search_finds(answers: list[str], text: str) -> None:
    found = AnswerSuffixes(answers).copied_words(text, [2, 3, 5])
    assert found == [tried(answers, text, length) for length in (2, 3, 5)]


def test_case_and_punctuation_do_not_count_and_no_stretch_crosses_answers() -> None:
    suffixes = AnswerSuffixes(["The cat sat, on the mat.", "The dog ran."])
    assert suffixes.copied_words("Yes: THE CAT (sat) on a rug", [3, 4, 5]) == [4, 4, 0]
    assert suffixes.copied_words("the mat the dog", [3, 2]) == [0, 4]


def test_a_dataset_without_answers_holds_nothing() -> None:
    assert AnswerSuffixes([]).copied_words("a b c d e", [2]) == [0]
    assert AnswerSuffixes(["a b"]).copied_words("", [2]) == [0]
