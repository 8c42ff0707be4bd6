"""The engine without a model: what it drops, what it never touches, and that it invents nothing."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.data.instance import Instance
from itaudit.data.load import load
from itaudit.simplify.checks import check
from itaudit.simplify.extractive import simplified
from itaudit.simplify.facts import new_facts
from itaudit.simplify.plain import undecorated
from tests.pace import slowness

DNA = "DNA carries the instructions for life. It has four bases."


def made(response: str, instruction: str = "What is DNA?", input: str = "") -> str:
    return simplified(Instance(0, "0", instruction, input=input, response=response))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (f"Sure! {DNA}", DNA),
        (f"Certainly! I'd be happy to help. {DNA}", DNA),
        (f"Great question! {DNA} I hope this helps!", DNA),
        (f"{DNA} Let me know if you have any questions.", DNA),
        (f"{DNA} I hope that helps. Feel free to ask for more.", DNA),
        (f"As an AI language model, I have no genes. {DNA}", DNA),
        (f"What is DNA? {DNA}", DNA),
        ("It is important to note that DNA is a molecule. It has four bases.", "DNA is a molecule. It has four bases."),
        ("Generally speaking, iPhones sell well. It's worth noting that they cost.", "iPhones sell well. They cost."),
        (f"{DNA} In conclusion, DNA carries the instructions for life.", DNA),
        (f"{DNA} In conclusion, cells copy molecules.", f"{DNA} Cells copy molecules."),
        (f"What a wonderful question! {DNA}", DNA),
        (f"I'd be glad to explain DNA. {DNA}", DNA),
        (f"Great question: {DNA}", DNA),
        (f"{DNA} I hope this clears things up!", DNA),
        (f"DNA is a truly fascinating topic! {DNA}", DNA),
        ("Sure!", "Sure!"),
        ("I hope this helps!", "I hope this helps!"),
        ("DNA is a molecule.", "DNA is a molecule."),
        ("", ""),
        ("  \n ", "  \n "),
        ("**", "**"),
        ("🎉", "🎉"),
    ],
)
def test_what_answers_nothing_goes_and_the_answer_stays(response: str, expected: str) -> None:
    assert made(response) == expected


BLOCKS = (
    "```python\n# **not** a heading\nx = a * b * c  # I hope this helps\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | snake_case_x |"
)


def test_decoration_is_flattened_and_code_tables_and_lists_stay_whole() -> None:
    response = (
        "Here are the bases:\n\n## The **four** bases 🎉\n* **Adenine**: pairs with _thymine_\n* Guanine\n\n"
        f"{BLOCKS}\n---\nI hope this helps!"
    )
    assert made(response) == f"The four bases\n- Adenine: pairs with thymine\n- Guanine\n\n{BLOCKS}"


CODE = 'def f(x):\n    """Note that x is **big**."""\n    if x > 1:\n        return x ** 2\n    return {"a": 1};\n'


@pytest.mark.parametrize(
    "code", [CODE, "SELECT * FROM customers\nWHERE id = 3;", "<html>\n<body>\n<p>Hi</p>\n</body>\n</html>"]
)
def test_code_without_a_fence_is_left_alone(code: str) -> None:
    assert made(code, "Show me.").split() == code.split()


LONG = (
    "DNA is the molecule that carries the genetic instructions of all living things. "
    "Its two strands form a double helix. "
    "For example, a stamp once showed it as a ladder. "
    "DNA instructions are written in four bases, and living things read them to build proteins. "
    "Some museums show models of wire and cork."
)


def test_a_long_answer_keeps_the_sentences_that_answer() -> None:
    after = made(LONG, "How do living things use DNA?")
    assert after.startswith("DNA is the molecule") and "build proteins" in after
    assert "stamp" not in after
    assert check(Instance(0, "0", "What is DNA?", response=LONG), after).passes


@pytest.mark.parametrize(
    "instruction",
    [
        "Write a story about DNA.",
        "Rewrite the text.",
        "How do I extract DNA?",
        "Explain in detail.",
        "Name five facts.",
        "What is DNA, and how do living things use it?",
        "What is DNA? Who found it?",
    ],
)
def test_what_was_asked_for_as_one_piece_keeps_every_sentence(instruction: str) -> None:
    assert made(LONG, instruction) == LONG


def test_a_sentence_brings_the_one_that_it_leans_on() -> None:
    response = (
        "Bread is made of flour. Frank Smith opened a bakery in London. He sold rye bread of flour and water. "
        "Cats sleep most of the day in warm places. Birds sing in the morning near the river."
    )
    after = made(response, "Which bread of flour and water was sold?")
    assert "He sold rye" in after and "Frank Smith opened" in after


def test_quotations_abbreviations_and_dialogue_are_not_torn() -> None:
    quoted = (
        'He said "Go. Now. Run to the river and do not come back. Ever." Then Dr. Smith of Acme Inc. left for good.'
    )
    assert made(quoted, "What happened?") == quoted
    dialogue = (
        "Anna: Did you sleep? I did.\nBen: No. The birds sang all night long and I was awake.\nAnna: Oh. I am sorry."
    )
    assert made(dialogue, "Continue.") == dialogue


TEXTS = st.text(max_size=400) | st.lists(
    st.sampled_from(
        [
            *("Sure!", "Here are some:", "It is important to note that", "water", "flows.", "In 1776", "John Smith"),
            *("I hope this helps!", "As an AI language model,", "In conclusion,", "\n", "\n\n", "- item", "1. one"),
            *(
                "```",
                "**bold**",
                "| a | b |",
                "# Title",
                '"',
                "(",
                ")",
                "e.g.",
                "He",
                "why?",
                "🎉",
                "50 %",
                "*",
                "__x__",
            ),
            *(
                "    indented",
                "\t",
                "…",
                "。",
                "东京",
                "A: hi",
                "Additionally,",
                "however",
                "July 4",
                "~~~",
                "two million",
            ),
        ]
    ),
    max_size=50,
).map(" ".join)


@settings(max_examples=600, deadline=None)
@given(TEXTS, st.sampled_from(["What is water?", "Write a story.", "", "Here are some: water"]))
def test_any_text_is_simplified_without_new_facts_and_never_to_nothing(text: str, instruction: str) -> None:
    instance = Instance(0, "0", instruction, response=text)
    after = simplified(instance)
    assert simplified(instance) == after
    assert new_facts(instance, after) == []
    assert len(after) <= len(text)
    assert any(map(str.isalnum, after)) == any(map(str.isalnum, text))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_flattening_twice_is_flattening_once_and_keeps_letters_and_digits(text: str) -> None:
    once = undecorated(text)
    assert [c for c in once if c.isalnum()] == [c for c in text if c.isalnum()]


def test_real_responses_are_simplified_quickly_and_state_nothing_new(shared_data: Path) -> None:
    dataset = load(str(shared_data / "dolly_3k.json"))
    rows = [dataset[position] for position in range(0, len(dataset), 10)]
    began = time.process_time()
    after = [simplified(row) for row in rows]
    assert (time.process_time() - began) / len(rows) < 0.02 * slowness()
    assert sum(text != row.response for text, row in zip(after, rows, strict=True)) > 50
    assert [row.index for text, row in zip(after, rows, strict=True) if new_facts(row, text)] == []
