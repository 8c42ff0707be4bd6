"""Simpler responses as a step."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from itaudit.data.dataset import Dataset
from itaudit.transforms import apply, parse_steps

extractive = pytest.importorskip("itaudit.simplify.extractive")

LONG = (
    "Sure! I'd be happy to help. The capital of France is Paris. It lies on the Seine, and it has been the capital for "
    "many centuries. I hope this helps! Let me know if you have any other questions."
)


def test_responses_become_simpler_where_the_checks_pass(alpaca: Callable[..., Dataset]) -> None:
    from itaudit.simplify.checks import check

    dataset = alpaca([LONG, "Paris.", LONG.replace("Paris", "Lyon")])
    made, [record] = apply(dataset, parse_steps(["simplified"]))
    expected, stopped = [], 0
    for instance in dataset:
        after = extractive.simplified(instance)
        passes = check(instance, after).passes
        stopped += after != instance.response and not passes
        expected.append(after if passes else instance.response)
    assert [instance.response for instance in made] == expected
    assert expected[1] == "Paris."
    assert len(expected[0]) < len(LONG) and "Paris" in expected[0]
    assert record.step == "simplified:engine=extractive"
    assert f"{stopped} left as they are by the checks" in record.notes[0]
    for was, now in zip(dataset, made, strict=True):
        assert replace(now, response=was.response, references=was.references) == was
        assert now.references == (now.response,)


def test_other_accepted_answers_stay(superni: Callable[..., Dataset]) -> None:
    task = {
        "Definition": ["Answer."],
        "Positive Examples": [],
        "Negative Examples": [],
        "Instances": [{"input": "What is the capital of France?", "output": [LONG, "Paris"]}],
    }
    [instance] = apply(superni(task1=task), parse_steps(["simplified"]))[0]
    assert instance.response != LONG
    assert instance.references == (instance.response, "Paris")


def test_simplifying_twice_changes_nothing_more(alpaca: Callable[..., Dataset]) -> None:
    once, _ = apply(alpaca([LONG]), parse_steps(["simplified"]))
    assert list(apply(once, parse_steps(["simplified"]))[0]) == list(once)
