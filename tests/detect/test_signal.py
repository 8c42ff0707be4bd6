"""What the two models' figures say against a content word."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.analysis.shift import Thresholds
from itaudit.detect.signal import candidates, entropy_bound
from itaudit.runs.rows import TokenScores

SURE = [0.97, 0.01, 0.01]
TORN = [0.25, 0.25, 0.25]


def scores(
    tokens: list[tuple[int, int]], ranks: list[int], base: list[float], tuned: list[list[float]] | None
) -> TokenScores:
    """Scores with base probabilities, and the tuned model's probabilities of its alternatives."""
    count = len(tokens)
    return TokenScores(
        "p",
        ids=list(range(count)),
        starts=[start for start, _ in tokens],
        ends=[end for _, end in tokens],
        rank_base=ranks,
        logprob_base=[math.log(p) for p in base],
        logprob_tuned=None if tuned is None else [-0.1] * count,
        kl=None,
        kl_reverse=None,
        kl_aligntds=None,
        top_base=[],
        top_tuned=None if tuned is None else [[(n, math.log(p)) for n, p in enumerate(ps)] for ps in tuned],
    )


def test_a_shifted_improbable_word_that_the_tuned_model_guessed() -> None:
    text = "by Luigi alone"
    given_ = scores([(0, 2), (2, 8), (8, 14)], [0, 41, 0], [0.9, 0.01, 0.9], [SURE, TORN, SURE])
    (one,) = candidates(given_, text)
    assert (one.start, one.end, one.text) == (3, 8, "Luigi")
    # Four outcomes of a quarter each: as uncertain as four can be.
    assert one.score == pytest.approx((1 + 0.99 + 1) / 3, abs=1e-4)
    assert one.reason == "base rank 41, base probability 0.010, entropy at least 1.39 nats"


def test_a_word_that_the_base_model_says_itself_is_no_candidate() -> None:
    assert candidates(scores([(0, 5)], [0], [0.9], [TORN]), "Luigi") == []


def test_function_words_are_passed_over_however_shifted() -> None:
    assert candidates(scores([(0, 3)], [500], [0.0001], [TORN]), "The") == []


def test_without_the_tuned_models_figures_two_parts_count() -> None:
    (one,) = candidates(scores([(0, 5)], [9], [0.2], None), "Luigi")
    assert one.score == pytest.approx((1 + 0.8) / 2)
    assert "entropy" not in one.reason


def test_the_first_token_of_a_word_decides() -> None:
    text = "Luigi"
    assert candidates(scores([(0, 2), (2, 5)], [0, 90], [0.9, 0.01], [SURE, TORN]), text) == []
    (one,) = candidates(scores([(0, 2), (2, 5)], [90, 0], [0.01, 0.9], [TORN, SURE]), text)
    assert one.text == "Luigi"


def test_the_most_suspect_digit_of_a_number_decides() -> None:
    tokens = [(0, 2), (2, 4), (4, 5), (5, 6)]
    (one,) = candidates(scores(tokens, [0, 0, 7, 0], [0.9, 0.9, 0.05, 0.9], [SURE, SURE, TORN, SURE]), "in 194")
    assert one.text == "194"


def test_neighbours_are_one_candidate() -> None:
    text = "Luigi Zamboni, Frank"
    found = candidates(scores([(0, 5), (5, 13), (13, 14), (14, 20)], [9] * 4, [0.01] * 4, [TORN] * 4), text)
    assert [one.text for one in found] == ["Luigi Zamboni", "Frank"]


def test_the_runs_thresholds_say_what_is_shifted() -> None:
    given_ = scores([(0, 5)], [4], [0.3], [[0.6, 0.2]])
    assert candidates(given_, "Luigi", Thresholds(1, 3))
    assert not candidates(given_, "Luigi", Thresholds(5, 10))


def test_words_that_no_token_covers_and_tokens_beyond_the_text_do_no_harm() -> None:
    assert candidates(scores([], [], [], []), "Luigi") == []
    assert candidates(scores([(0, 0), (90, 99)], [5, 5], [0.1, 0.1], [TORN, TORN]), "Luigi") == []
    assert candidates(scores([(0, 0)], [5], [0.1], [TORN]), "") == []


def test_entropy_of_known_outcomes() -> None:
    assert entropy_bound([math.log(0.5), math.log(0.5)])[0] == pytest.approx(math.log(2))
    assert entropy_bound([0.0]) == (0.0, pytest.approx(math.log(2)))
    assert entropy_bound([]) == (0.0, 0.0)
    assert entropy_bound([-math.inf])[0] == 0.0


@settings(max_examples=200, deadline=None)
@given(weights=st.lists(st.floats(0.001, 1), min_size=1, max_size=30), kept=st.integers(1, 30))
def test_one_bucket_for_the_rest_never_overstates_the_entropy(weights: list[float], kept: int) -> None:
    total = sum(weights)
    probabilities = sorted((weight / total for weight in weights), reverse=True)
    bound, highest = entropy_bound([math.log(p) for p in probabilities[:kept]])
    assert -1e-9 <= bound <= -sum(p * math.log(p) for p in probabilities) + 1e-9
    assert bound <= highest + 1e-9


@settings(max_examples=100, deadline=None)
@given(data=st.data(), text=st.text(alphabet="ab 1e\u0301🙂語\x1b-'", max_size=20))
def test_scores_are_shares_and_offsets_hold_the_text(data: st.DataObject, text: str) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    tokens = list(pairwise(cuts))
    count = len(tokens)
    ranks = data.draw(st.lists(st.integers(0, 50_000), min_size=count, max_size=count))
    base = data.draw(st.lists(st.floats(1e-9, 1), min_size=count, max_size=count))
    for one in candidates(scores(tokens, ranks, base, [TORN] * count), text):
        assert text[one.start : one.end] == one.text != ""
        assert 0.6 <= one.score <= 1
