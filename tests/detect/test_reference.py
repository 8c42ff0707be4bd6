"""What a reference answer, or the prompt's own input, does not support of a response."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.detect.reference import candidates, detect
from itaudit.runs.rows import Prompt


def prompt(text: str, reference: str | None = None, *earlier: str) -> Prompt:
    messages = [{"role": "user", "content": told} for told in (*earlier, text)]
    return Prompt(0, "p", text, reference, tuple(messages))


def found(response: str, text: str, reference: str | None = None) -> list[tuple[str, float]]:
    detection = detect(prompt(text, reference), response)
    assert detection.problem == ""
    return [(one.text, one.score) for one in detection.candidates]


def test_an_invented_name_and_a_wrong_year() -> None:
    response = "The Zamboni was invented by Luigi Zamboni in 1951."
    assert found(response, "Who invented the Zamboni?", "Frank Zamboni invented it in 1949.") == [
        ("Luigi", 0.8),
        ("1951", 0.9),
    ]


def test_what_the_reference_and_the_prompt_say_is_supported() -> None:
    assert found("Frank Zamboni invented the Zamboni.", "Who invented the Zamboni?", "Frank Zamboni.") == []


def test_inflections_and_other_ways_to_write_a_number_are_supported() -> None:
    response = "Two thousand inventors walked 50 % of the way on 4 July 1776."
    reference = "2,000 inventor walks; half the way; July 4, 1776"
    assert found(response, "How many?", reference) == []


def test_function_words_are_never_flagged() -> None:
    assert found("It is what it was, and they would have had it.", "What?", "Paris") == []


def test_neighbours_are_one_candidate_whose_score_is_the_highest() -> None:
    response = "It was built by the Italian engineer Luigi Bellini."
    assert found(response, "Who built it?", "Frank Zamboni built it.") == [("Italian engineer Luigi Bellini", 0.8)]


def test_initials_and_possessives_part_no_name() -> None:
    response = "It shows Michael B. Jordan's House."
    assert [text for text, _ in found(response, "What does it show?", "A tree.")] == ["Michael B. Jordan's House"]


def test_a_number_is_flagged_with_the_rest_of_its_word() -> None:
    assert found("It began in the 1870s.", "When was it that it began?", "In 1912.") == [("1870s", 0.9)]


def test_numbers_of_a_list_are_no_claims() -> None:
    assert found("1. Squab\n- 2. Squab", "What is a young pigeon called?", "A squab.") == []


def test_first_is_no_number_that_a_reference_has_to_know() -> None:
    assert found("It was first shown in Paris.", "Where was it shown?", "In Paris.") == []


def test_a_word_counts_more_where_the_response_follows_the_reference() -> None:
    reference = "The cat sat on the mat beside the stove and purred loudly."
    close = found("The cat sat on the mat beside the aardvark and purred loudly.", "What did it do?", reference)
    (word, score), *rest = close
    assert (word, rest) == ("aardvark", [])
    assert 0.3 < score < 0.4
    short = found("A chick.", "What is a young pigeon called?", "A squab.")
    assert short == [("chick", 0.4)]


def test_prose_that_is_much_longer_than_the_reference_is_judged_by_its_facts_alone() -> None:
    response = (
        "small agile birds live near busy streets where they gather crumbs, build messy nests, raise noisy chicks, "
        "avoid hungry cats, follow tall lamps, drink clear puddles and know Napoleon."
    )
    assert found(response, "What is a squab?", "A young pigeon.") == [("Napoleon", 0.8)]


def test_common_words_score_half() -> None:
    ((text, common),) = found("They make.", "What?", "Paris, London")
    ((_, rare),) = found("They bioluminesce.", "What?", "Paris, London")
    assert text == "make"
    assert common == rare / 2


def test_without_a_reference_the_prompts_input_is_what_supports() -> None:
    text = "Summarise the passage.\n\nAda Lovelace wrote notes on the engine in 1843."
    detection = detect(prompt(text), "Ada Lovelace wrote notes in 1842 with Charles Babbage.")
    assert [one.text for one in detection.candidates] == ["1842", "Charles Babbage"]
    assert detection.candidates[0].reason == "number not in the input"


def test_earlier_turns_support_too() -> None:
    detection = detect(prompt("And when?", None, "Ada Lovelace was born in 1815."), "Ada was born in 1816.")
    assert [one.text for one in detection.candidates] == ["1816"]


@pytest.mark.parametrize("reference", [None, "", "  \n"])
def test_without_either_the_detection_says_so(reference: str | None) -> None:
    detection = detect(prompt("Who invented the Zamboni?", reference), "Luigi")
    assert detection.problem == "the prompt has neither a reference nor an input"
    assert detection.candidates == ()


def test_an_empty_response_has_nothing_to_flag() -> None:
    assert found("", "What?", "Paris") == []


HOSTILE = st.text(alphabet=st.sampled_from("ab AB1909.,'’-\n\x1b[31m\u202e\u200b\u0301é🙂語½²\x00*_#|"), max_size=60)


@settings(max_examples=150, deadline=None)
@given(response=HOSTILE, text=HOSTILE, reference=HOSTILE)
def test_offsets_always_hold_the_text_in_order_and_apart(response: str, text: str, reference: str) -> None:
    reach = -1
    for one in candidates(response, text, [reference], []):
        assert one.text == response[one.start : one.end] != ""
        assert one.start >= reach
        assert 0 < one.score <= 1
        reach = one.end


@settings(max_examples=100, deadline=None)
@given(response=HOSTILE)
def test_a_response_supports_itself(response: str) -> None:
    assert candidates(response, "", [response], []) == []
