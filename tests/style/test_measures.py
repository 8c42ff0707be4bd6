"""Length, layout and openings of one response."""

import pytest

from itaudit.errors import UserError
from itaudit.recipe import check_recipe
from itaudit.style.measures import MEASURES, form_of

LISTED = """# Bees

**What they do:**

1. They fly. They dance.
2) They sleep.
   * at night
- They **never** swim, *ever*

```python
# no heading
- no_item
```

Goodbye: it is 5 - 3 o'clock."""


def test_layout_is_counted_outside_of_code() -> None:
    form = form_of(LISTED, 3)
    assert (form.headings, form.items, form.bold, form.code, form.paragraphs) == (2, 4, 2, 1, 5)
    assert form.opening == "bees what they"


def test_words_and_sentences_are_the_project_s_own() -> None:
    form = form_of("Dr. Smith didn't come. He paid $3.14!\n\n", 10)
    assert (form.words, form.sentences, form.paragraphs) == (7, 2, 1)
    assert form.value("sentence_words") == 3.5
    assert form.opening == "dr smith didn't come he paid 3.14"


@pytest.mark.parametrize("text", ["", " \n\n ", "?!"])
def test_nothing_said_counts_nothing(text: str) -> None:
    form = form_of(text, 3)
    assert [form.value(measure) for measure in MEASURES if measure != "paragraphs"] == [0.0] * (len(MEASURES) - 1)
    assert form.opening == "" and form.paragraphs == (text == "?!")


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("- a\n- b", 2),
        ("* a", 1),
        ("a. one\nb. two", 2),
        ("-5 degrees", 0),
        ("**bold** start", 0),
        ("1.5 litres", 0),
    ],
)
def test_what_an_item_is(text: str, items: int) -> None:
    assert form_of(text, 3).items == items


def test_a_fence_that_nobody_closes_runs_to_the_end() -> None:
    form = form_of("Look:\n```\n# one\n- two\n", 3)
    assert (form.code, form.headings, form.items) == (1, 0, 0)


@pytest.mark.parametrize("lengths", [[], [10, 5], [5, 5]])
def test_lengths_of_spans_ascend(lengths: list[int]) -> None:
    rows = {"path": "x.jsonl"}
    table = {"data": rows, "prompts": rows, "models": {"lft": {"method": "lft"}}, "style": {"span_words": lengths}}
    with pytest.raises(UserError, match=r"style\.span_words: expected lengths in ascending order"):
        check_recipe(table, "recipe")
