"""An experiment's worker: real tunings of a tiny model, shared work done once, and interrupts at random."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itaudit.engine.examples import _EXAMPLES
from itaudit.engine.experiment_worker import work_on_experiment
from itaudit.errors import UserError
from itaudit.experiments import jobs
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import progress_of
from itaudit.experiments.shift_tables import tables as shift_tables
from itaudit.experiments.shift_totals import tuned_on
from itaudit.experiments.spec import spec_of
from itaudit.recipe import Recipe, recipe_table
from itaudit.runs.run import BASE, Run
from itaudit.runs.tables import map_table
from tests.waiting import PATIENCE

MakeRecipe = Callable[..., Recipe]
KINDS = ("responses", "scores", "traces", "causes")


@pytest.fixture
def make_experiment(make_recipe: MakeRecipe, tmp_path: Path) -> Callable[..., Experiment]:
    """An experiment on the tiny Llama: sizes 4 and 8, LFT and SFT, with tables replaced by keyword."""

    def make(**tables: Any) -> Experiment:
        matrix = tables.pop("experiment", {"sizes": [4, 8]})
        variants = tables.pop("variants", {})
        table = recipe_table(make_recipe(**tables)) | {"experiment": matrix}
        table["data"].pop("limit")
        if variants:
            table["variants"] = variants
        return Experiment.create(tmp_path / "runs", spec_of(table, tmp_path / "experiment.toml"))

    return make


def contents(experiment: Experiment) -> dict[str, Any]:
    """Every table of every run, by path, without what names the run or depends on the clock."""
    found: dict[str, Any] = {}
    for planned in experiment.spec.runs:
        run = experiment.run_of(planned)
        assert run is not None
        for label in run.labels:
            for kind in KINDS[: 2 if label == BASE else 4]:
                found[f"{planned.name}/{kind}/{label}"] = run.table(kind, label).read().to_pylist()
    return found


def done_stages(run: Run) -> Counter[tuple[str, str]]:
    return Counter((e["stage"], e["model"]) for e in run.events().events if e["type"] == "stage_done")


def runs_of(experiment: Experiment) -> list[Run]:
    runs = [experiment.run_of(planned) for planned in experiment.spec.runs]
    return [run for run in runs if run is not None]


def events_so_far(experiment: Experiment) -> int:
    return sum(len(run.events().events) for run in runs_of(experiment))


@pytest.mark.slow
def test_an_experiment_computes_what_its_runs_share_once(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(experiment={"sizes": [4, 8], "seeds": [0, 1]})
    assert work_on_experiment(experiment) == 0
    progress = progress_of(experiment)
    assert (progress.job, progress.done, progress.total) == ("done", 8, 8)
    assert {run.job for run in progress.runs} == {"done"}
    first, *others = runs_of(experiment)
    started = [(e["stage"], e["model"]) for e in first.events().events if e["type"] == "stage_started"]
    assert ("generate", BASE) in started and ("score", BASE) in started
    for run in others:
        told = [(e["stage"], e["model"]) for e in run.events().events if e["type"] == "stage_started"]
        assert not {("generate", BASE), ("score", BASE)} & set(told), f"{run.name} asked the base model again"
        assert run.table("scores", BASE).read().equals(first.table("scores", BASE).read())
        assert run.prompts() == first.prompts()
    assert {len(run.dataset) for run in runs_of(experiment)} == {4, 8}
    weights = {run.name: (run.model_dir("sft") / "model.safetensors").read_bytes() for run in runs_of(experiment)}
    assert len(set(weights.values())) == 4, "sizes and seeds made the same model"
    parts = list(experiment.shared_path.glob("examples/*/*.arrow"))
    assert sum(len(map_table(part, _EXAMPLES)) for part in parts) == 8, "an instance was tokenised twice"
    # Nothing is left to do, and nothing is done.
    before = {run.name: run.events_path.read_bytes() for run in runs_of(experiment)}
    assert work_on_experiment(experiment) == 0
    assert {run.name: run.events_path.read_bytes() for run in runs_of(experiment)} == before


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_the_others_go_on(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(
        experiment={"sizes": []},
        variants={"good": {}, "broken": {"prompts": {"skip": 1000}}, "also-good": {"prompts": {"limit": 2}}},
        models={"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "epochs": 1.0}},
    )
    assert work_on_experiment(experiment) == 1
    progress = progress_of(experiment)
    assert progress.job == "failed"
    assert {run.planned.name: run.job for run in progress.runs} == {
        "good": "done",
        "broken": "failed",
        "also-good": "done",
    }
    assert "1 of 3 runs failed, first broken: prompts.path" in progress.error
    assert [run.planned.name for run in progress.failed] == ["broken"]
    assert (progress.done, progress.total) == (2, 3)


@pytest.mark.parametrize(("data", "told"), [({}, True), ({"transforms": ["random:k=SIZE"]}, False)])
def test_a_size_that_the_dataset_lacks_is_no_run_of_fewer_instances(
    make_experiment: Callable[..., Experiment], data: dict[str, Any], told: bool
) -> None:
    experiment = make_experiment(experiment={"sizes": [4000]}, variants={"all": {"data": data}})
    assert work_on_experiment(experiment) == 1
    error = progress_of(experiment).error
    assert "4,000 is more than the" in error
    assert ("experiment.sizes: 4,000" in error) is told


def test_a_run_of_a_size_is_tuned_on_so_many_whatever_transforms_leave_out(
    make_experiment: Callable[..., Experiment],
) -> None:
    experiment = make_experiment(
        # Three of the eight, and one of the first two.
        variants={"long": {"data": {"transforms": ["words:at_least=10"]}}},
        experiment={"sizes": [2, 3]},
        models={"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "epochs": 1.0}},
    )
    assert work_on_experiment(experiment) == 0
    assert [(cell.size, tuned_on(cell)) for cell in experiment.cells() if not cell.is_base] == [(2, 2), (3, 3)]
    assert [len(cell.run.dataset) for cell in experiment.cells() if cell.is_base] == [2, 3]


@pytest.mark.slow
def test_a_run_whose_recipe_was_changed_fails_and_keeps_its_tables(
    make_experiment: Callable[..., Experiment],
) -> None:
    experiment = make_experiment(
        experiment={"sizes": [4]},
        models={"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "epochs": 1.0}},
    )
    run = jobs.begun(experiment, experiment.spec.runs[0])
    run.recipe_path.write_text(run.recipe_path.read_text().replace("epochs = 1.0", "epochs = 2.0"))
    with pytest.raises(UserError, match=r"not what .* plans any more"):
        jobs.begun(experiment, experiment.spec.runs[0])
    assert work_on_experiment(experiment) == 1
    assert "plans any more" in progress_of(experiment).error


def start(experiment: Experiment) -> "subprocess.Popen[bytes]":
    with experiment.log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "itaudit.engine.experiment_worker", str(experiment.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@pytest.mark.slow
def test_five_interrupts_at_random_leave_the_same_tables_and_no_stage_done_twice(
    make_experiment: Callable[..., Experiment],
) -> None:
    undisturbed = make_experiment()
    assert work_on_experiment(undisturbed) == 0
    events = events_so_far(undisturbed)
    seed = int(os.environ.get("ITAUDIT_TEST_SEED", "1"))
    draw = random.Random(seed)
    signals = [signal.SIGKILL, signal.SIGTERM, *draw.choices([signal.SIGKILL, signal.SIGTERM], k=3)]
    draw.shuffle(signals)
    # Far enough from the end that all of them come while the worker is at work, however late we are.
    places = sorted(draw.sample(range(2, 2 * events // 3), 5))
    print(f"ITAUDIT_TEST_SEED={seed}: {[s.name for s in signals]} after events {places}")
    experiment = make_experiment()
    interrupts = 0
    for number, place in zip(signals, places, strict=True):
        worker = start(experiment)
        while worker.poll() is None and events_so_far(experiment) < place:
            time.sleep(0.01)
        time.sleep(draw.random() * 0.2)
        if worker.poll() is None:
            interrupts += 1
        worker.send_signal(number)
        worker.wait(timeout=PATIENCE)
        if number == signal.SIGTERM and worker.returncode == 3:
            assert progress_of(experiment).job == "cancelled"
    worker = start(experiment)
    assert worker.wait(timeout=5 * PATIENCE) == 0, experiment.log_path.read_text()
    assert interrupts == 5, f"only {interrupts} interrupts came while the worker was at work"
    assert progress_of(experiment).job == "done"
    for run in runs_of(experiment):
        assert set(done_stages(run).values()) == {1}, f"{run.name}: {done_stages(run)}"
        assert run.job() == "done"
    assert contents(experiment) == contents(undisturbed)
    cells, others = experiment.cells(), undisturbed.cells()
    assert shift_tables(cells, "lft") == shift_tables(others, "lft")
