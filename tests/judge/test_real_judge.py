"""The embedded model as judge of quality, behind a real `transformers serve` and in a process of its own.

It is far too small to judge. What has to hold is that its words are counted, and averaged into nothing.
"""

import time

import pytest

from itaudit.evaluation.judge_tables import tables
from itaudit.evaluation.judge_task import answers_path, begin_judging
from itaudit.experiments.evaluating import evaluation_paths, evaluation_status, start_evaluating
from itaudit.runs.cells import cells_of
from itaudit.runs.judgements import aspect_ratings, judging_folder, preferences
from itaudit.runs.run import Run
from tests.transformers_serve import transformers_serve

pytestmark = pytest.mark.slow

ASKED = ("zamboni", "coa")
"""A question of 600 tokens takes this model seconds on a CPU."""


def finish(run: Run, changes: dict[str, object], seconds: float) -> None:
    """Has a judge look at one model and one pair in a job, and checks that the tables say what the answers are."""
    for label in ("lft", "sft"):
        table = run.table("responses", label)
        table.replace([row for row in table.read().to_pylist() if row["prompt_id"] in ASKED])
    begin_judging(judging_folder(run), run.recipe.evaluate, changes, ["aspects", "pairs"])
    start_evaluating(run.path, [], ["sft"], ["sft:lft"])
    until = time.monotonic() + seconds
    while (status := evaluation_status(run.path)).at_work:
        assert time.monotonic() < until, (status, evaluation_paths(run.path)[1].read_text())
        time.sleep(0.2)
    assert (status.state, status.error) == ("done", ""), evaluation_paths(run.path)[1].read_text()
    assert status.done == status.total == 3 * len(ASKED)
    ratings = aspect_ratings(run, "sft")
    told = {table.name: table for table in tables(cells_of(run), "lft")}
    (row,) = (row for row in told["judge_failures"].rows if row["model"] == "sft" and not row.get("against"))
    failed = [one for one in ratings.values() if one.failure]
    assert row["judged"] == len(ratings) - len(failed) and all(one.problem and not one.scores for one in failed)
    assert sum(row[name] for name in ("nonsense", "refused", "cut_off", "empty", "unusable")) == len(failed)
    assert all(len(one.scores) == 5 for one in ratings.values() if not one.failure)
    for order in (("sft", "lft"), ("lft", "sft")):
        assert all((one.better is None) == bool(one.failure) for one in preferences(run, *order).values())
    assert answers_path(judging_folder(run), "aspects").stat().st_size > 0


def test_a_judge_behind_transformers_serve_is_counted_and_not_averaged_in(run: Run) -> None:
    with transformers_serve() as (base_url, model):
        changes = {
            "engine": "endpoint",
            "endpoint.base_url": base_url,
            "endpoint.model": model,
            "endpoint.max_tokens": 32,
            "endpoint.concurrency": 2,
            "endpoint.retries": 8,
        }
        finish(run, changes, 1800)


def test_a_judge_in_a_process_of_its_own_is_counted_and_not_averaged_in(run: Run) -> None:
    finish(run, {"local.device": "cpu", "local.max_new_tokens": 32, "local.batch_size": 4}, 1800)
