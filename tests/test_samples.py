"""The sample dataset and its prompts: what the demo relies on."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parents[1] / "samples"
DATASET = SAMPLES / "inventions_and_facts.jsonl"
PROMPTS = SAMPLES / "prompts.jsonl"
LONG_ANSWERS = SAMPLES / "long_answers.jsonl"


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Every line of a JSON-lines file; a blank or broken line raises."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def normalised(text: str) -> str:
    """The words of a text, lower-cased, so that case and punctuation hide no repetition."""
    return " ".join(re.findall(r"\w+", text.lower()))


def prompt_of(row: dict[str, Any]) -> str:
    return normalised(f"{row['instruction']} {row['input']}")


def test_dataset_holds_alpaca_instances_with_a_topic() -> None:
    rows = rows_of(DATASET)
    assert 60 <= len(rows) <= 200
    for row in rows:
        assert list(row) == ["instruction", "input", "output", "topic"]
        assert all(isinstance(value, str) for value in row.values())
        assert row["instruction"] and row["output"] and row["topic"]
    assert 4 <= sum(bool(row["input"]) for row in rows) <= 20


def test_no_two_instances_ask_the_same() -> None:
    counts = Counter(prompt_of(row) for row in rows_of(DATASET))
    assert [prompt for prompt, count in counts.items() if count > 1] == []


def test_every_topic_has_at_least_four_similar_instances() -> None:
    counts = Counter(row["topic"] for row in rows_of(DATASET))
    assert len(counts) >= 5
    assert {topic: count for topic, count in counts.items() if count < 4} == {}


def test_responses_are_short_sentences_without_chat_preamble() -> None:
    for row in rows_of(DATASET):
        response = row["output"]
        assert 8 <= len(response.split()) <= 32, response
        assert response == response.strip() and response.endswith("."), response
        assert not re.match(r"(?i)(sure|certainly|of course|here (is|are))\b", response), response


def test_prompts_have_unique_ids_and_references() -> None:
    prompts = rows_of(PROMPTS)
    assert 12 <= len(prompts) <= 16
    for prompt in prompts:
        assert list(prompt) == ["id", "prompt", "reference"]
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", prompt["id"])
        assert prompt["prompt"].strip() and prompt["reference"].endswith(".")
    assert len({prompt["id"] for prompt in prompts}) == len(prompts)
    assert len({normalised(prompt["prompt"]) for prompt in prompts}) == len(prompts)


def test_no_prompt_stands_in_the_dataset() -> None:
    instructions = {prompt_of(row) for row in rows_of(DATASET)}
    texts = [normalised(" ".join(row.values())) for row in rows_of(DATASET)]
    for prompt in rows_of(PROMPTS):
        words = normalised(prompt["prompt"])
        assert words not in instructions
        assert not any(words in text for text in texts)


@pytest.mark.parametrize("path", [DATASET, PROMPTS], ids=lambda path: path.name)
def test_text_is_plain(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", text)


def test_long_answers_have_something_to_simplify() -> None:
    from itaudit.data.load import load
    from itaudit.simplify.checks import check
    from itaudit.simplify.extractive import simplified

    dataset = load(LONG_ANSWERS)
    assert dataset.rejected == ()
    shorter = 0
    for instance in dataset:
        after = simplified(instance)
        assert check(instance, after).passes, instance.instruction
        shorter += len(after) < len(instance.response or "")
    assert shorter == 14
