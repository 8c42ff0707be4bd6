"""The evaluate stage of a whole run on a tiny model, with a judge behind a real HTTP server."""

from collections.abc import Callable

from itaudit.engine.worker import plan, work_on
from itaudit.runs.judgements import aspect_ratings, judged_pairs, preferences
from itaudit.runs.run import Run
from tests.engine.conftest import PROMPTS
from tests.judge.judges import by_length, replying
from tests.simplify.server import serving


def test_a_run_whose_recipe_names_a_judge_ends_with_its_judgements(make_run: Callable[..., Run]) -> None:
    with serving(replying(by_length)) as server:
        judge = {"engine": "endpoint", "endpoint": {"base_url": server.base_url, "model": "tiny", "retries": 0}}
        run = make_run(evaluate={"judge": judge})
        assert plan(run.recipe)[-1] == ("evaluate", "")
        assert work_on(run) == 0
        asked = len(server.requests)
        assert work_on(run) == 0 and len(server.requests) == asked
    done = [event for event in run.events().events if event["type"] == "stage_done" and event["stage"] == "evaluate"]
    assert len(done) == 1 and run.job() == "done"
    assert all(len(aspect_ratings(run, label)) == len(PROMPTS) for label in ("base", "lft", "sft"))
    assert judged_pairs(run) == [("lft", "sft")] and len(preferences(run, "sft", "lft")) == len(PROMPTS)


def test_a_judge_that_is_missing_fails_the_run_before_anything_is_tuned(make_run: Callable[..., Run]) -> None:
    run = make_run(evaluate={"judge": {"engine": "endpoint"}})
    assert work_on(run) == 1
    assert "evaluate.judge.endpoint.base_url: required" in run.state().error
    assert not run.model_dir("lft").exists()
