"""Runs on Super-NaturalInstructions tasks from tuning to their tables of scores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itaudit.engine.worker import work_on
from itaudit.evaluation.task_metrics import exact_match, rouge_l
from itaudit.evaluation.task_tables import tables
from itaudit.runs.cells import cells_of
from itaudit.runs.run import Run

from ..evaluation.task_run import recipe_table, write_tasks

MakeRun = Callable[..., Run]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_t5"])
def test_decoders_and_encoder_decoders_are_scored_by_task(
    make_run: MakeRun, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    told: dict[str, Any] = recipe_table(write_tasks(tmp_path / "tasks"))
    run = make_run(
        base={"model": str(request.getfixturevalue(kind))},
        data=told["data"],
        prompts=told["prompts"],
        context={"template": "tk-instruct"},
        models={"sft": {"method": "sft", "learning_rate": 0.01, "batch_size": 2, "micro_batch_size": 2, "epochs": 8.0}},
    )
    assert work_on(run) == 0, run.state().error
    found = {table.name: table for table in tables(cells_of(run), "sft")}
    rows = {(one["tasks"], one["model"]): one for one in found["task_scores"].rows}
    asked = run.prompts_dataset
    assert asked is not None and run.response("sft", run.prompts()[0].id) is not None
    for (part, label), row in rows.items():
        pairs = [
            (run.response(label, prompt.id), instance)
            for prompt, instance in zip(run.prompts(), asked, strict=True)
            if part == _part(instance.extra["task"])
        ]
        for metric, key in ((exact_match, "exact_match"), (rouge_l, "rouge_l")):
            scores = [metric(response.response, instance.references) for response, instance in pairs if response]
            assert row["prompts"] == len(scores)
            assert row[key].value == pytest.approx(sum(scores) / len(scores))  # type: ignore[union-attr]  # an estimate
    for row in found["random_guess"].rows:
        assert row["agree"] == "yes"
        assert row["expected"] == pytest.approx(1 / int(str(row["labels"])))


def _part(task: str) -> str:
    if task == "task3_tell":
        return "generation, tuned on"
    return "classification, unseen" if task == "task4_fair" else "classification, tuned on"
