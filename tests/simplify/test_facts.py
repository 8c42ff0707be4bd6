"""New numbers, dates and names are found wherever they stand, and what the instance holds is never called new."""

import string
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.analysis.words import sentence_bounds
from itaudit.data.instance import Instance, Message
from itaudit.simplify.dates import dates
from itaudit.simplify.facts import KnownFacts, new_facts
from itaudit.simplify.numbers import numbers


def instance(response: str, instruction: str = "Tell me.", input: str = "", history: str = "") -> Instance:
    turns = (Message("user", history),) if history else ()
    return Instance(0, "0", instruction, input=input, response=response, history=turns)


def found(response: str, proposal: str, **rest: str) -> list[tuple[str, str]]:
    return [(fact.text, fact.kind) for fact in new_facts(instance(response, **rest), proposal)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,000", "1000"),
        ("1\u202f000\u00a0000", "1,000,000"),
        ("three", "3"),
        ("twenty-five", "25"),
        ("two hundred and five thousand", "205,000"),
        ("2.5 million", "2,500,000"),
        ("10k", "10,000"),
        ("50%", "50 percent"),
        ("50 %", "fifty per cent"),
        ("half", "50%"),
        ("1/2", "0.5"),
        ("½", "0.5"),
        ("two thirds", "2/3"),
        ("20th", "twentieth"),
        ("twenty-first", "21st"),
        ("-5", "−5"),
        ("٣٤", "34"),
        ("3.140", "3.14"),
        ("a dozen", "12"),
        ("July 4, 1776", "4 July 1776"),
        ("July 4, 1776", "1776-07-04"),
        ("the fourth of July, 1776", "July 4th, 1776"),
        ("Sept. 9, 2020", "9 September 2020"),
        ("07/04/1776", "July 4, 1776"),
        ("04.07.1776", "July 4, 1776"),
    ],
)
def test_forms_of_one_number_or_date_agree(one: str, other: str) -> None:
    assert found(f"It was {one} then.", f"It was {other} then.") == []
    assert found(f"It was {other} then.", f"It was {one} then.") == []


@pytest.mark.parametrize(
    ("response", "proposal", "expected"),
    [
        ("They sold 50 cars.", "They sold 50 % of cars.", [("50 %", "number")]),
        ("They sold 2 million cars.", "They sold 2 billion cars.", [("2 billion", "number")]),
        ("They sold 2 million cars.", "They sold 2 cars.", [("2", "number")]),
        ("He came with 20 people.", "He came in the 20th century.", [("20th", "number")]),
        ("It was 5 degrees.", "It was -5 degrees.", [("-5", "number")]),
        ("It was on July 4.", "It was on July 5.", [("July 5", "date")]),
        ("It was on July 4, and the year 1776.", "It was on July 4, 1776.", [("July 4, 1776", "date")]),
        ("They met on a day.", "They met on Monday.", [("Monday", "date")]),
        ("The Zamboni was made by Frank.", "The Zamboni was made by Luigi.", [("Luigi", "name")]),
        ("A machine was made.", "A machine was made by Luigi Rossi.", [("Luigi Rossi", "name")]),
        ("A machine was made.", "Luigi made a machine.", [("Luigi", "name")]),
        ("We saw John Smith and Mary Jones.", "We saw John Jones.", [("John Jones", "name")]),
        ("An agency did it.", "The agency NASA used an iPhone.", [("NASA", "name"), ("iPhone", "name")]),
        ("H2O is water.", "H3O is water.", [("3", "number")]),
        ("See version 1.2.3.", "See version 1.2.4.", [("1.2.4", "number")]),
    ],
)
def test_what_the_instance_does_not_hold_is_new(response: str, proposal: str, expected: list[tuple[str, str]]) -> None:
    assert found(response, proposal) == expected


@pytest.mark.parametrize(
    ("response", "proposal"),
    [
        ("Buy milk. Buy bread.", "1. Buy milk.\n2. Buy bread."),
        ("Buy milk, then bread.", "First, buy milk. Second, buy bread."),
        ("It rained.", "It is one of the reasons, and a second passed."),
        ("It was on July 4, 1776.", "It was in July 1776."),
        ("It was on July 4, 1776.", "It was in 1776."),
        ("the zamboni's maker was luigi.", "The Zamboni was made by Luigi."),
        ("An American did it.", "Americans did it."),
        ("John Fitzgerald Kennedy spoke.", "Then John Kennedy spoke."),
        ("President Obama spoke.", "Obama, the President, spoke."),
        ("Give **2** million.", "Give 2 million."),
        ("It takes 2 to 3 million.", "It takes 2 million to 3 million."),
        ("It takes 40-50%.", "It takes 40% to 50%."),
        ("Water helps.", "Drinking water helps. Overall, it hydrates. Keep going."),
        ("Water helps.", '"Yes," he said. Answer: Water helps.'),
        ("It was 34.4C in HTML5.", "It was 34.4 °C in HTML 5."),
        ("Water helps.", "## Health Benefits\n- Water: helps"),
        ("May I go?", "March on. May I?"),
    ],
)
def test_what_the_instance_holds_or_nobody_asserts_is_not_new(response: str, proposal: str) -> None:
    assert found(response, proposal) == []


