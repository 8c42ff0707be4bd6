"""The checks on a proposal: what is lost, what is no answer, how long and how hard it reads."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.data.instance import Instance
from itaudit.simplify.answers import answer_of
from itaudit.simplify.checks import Checks, check
from itaudit.simplify.proposal import Proposal, extracted, failed, instance_from_json, instance_to_json, proposed
from itaudit.simplify.readability import grade, measures

RESPONSE = "The library of Alexandria held many scrolls. Its scholars were walking between shelves and copying texts."


def checked(after: str, response: str = RESPONSE, **rest: object) -> Checks:
    return check(Instance(0, "0", "What did it hold?", response=response), after, **rest)


def test_words_that_are_lost_are_named_and_inflections_are_not_lost() -> None:
    checks = checked("The library held scrolls. Scholars walked, and copied a text.")
    assert checks.dropped == ("Alexandria", "shelves")
    assert checks.kept == pytest.approx(7 / 9, abs=1e-4) and checks.passes
    filled = checked("The library held scrolls.", "Sure! The library held scrolls. I hope this helps!")
    assert filled.dropped == () and filled.kept == 1


@pytest.mark.parametrize(
    ("after", "kind", "reason"),
    [
        ("", "empty", "empty"),
        (" \n**", "empty", "empty"),
        ("I'm sorry, but I can’t help with that.", "refusal", "refuses instead of answering"),
        ("As an AI language model, I cannot shorten this.", "refusal", "refuses instead of answering"),
        ("The library of Alexandria held many scrolls. Its scholars were walking between the", "cut_off", "cut off"),
        ("The library of Alexandria held many scrolls. Its scholars copied texts and", "cut_off", "cut off"),
        ("The library of Alexandria held many scrolls, scholars, shelves, texts,", "cut_off", "cut off"),
        ("Scrolls of the library of Alexandria, many texts:\n```\nshelves", "cut_off", "cut off"),
        ("It held scrolls.", "kept", "keeps 22 % of the content words, less than 50 %"),
        (f"{RESPONSE} It held scrolls.", "longer", "longer: 19 words, before 16"),
        (RESPONSE.replace("many", "400,000"), "number", "new number: 400,000"),
        (RESPONSE.replace("many", "Egyptian and Greek"), "name", "new names: Egyptian, Greek"),
        (RESPONSE.replace("many", "in May"), "date", "new date: May"),
    ],
)
def test_what_must_be_confirmed_is_told(after: str, kind: str, reason: str) -> None:
    checks = checked(after)
    assert checks.stops[kind] == reason
    assert not checks.passes and checks.severity > 0
    assert reason in checks.reasons


@pytest.mark.parametrize(
    ("response", "after"),
    [
        (RESPONSE, RESPONSE),
        (RESPONSE, "The library of Alexandria held scrolls. Scholars were copying texts."),
        ("The capital of France is Paris.", "Paris, the capital of France"),
        ("- flour\n- milk\n- eggs and sugar of the shop", "- flour\n- milk\n- eggs and sugar of the shop"),
        ("Use this:\n```\nx = 1\n```", "Use this:\n```\nx = 1\n```"),
        ("I'm sorry, but I can't say. It held scrolls.", "I'm sorry, but I can't say. It held scrolls."),
        ("The response itself was cut off in the", "Itself was cut off in the"),
        ("Yes", "Yes"),
        ("12", "12"),
        ("", ""),
        ("これは日本語です。", "日本語です。"),
    ],
)
def test_what_needs_no_confirmation_passes(response: str, after: str) -> None:
    assert checked(after, response).reasons == []


def test_a_model_that_ran_out_of_tokens_was_cut_off_whatever_its_end() -> None:
    assert checked(RESPONSE, finish="length").cut_off and not checked(RESPONSE, finish="stop").cut_off


def test_the_threshold_for_lost_words_is_the_users() -> None:
    after = "It held scrolls."
    assert not checked(after, threshold=0.5).passes and checked(after, threshold=0.2).passes


def test_graver_findings_sort_first() -> None:
    afters = ["", "I'm sorry, but I can't.", "It held the", RESPONSE.replace("many", "Luigi, Mario and 7"), RESPONSE]
    severities = [checked(after).severity for after in afters]
    assert severities == sorted(severities, reverse=True) and severities[-1] == 0


def test_compression_words_sentences_and_grade_are_of_both_texts() -> None:
    checks = checked("It held many scrolls.")
    assert (checks.before.words, checks.before.sentences) == (16, 2)
    assert (checks.after.words, checks.after.sentences, checks.after.characters) == (4, 1, 21)
    assert checks.compression == pytest.approx(21 / len(RESPONSE), abs=1e-4)
    assert checks.before.grade is not None and checks.after.grade is not None
    assert checks.before.grade > checks.after.grade


def test_the_grade_is_that_of_textstat_for_words_in_and_out_of_its_dictionary() -> None:
    # 11 words, 2 sentences (the second has 5 words), 15 syllables by the pronouncing dictionary and Pyphen.
    assert grade("The cat sat on the mat quietly. A zamboniqq was difficult.") == pytest.approx(3.72, abs=0.8)
    assert grade("") is None and grade("12 + 3") is None and grade("これは日本語です") is None
    for text in ("def f(x):\n    return x", "a" * 5000, "\x00\x1b[31m", "Zqxv Wxyz brzk.", "🎉 party"):
        assert grade(text) is None or -20 < grade(text) < 100000


def test_words_are_what_stands_between_white_space_and_decoration_is_no_sentence() -> None:
    told = measures("## **Bold**\n\n- one\n- two\n\n---\n")
    assert (told.words, told.sentences) == (7, measures("Bold\n\n- one\n- two\n").sentences)


TEXTS = st.text(max_size=200) | st.sampled_from(
    ["```", "a\n```\nb", "|", "I'm sorry, but I can't", "“", "\ud7ff", "\x00"]
)


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([None, "stop", "length", "odd"]))
def test_any_texts_can_be_checked_and_checks_survive_json(before: str, after: str, finish: str | None) -> None:
    checks = check(Instance(0, "0", "x", response=before), after, finish=finish)
    assert Checks.from_json(json.loads(json.dumps(checks.to_json()))) == checks
    assert 0 <= checks.kept <= 1 and checks.passes == (checks.severity == 0) == (not checks.reasons)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_a_response_kept_as_it_is_passes(text: str) -> None:
    assert check(Instance(0, "0", "x", response=text), text).reasons == []
    assert check(Instance(0, "0", "x", response=text), text).unchanged


@pytest.mark.parametrize(
    ("written", "before", "expected"),
    [
        ("Here is a simpler answer:\n\nWater is wet.", "Water.", "Water is wet."),
        ("Sure! Here's the shortened version: Water is wet.", "Water.", "Water is wet."),
        ("Simplified answer: Water is wet.", "Water.", "Water is wet."),
        ("**Here** is water.", "Water.", "**Here** is water."),
        ('"Water is wet."', "Water.", "Water is wet."),
        ('"Water" is "wet"', "Water.", '"Water" is "wet"'),
        ('"Water"', '"Water, she said"', '"Water"'),
        ("<think>Hm. Wet?</think>\nWater is wet.", "Water.", "Water is wet."),
        ("<think>Never ends", "Water.", ""),
        ("```\nWater is wet.\n```", "Water.", "Water is wet."),
        ("```python\nx = 1\n```", "```python\nx = 1 + 0\n```", "```python\nx = 1\n```"),
        ("Here is a list:", "Water.", "Here is a list:"),
        ("Here are the steps:\n1. Go", "Here are the steps:\n1. Go now", "Here are the steps:\n1. Go"),
    ],
)
def test_what_a_model_writes_around_its_answer_goes(written: str, before: str, expected: str) -> None:
    assert answer_of(written, before) == expected


def test_proposals_and_instances_survive_json() -> None:
    instance = Instance(3, "x", "Say.", input="é", response="Sure! Water is wet. I hope this helps!")
    assert instance_from_json(json.loads(json.dumps(instance_to_json(instance)))) == instance
    proposal = proposed(instance, "Water", "local:m", finish="length", prompt_tokens=4, seed=2)
    assert Proposal.from_json(json.loads(json.dumps(proposal.to_json()))) == proposal
    assert proposal.checks is not None and proposal.checks.cut_off and not proposal.passes
    broken = failed(instance, "endpoint:m", "no answer")
    assert Proposal.from_json(json.loads(json.dumps(broken.to_json()))) == broken
    assert broken.reasons == ["no answer"] and broken.severity > proposal.severity
    assert extracted(instance).after == "Water is wet." and extracted(instance).passes
