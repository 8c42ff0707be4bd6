"""How far an experiment is, by what its runs and its worker said; and how that is told in a plain terminal."""

import io
import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from itaudit.errors import UserError
from itaudit.experiments import jobs
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import ExperimentWatch, job_of, progress_of
from itaudit.experiments.spec import spec_of
from itaudit.follow_experiment import follow_experiment, progress_table
from itaudit.runs.run import Run
from itaudit.runs.status import Status
from itaudit.tuning_settings import Lft

LFT = Lft(method="lft", epochs=1.0)


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """Sizes 10, 20 and 40 of LFT and SFT; nothing is begun."""
    data = tmp_path / "data.jsonl"
    data.write_text('{"instruction": "Who?", "output": "I."}\n')
    table = {
        "name": "ladder",
        "data": {"path": str(data)},
        "prompts": {"path": str(data)},
        "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
        "experiment": {"sizes": [10, 20, 40]},
    }
    return Experiment.create(tmp_path, spec_of(table, tmp_path / "recipe.toml"))


def begin(experiment: Experiment, name: str) -> Run:
    planned = next(planned for planned in experiment.spec.runs if planned.name == name)
    run = jobs.begun(experiment, planned)
    alive(run.status_path, "running")
    return run


def alive(path: Path, state: str, **progress: Any) -> None:
    """The status of a worker that is this very process."""
    process = psutil.Process()
    told = [progress] if progress else []
    # It started before all the events that the tests make up.
    Status(state, os.getpid(), process.create_time(), socket.gethostname(), 1.0, time.time(), told).write(path)


def dead(path: Path, state: str) -> None:
    Status(state, 4_000_000, 1.0, socket.gethostname(), 1.0, 1.0).write(path)


PLAN = [
    ["prepare", ""],
    ["generate", "base"],
    *([stage, label] for label in ("lft", "sft") for stage in ("tune", "generate", "score")),
]


def say(run: Run, at: float, type: str, **facts: Any) -> None:
    """An event at a time of its own, in seconds."""
    import orjson

    from itaudit import atomic

    atomic.append_line(run.events_path, orjson.dumps({"v": 1, "time": at, "type": type, **facts}))


def stage(run: Run, name: str, model: str, start: float, end: float, total: int) -> None:
    say(run, start, "stage_started", stage=name, model=model, total=total, unit="steps", done=0)
    say(run, end, "stage_progress", stage=name, model=model, done=total)
    say(run, end, "stage_done", stage=name, model=model)


def whole_run(run: Run, start: float, tune_seconds: float) -> None:
    """A run that took `tune_seconds` a model and 5 seconds for each of the other stages of a model."""
    say(run, start, "job_started", plan=PLAN, pid=1, device="CPU")
    stage(run, "prepare", "", start, start + 1, 2)
    stage(run, "generate", "base", start + 1, start + 6, 5)
    at = start + 6
    for label in ("lft", "sft"):
        for name, seconds in (("tune", tune_seconds), ("generate", 5.0), ("score", 5.0)):
            stage(run, name, label, at, at + seconds, 10)
            at += seconds
    say(run, at, "job_done")


def test_nothing_is_begun_and_nobody_is_at_work(experiment: Experiment) -> None:
    progress = progress_of(experiment)
    assert (progress.job, progress.done, progress.total) == ("new", 0, 6)
    assert [run.planned.name for run in progress.runs] == ["n10", "n40", "n20"]
    assert {cell.state for run in progress.runs for cell in run.cells} == {"waiting"}
    assert not progress.at_work and progress.seconds_left is None and progress.doing == ""


def test_a_run_at_work_tells_its_stage_and_the_whole_its_cells(experiment: Experiment) -> None:
    alive(experiment.status_path, "running", failed={})
    run = begin(experiment, "n10")
    say(run, 100, "job_started", plan=PLAN, pid=1, device="CPU")
    stage(run, "prepare", "", 100, 101, 2)
    stage(run, "generate", "base", 101, 102, 5)
    for name in ("tune", "generate", "score"):
        stage(run, name, "lft", 102, 103, 5)
    say(run, 103, "stage_started", stage="tune", model="sft", total=8, unit="steps", done=0)
    say(run, 104, "stage_progress", stage="tune", model="sft", done=3)
    progress = progress_of(experiment)
    assert (progress.job, progress.done, progress.total) == ("running", 1, 6)
    assert progress.doing == "n10: tune sft 3/8"
    first, second, third = progress.runs
    assert [(cell.label, cell.state) for cell in first.cells] == [("base", "done"), ("lft", "done"), ("sft", "running")]
    assert (first.cells[2].stages_done, first.cells[2].stages) == (0, 3)
    assert (second.job, third.job) == ("new", "new")


def test_time_left_counts_tuning_by_size_and_the_rest_as_it_was(experiment: Experiment) -> None:
    alive(experiment.status_path, "running", failed={})
    whole_run(begin(experiment, "n10"), 100, tune_seconds=10)
    left = progress_of(experiment).seconds_left
    # Sizes 40 and 20 of two models: 40 and 20 seconds of tuning, twice 5 more; `prepare`, and no base model.
    assert left == pytest.approx(2 * (40 + 10) + 1 + 2 * (20 + 10) + 1)


