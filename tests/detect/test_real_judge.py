"""The embedded model as judge, behind a real `transformers serve` and in a process of its own.

It is far too small to judge. What has to hold is that its words are counted, and not believed.
"""

import time

import pytest

from itaudit.detect.job import detect_status, start_detecting
from itaudit.detect.judge_task import answers_path, judge_task
from itaudit.detect.span_judging import SpanJudging
from itaudit.runs.run import Run
from tests.transformers_serve import transformers_serve

pytestmark = pytest.mark.slow

ASKED = ("zamboni", "coa", "hostile")
"""Each question takes this model many seconds on a CPU."""
KNOWN = ("cut off", "led astray, or can't judge", "holds no JSON object", "refuses", "answered nothing", "none of the")


def finish(run: Run, label: str, changes: dict[str, object], seconds: float) -> SpanJudging:
    """Judges a model's responses in a job, and checks what is told of each."""
    table = run.table("responses", label)
    table.replace([row for row in table.read().to_pylist() if row["prompt_id"] in ASKED])
    judge_task(run, label, changes)
    start_detecting(run, ["judge"], [label])
    until = time.monotonic() + seconds
    while (status := detect_status(run)).at_work:
        assert time.monotonic() < until, (status, run.detect_log_path.read_text())
        time.sleep(0.2)
    assert (status.state, status.error) == ("done", ""), run.detect_log_path.read_text()
    judging = SpanJudging(run, label, judge_task(run, label, changes))
    for case in judging.cases:
        found = run.detection("judge", label, case.prompt.id)
        assert found.problem == "" or any(problem in found.problem for problem in KNOWN), found
        assert all(case.response[c.start : c.end] == c.text for c in found.candidates)
        assert not (found.problem and found.candidates)
    return judging


def test_a_judge_behind_transformers_serve_is_counted_and_not_believed(run: Run) -> None:
    with transformers_serve() as (base_url, model):
        changes = {
            "engine": "endpoint",
            "endpoint.base_url": base_url,
            "endpoint.model": model,
            "endpoint.max_tokens": 48,
            "endpoint.concurrency": 2,
            "endpoint.retries": 8,
        }
        judging = finish(run, "sft", changes, 1200)
    answered = answers_path(run, "sft").read_bytes().splitlines()
    assert len(answered) >= sum(bool(case.response.strip()) for case in judging.cases) - 1
    problems = [run.detection("judge", "sft", case.prompt.id).problem for case in judging.cases]
    assert sum(map(bool, problems)) >= len(ASKED) - 1, problems


def test_a_judge_in_this_process_is_counted_and_not_believed(run: Run) -> None:
    judging = finish(run, "lft", {"local.device": "cpu", "local.max_new_tokens": 48}, 1200)
    assert answers_path(run, "lft").stat().st_size > 0
    assert all(run.detection("judge", "lft", case.prompt.id) is not None for case in judging.cases)
