"""Runs with answers that people can rate, written by the product's own writers, and raters who do so."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from itaudit.evaluation.aspects import ASPECTS
from itaudit.recipe import check_recipe
from itaudit.runs.ratings import Act, Ratings, answer_hash
from itaudit.runs.run import Run
from itaudit.runs.tables import PROMPTS, write_table

Answers = Mapping[str, Mapping[str, str]]
"""Texts by label and prompt id."""


def rated_run(directory: Path, answers: Answers, name: str = "rated") -> Run:
    """A run whose models gave these answers; `base` is one of them."""
    table = {
        "name": name,
        "data": {"path": "d.jsonl"},
        "prompts": {"path": "p.jsonl"},
        "models": {label: {"method": "sft"} for label in answers if label != "base"},
    }
    run = Run.create(directory, check_recipe(table, "recipe"))
    fill(run, answers)
    return run


def fill(run: Run, answers: Answers) -> None:
    ids = list(dict.fromkeys(prompt_id for told in answers.values() for prompt_id in told))
    prompts = [{"id": one, "prompt": f"What is {one}?", "reference": None, "messages": "[]"} for one in ids]
    write_table(pa.Table.from_pylist(prompts, schema=PROMPTS), run.prompts_path)
    for label, told in answers.items():
        run.table("responses", label).append([response(ids.index(one), one, text) for one, text in told.items()])
        run.table("responses", label).close()


def response(order: int, prompt_id: str, text: str) -> dict[str, Any]:
    rest = {"finish": "eos", "ids": [1], "context_ids": [5], "context": "?"}
    return {"order": order, "prompt_id": prompt_id, "response": text, **rest}


def many(prompts: int, *labels: str) -> dict[str, dict[str, str]]:
    """Different answers of each label to so many prompts."""
    return {label: {f"p{number:02}": f"{label[::-1]} says {number}" for number in range(prompts)} for label in labels}


def rate(run: Run, rater: str, label: str, prompt_id: str, **values: int) -> None:
    """What a rater says of the answer of a model; every aspect that is not named is left out."""
    found = run.response(label, prompt_id)
    assert found is not None
    for aspect, value in values.items():
        assert aspect in ASPECTS
        answer = answer_hash(found.response)
        Ratings(run.ratings_path).append(Act("rate", rater, prompt_id, answer, aspect, value))