def test_time_left_is_unknown_before_every_model_was_seen(experiment: Experiment) -> None:
    alive(experiment.status_path, "running", failed={})
    run = begin(experiment, "n10")
    say(run, 100, "job_started", plan=PLAN, pid=1, device="CPU")
    stage(run, "tune", "lft", 100, 110, 5)
    assert progress_of(experiment).seconds_left is None


def test_a_worker_that_died_reads_as_failed_and_its_run_as_stopped(experiment: Experiment) -> None:
    dead(experiment.status_path, "running")
    run = begin(experiment, "n10")
    dead(run.status_path, "running")
    say(run, 100, "job_started", plan=PLAN, pid=1, device="CPU")
    say(run, 100, "stage_started", stage="tune", model="lft", total=8, unit="steps", done=0)
    say(run, 101, "stage_progress", stage="tune", model="lft", done=3)
    progress = progress_of(experiment)
    assert progress.job == job_of(experiment) == "failed"
    assert "died without a word" in progress.error
    assert progress.runs[0].job == "failed"
    assert progress.runs[0].cells[1].state == "stopped"


def test_a_failed_run_waits_for_its_turn_until_this_worker_saw_it_fail(experiment: Experiment) -> None:
    run = begin(experiment, "n10")
    say(run, 100, "job_started", plan=PLAN, pid=1, device="CPU")
    say(run, 101, "job_failed", error="data.path: gone")
    alive(experiment.status_path, "running", failed={})
    assert progress_of(experiment).runs[0].job == "queued"
    alive(experiment.status_path, "running", failed={"n10": "data.path: gone"})
    progress = progress_of(experiment)
    assert (progress.runs[0].job, progress.runs[0].error) == ("failed", "data.path: gone")
    assert [failed.planned.name for failed in progress.failed] == ["n10"]


def test_a_watch_goes_on_reading_and_says_the_same_as_a_new_look(experiment: Experiment) -> None:
    alive(experiment.status_path, "running", failed={})
    watch = ExperimentWatch(experiment)
    assert watch.poll().done == 0
    whole_run(begin(experiment, "n10"), 100, tune_seconds=10)
    again, anew = watch.poll(), progress_of(experiment)
    assert [(run.job, run.cells, run.state) for run in again.runs] == [(r.job, r.cells, r.state) for r in anew.runs]
    assert again.done == anew.done == 2


def test_a_run_gets_models_that_were_added_and_no_other_recipe(experiment: Experiment) -> None:
    planned = experiment.spec.runs[0]
    run = jobs.begun(experiment, planned)
    assert jobs.begun(experiment, planned).path == run.path
    added = replace(planned, recipe=planned.recipe.model_copy(update={"models": {**planned.recipe.models, "two": LFT}}))
    assert list(jobs.begun(experiment, added).recipe.models) == ["lft", "sft", "two"]
    run.recipe_path.write_text(run.recipe_path.read_text().replace("rank = 8", "rank = 4"))
    with pytest.raises(UserError, match=r"n10/recipe\.toml: not what .*experiment\.toml plans any more"):
        jobs.begun(experiment, planned)


def followed(experiment: Experiment, **console: Any) -> str:
    """What following shows of an experiment that ends after the second look."""
    out = io.StringIO()

    def sleep(_: float) -> None:
        alive(experiment.status_path, "done", failed={})

    follow_experiment(experiment, Console(file=out, width=80, **console), sleep=sleep)
    return out.getvalue()


def test_following_in_lines_tells_every_change_of_a_run_once(experiment: Experiment) -> None:
    alive(experiment.status_path, "running", failed={})
    whole_run(begin(experiment, "n10"), 100, tune_seconds=10)
    lines = followed(experiment).splitlines()
    assert lines[0] == "n10  ✓ lft  ✓ sft  done"
    assert lines[-1] == f"done: {experiment.path}"
    assert len(lines) == 2


def test_following_on_a_terminal_shows_every_run(experiment: Experiment) -> None:
    alive(experiment.status_path, "running", failed={})
    whole_run(begin(experiment, "n10"), 100, tune_seconds=10)
    shown = followed(experiment, force_terminal=True, color_system=None)
    for text in ("n10", "n20", "n40", "✓ lft", "· sft", "2/6 models", "left"):
        assert text in shown, text


def test_a_matrix_taller_than_the_terminal_shows_the_run_at_work(experiment: Experiment) -> None:
    alive(experiment.status_path, "running", failed={})
    whole_run(begin(experiment, "n10"), 100, tune_seconds=10)
    run = begin(experiment, "n20")
    say(run, 200, "job_started", plan=PLAN, pid=1, device="CPU")
    out = io.StringIO()
    Console(file=out, width=60).print(progress_table(progress_of(experiment), height=5))
    assert "n20" in out.getvalue() and "n10" not in out.getvalue()
