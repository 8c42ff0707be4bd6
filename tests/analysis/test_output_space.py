"""What is told from outputs alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itaudit.analysis.output_space import SEPARATORS, normalised, output_space


@pytest.mark.parametrize(
    ("outputs", "definition"),
    [
        (["yes", "No", "yes", "no", "no", "Yes", "yes "], "no, yes"),
        (["(B)", "(A)"] * 5, "(A), (B)"),
        (["Paris, France", "Rome, Italy"] * 5, "Paris, France; Rome, Italy"),
        (["a, b", "c; d", "e / f"] * 4, "a, b | c; d | e / f"),
        (["<", ">", "="] * 4, "<, =, >"),
        (["1", "2", "3"] * 10, "1, 2, 3"),
        (["1", "2", "3"] * 4, "number"),
        ([str(n % 17) for n in range(250)], "number"),
        (["-3.5", "1,000", "12%", "7"], "number"),
        (["susan", "john", "the-table"], "word"),
        (["susan", "the man", "the city councilmen"], "phrase"),
        (["oven costume counterpart zeal amber brick", "fancy ghost lamp quill raven stone tulip"], "list of words"),
        (["red, green, blue", "one, two"], "list of words"),
        (["It is a dog that ran over the hill.", "We went to see the cat."], "sentence"),
        (["One came. Then the other left. All was well.", "It rained. Nobody cared about it."], "text"),
        (["def f(x):\n    return the value of x in it and all that is so", "a = 1"], "text"),
        (["same"] * 10, "word"),
        ([], "text"),
    ],
)
def test_the_simplified_definition(outputs: list[str], definition: str) -> None:
    assert output_space(outputs).definition == definition


LABEL = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
)


@given(st.lists(LABEL.filter(bool), min_size=2, max_size=20, unique_by=str.casefold))
def test_a_closed_set_is_named_whole_and_nothing_else(labels: list[str]) -> None:
    space = output_space(labels * 12)
    if not space.labels:
        # Many different numbers are results, not labels.
        assert len(labels) > 10
        return
    parts = next(p for s in SEPARATORS if len(p := space.definition.split(s)) == len(labels))
    assert sorted(parts) == sorted(labels)


@pytest.mark.parametrize(("one", "other"), [("(A)", "a"), ("The  man.", "the man"), ("-35", "35"), ("İ", "i̇")])
def test_answers_that_score_the_same_are_the_same(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_signs_stay_apart() -> None:
    assert len({normalised(sign) for sign in ("<", ">", "=")}) == 3
