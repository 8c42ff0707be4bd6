"""Exact match and ROUGE-L: worked cases, an implementation from the definition, and the published scorer's figures."""

import json
import string
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from itaudit.evaluation.task_metrics import exact_match, normalised_answer, rouge_l, score

PUBLISHED = Path(__file__).with_name("tk_instruct_scores.jsonl")
"""Predictions and references with what Tk-Instruct's `src/compute_metrics.py` says of them, in per
cent and rounded to four digits as it rounds."""


def by_definition(prediction: str, reference: str) -> tuple[float, float]:
    """Exact match and ROUGE-L of one reference, written from what they are defined as."""

    def answer(text: str) -> list[str]:
        return "".join(mark for mark in text.lower() if mark not in string.punctuation).split()

    def stems(text: str) -> list[str]:
        kept = "".join(mark if mark in string.ascii_lowercase + string.digits else " " for mark in text.lower())
        stemmer = PorterStemmer()
        return [stemmer.stem(word) if len(word) > 3 else word for word in kept.split()]

    said, right = stems(prediction), stems(reference)

    @cache
    def common(first: int, second: int) -> int:
        if first == len(said) or second == len(right):
            return 0
        if said[first] == right[second]:
            return 1 + common(first + 1, second + 1)
        return max(common(first + 1, second), common(first, second + 1))

    longest = common(0, 0)
    rouge = 2 * longest / (len(said) + len(right)) if longest else 0.0
    return float(answer(prediction) == answer(reference)), rouge


@pytest.mark.parametrize(
    ("response", "references", "exact", "rouge"),
    [
        # Articles stay, unlike in SQuAD: "the" makes another answer.
        ("the cat", ["cat"], 0, 2 * 1 / 3),
        ("The cat.", ["the cat"], 1, 1),
        # Punctuation goes before words are told apart: no space takes its place in exact match, one does in ROUGE.
        ("(A)", ["A"], 1, 1),
        ("state-of-the-art", ["stateoftheart"], 1, 0),
        ("state-of-the-art", ["state of the art"], 0, 1),
        # Words of more than three letters are stemmed: by ROUGE alone.
        ("running dogs", ["run dog"], 0, 2 * 2 / 4),
        ("cats", ["cat"], 0, 1),
        # The longest common subsequence keeps the order and may skip.
        ("a b c d", ["a c d x"], 0, 2 * 3 / 8),
        ("d c b a", ["a b c d"], 0, 2 * 1 / 8),
        # The best reference counts, for each metric by itself.
        ("two words", ["one word", "two words", "three"], 1, 1),
        ("one two three", ["three", "one two four"], 0, 2 * 2 / 6),
        # Nothing but punctuation is the empty answer, and ROUGE knows no words but those of a-z and 0-9.
        ("...", ["!"], 1, 0),
        ("", [""], 1, 0),
        ("上海", ["上海"], 1, 0),
        ("café", ["cafe"], 0, 0),
        (" yes\n", ["Yes"], 1, 1),
        ("1,000", ["1000"], 1, 0),
        ("“yes”", ["yes"], 0, 1),
    ],
)
def test_worked_cases(response: str, references: list[str], exact: float, rouge: float) -> None:
    assert exact_match(response, references) == exact
    assert rouge_l(response, references) == pytest.approx(rouge)


def test_scores_are_those_of_the_published_scorer() -> None:
    pairs = [json.loads(line) for line in PUBLISHED.read_text(encoding="utf-8").splitlines()]
    assert len(pairs) >= 300
    for pair in pairs:
        assert 100 * exact_match(pair["prediction"], pair["references"]) == pair["exact_match"], pair
        assert round(100 * rouge_l(pair["prediction"], pair["references"]), 4) == pair["rouge_l"], pair


def test_scores_are_those_of_their_definition() -> None:
    for line in PUBLISHED.read_text(encoding="utf-8").splitlines():
        pair = json.loads(line)
        told = [by_definition(pair["prediction"], reference) for reference in pair["references"]]
        assert exact_match(pair["prediction"], pair["references"]) == max(exact for exact, _ in told), pair
        assert rouge_l(pair["prediction"], pair["references"]) == pytest.approx(max(r for _, r in told)), pair


@settings(max_examples=40, deadline=None)
@given(st.text("aA thecatsing .,-'é9", max_size=30), st.lists(st.text("aA thecatsing .,-'é9", max_size=30), min_size=1))
def test_any_texts_score_as_defined(response: str, references: list[str]) -> None:
    told = [by_definition(response, reference) for reference in references]
    assert exact_match(response, references) == max(exact for exact, _ in told)
    assert rouge_l(response, references) == pytest.approx(max(rouge for _, rouge in told))


def test_a_score_is_named_by_its_metric() -> None:
    assert score("exact_match", "cats", ["cat"]) == 0
    assert score("rouge_l", "cats", ["cat"]) == 1
    assert normalised_answer(" The  (b)! ") == "the b"
