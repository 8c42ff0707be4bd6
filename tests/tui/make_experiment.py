"""Builds the directory of an experiment: its recipe, and runs that are done, at work, failed, or not begun."""

import os
import shutil
import socket
from pathlib import Path

import psutil
import tomli_w

from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import read_spec
from itaudit.runs.run import Run
from itaudit.runs.status import Status
from tests.tui.harness import NOW, alive, finish, half_done, make_run

MODELS = {"lft": {"method": "lft"}, "sft": {"method": "sft"}}


def plan(directory: Path, name: str = "ladder", **experiment: object) -> Experiment:
    """An experiment that nobody has started; `experiment` is its table `[experiment]`."""
    directory.mkdir(parents=True, exist_ok=True)
    for file in ("data.jsonl", "prompts.jsonl"):
        (directory / file).write_text('{"instruction": "Say boo", "output": "Boo"}\n', encoding="utf-8")
    table = {
        "name": name,
        "data": {"path": "data.jsonl"},
        "prompts": {"path": "prompts.jsonl"},
        "models": MODELS,
        "experiment": {"sizes": [40, 80, 160, 320], "published": "ghosh2024", **experiment},
    }
    recipe = directory / f"{name}.toml"
    recipe.write_text(tomli_w.dumps(table), encoding="utf-8")
    return Experiment.create(directory / "runs", read_spec(recipe))


def done(experiment: Experiment, name: str, built: Run) -> Run:
    """A run of the experiment that came to its end, with the tables of another."""
    run = Run(shutil.copytree(built.path, experiment.runs_path / name))
    finish(half_done(run), NOW + 80)
    return run


def at_work(experiment: Experiment, name: str) -> Run:
    """A run of the experiment in the middle of tuning."""
    run = make_run(experiment.runs_path, name)
    half_done(run)
    alive(run)
    return run


def failed(experiment: Experiment, name: str, error: str) -> Run:
    """A run of the experiment that failed in the middle of tuning."""
    run = make_run(experiment.runs_path, name)
    half_done(run).append("job_failed", time=NOW + 70, error=error)
    return run


def worker(experiment: Experiment, state: str = "running", error: str = "") -> None:
    """A status whose worker is alive: this process stands in for it."""
    me = psutil.Process()
    status = Status(state, os.getpid(), me.create_time(), socket.gethostname(), NOW, NOW, error=error)
    status.write(experiment.status_path)


def ladder(directory: Path, built: Run) -> Experiment:
    """An experiment at work: two sizes are done, one is tuned, and one failed."""
    experiment = plan(directory)
    done(experiment, "n40", built)
    done(experiment, "n320", built)
    failed(experiment, "n160", "out of memory; set models.sft.micro_batch_size = 1")
    at_work(experiment, "n80")
    worker(experiment)
    return experiment