@pytest.mark.parametrize("name", ["Luigi", "France", "Italy", "Beijing", "Florence", "Edwards", "Socrates", "NASA"])
def test_a_name_that_opens_a_sentence_is_found(name: str) -> None:
    assert found("A machine was made.", f"A machine was made. {name} made it.") == [(name, "name")]


@pytest.mark.parametrize("word", ["Utilizing", "Additionally", "Drinking", "Consider", "Photosynthesis", "Students"])
def test_a_common_word_that_opens_a_sentence_is_no_name(word: str) -> None:
    assert found("A machine was made.", f"A machine was made. {word} made it.") == []


def test_facts_of_the_prompt_and_of_earlier_turns_are_known() -> None:
    known = {"instruction": "How old was Luigi?", "input": "He was born in 1850.", "history": "We met on May 4, 1900."}
    assert found("Old.", "On 4 May 1900, said Luigi of 1850.", **known) == []
    assert found("Old.", "On 5 May 1900, said Mario of 1851.", **known) == [
        ("5 May 1900", "date"),
        ("Mario", "name"),
        ("1851", "number"),
    ]


PIECES = (
    "Luigi NASA iPhone July May 4 4th 1776 1,000 1.5 50% half two million twenty -five . , ! ? \n \n\n ** _ # 1. - | "
    '``` ( ) " “ ” : and of the I second ½ ² 2020-01-02 07/04/1776 Straße 東京 ١٢ é 🎉 /'
)
TEXTS = st.text(max_size=300) | st.lists(
    st.sampled_from(PIECES.split(" ")),
    max_size=60,
).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_a_response_states_nothing_new_about_itself(text: str) -> None:
    assert KnownFacts([text]).new_in(text) == []


@settings(max_examples=400, deadline=None)
@given(TEXTS, TEXTS)
def test_offsets_point_at_the_text_in_order_and_without_overlaps(before: str, after: str) -> None:
    end = 0
    for fact in new_facts(instance(before, instruction=""), after):
        assert after[fact.start : fact.end] == fact.text
        assert fact.text.strip() and fact.start >= end
        end = fact.end


WATER = "the water falls quickly onto every stone and then it runs away"
PROSE = st.lists(st.sampled_from(WATER.split()), min_size=4)


def inserted(words: list[str], at: int, fact: str) -> tuple[str, int]:
    """Prose with a fact in its middle, and the offset of the fact."""
    at = 1 + at % (len(words) - 2)
    before = " ".join(words[:at]) + " "
    return f"{before}{fact} {' '.join(words[at:])}.", len(before)


def covers(facts: list, start: int, text: str) -> bool:
    return any(fact.start <= start and start + len(text) <= fact.end for fact in facts)


@settings(max_examples=200, deadline=None)
@given(
    PROSE,
    st.integers(0),
    st.integers(2, 10**9) | st.decimals(2, 10**6, places=2),
    st.sampled_from(["{}", "{:,}", "${}"]),
)
def test_a_number_that_was_put_in_is_always_found(words: list[str], at: int, value: object, form: str) -> None:
    text = form.format(value)
    proposal, start = inserted(words, at, text)
    digits = text.lstrip("$")
    assert covers(new_facts(instance(" ".join(words)), proposal), start + len(text) - len(digits), digits)


@settings(max_examples=200, deadline=None)
@given(PROSE, st.integers(0), st.text(string.ascii_lowercase, min_size=2, max_size=9), st.text(string.ascii_lowercase))
def test_a_name_that_was_put_in_is_always_found(words: list[str], at: int, first: str, second: str) -> None:
    name = f"Zq{first}"
    proposal, start = inserted(words, at, f"{name} Xw{second}")
    facts = new_facts(instance(" ".join(words)), proposal)
    assert covers([fact for fact in facts if fact.kind == "name"], start, f"{name} Xw{second}")


@settings(max_examples=100, deadline=None)
@given(PROSE, st.integers(0), st.dates(), st.sampled_from(["%B {}, %Y", "{} %B %Y", "%Y-%m-%d", "%b {}, %Y", "%B %Y"]))
def test_a_date_that_was_put_in_is_always_found(words: list[str], at: int, date: object, form: str) -> None:
    text = date.strftime(form).replace("{}", str(date.day))
    if date.year < 1000:
        return
    proposal, start = inserted(words, at, text)
    facts = new_facts(instance(" ".join(words)), proposal)
    assert covers([fact for fact in facts if fact.kind == "date"], start, text)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sets(st.integers(0, 40)))
def test_leaving_sentences_out_states_nothing_new(text: str, gone: set[int]) -> None:
    bounds = sentence_bounds(text)
    pieces = [text[a:b] for a, b in pairwise(bounds)]
    left = "".join(piece for at, piece in enumerate(pieces) if at not in gone)
    assert new_facts(instance(text), left) == []


def test_thousands_of_digits_and_unknown_signs_are_no_trouble() -> None:
    proposal = "9" * 6000 + " and Ⅻ and 1.2.3 and ౸"
    assert [fact.kind for fact in new_facts(instance("x"), proposal)][:1] == ["number"]
    assert numbers("") == [] and dates("") == []
