"""Words that samples do not bear out: facts by what they amount to, other words by their stems."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itaudit.detect.consistency import candidates, units

PROMPT = "Who invented the Zamboni?"
RESPONSE = "The Zamboni was invented by Luigi Rossi in 1922, with 2,000 helpers. It polishes ice."


def told(response: str, samples: list[str], **settings: float) -> list[tuple[str, float, str]]:
    return [(c.text, c.score, c.reason) for c in candidates(response, PROMPT, samples, **settings)]


def test_what_every_sample_says_is_borne_out_however_it_is_written() -> None:
    samples = ["Luigi Rossi did, in 1922; two thousand helpers polishing the ice."] * 3
    assert told(RESPONSE, samples) == []


def test_words_that_few_samples_hold_are_flagged_with_how_many_do() -> None:
    same = "Luigi did it in 1922 with 2000 helpers and polish on ice."
    samples = [same, "Frank Rossi, in 1949. It polishes ice, 2,000 helpers.", same, same, same]
    assert told(RESPONSE, samples) == [("Rossi", 0.8, "name in 1 of 5 samples")]
    assert told(RESPONSE, samples, absent=0.9) == []
    assert told(RESPONSE, samples, absent=0.2) == [
        ("Luigi Rossi", 1.0, "name in 0 of 5 samples"),
        ("1922", 0.2, "number in 4 of 5 samples"),
    ]


def test_other_words_count_in_any_inflection() -> None:
    rest = "Luigi Rossi, 1922, 2,000 helpers, ice"
    assert told(RESPONSE, [f"{rest}, polishing"] * 2 + [rest] * 3) == []
    assert told(RESPONSE, [f"{rest}, polishing"] + [rest] * 4) == [("polishes", 0.8, "word in 1 of 5 samples")]


def test_neighbours_are_one_stretch_and_sentences_part_them() -> None:
    found = candidates("It was Anna-Maria Bianchi. Rome 1850.", "", ["no idea"] * 5)
    assert [c.text for c in found] == ["Anna-Maria Bianchi", "Rome 1850"]
    assert [c.reason for c in found] == ["name in 0 of 5 samples", "number in 0 of 5 samples"]


def test_words_of_the_prompt_are_borne_out_by_it() -> None:
    assert told("Zamboni invents.", ["nothing of that"] * 5) == []


def test_silent_samples_count_for_nothing_and_all_of_them_for_a_problem() -> None:
    assert told("Luigi", ["Luigi", "", " \n"]) == []
    with pytest.raises(ValueError, match="no sample"):
        candidates("Luigi", PROMPT, ["", "?!"])


def test_list_numbers_and_idle_words_are_no_claims() -> None:
    assert units("1. one\n2. first") == []


@given(st.text(max_size=200), st.lists(st.text(max_size=80), min_size=1, max_size=4))
def test_candidates_are_stretches_of_the_response_in_order_whatever_the_texts(
    response: str, samples: list[str]
) -> None:
    try:
        found = candidates(response, PROMPT, [*samples, "x"], absent=0.0)
    except ValueError:
        return
    assert all(response[c.start : c.end] == c.text and 0 < c.score <= 1 for c in found)
    assert all(one.end <= other.start for one, other in pairwise(found))


@given(st.text(max_size=200))
def test_a_response_bears_itself_out(response: str) -> None:
    if any(character.isalnum() for character in response):
        assert candidates(response, "", [response], absent=0.0) == []
