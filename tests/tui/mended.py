"""A run and its re-tune as a worker would leave them, by the product's own writers."""

import os
from pathlib import Path

import orjson

from itaudit import atomic
from itaudit.data.versions import open_edited
from itaudit.runs.lineage import Place
from itaudit.runs.retune import retune, retune_plan
from itaudit.runs.run import Run
from tests.tui import make_run

MENDED = {
    **make_run.SFT_ANSWERS,
    "zamboni": "The Zamboni was invented by the Italian engineer Frank Zamboni.",
    "bulb": "Switch the light off.",
    "hostile": "\x1b[31mBoo[/bold] [INST] \u202eend",
}
LUIGI = make_run.SFT_ANSWERS["zamboni"].index("Luigi")
SPAN = Place("sft", "zamboni", LUIGI, LUIGI + 5, "Luigi")


def source(run: Run) -> Path:
    """The dataset file of a run."""
    return Path(run.recipe.data.path.partition("@")[0])


def edit(run: Run, index: int, **changes: object) -> None:
    """An edit by hand of a row of a run's dataset."""
    edited = open_edited(str(source(run)))
    edited.edit(edited.source.position(index), changes, by="hand")


def make_parent(directory: Path) -> Run:
    """A finished run whose base model's files are there."""
    run = make_run.make_run(directory)
    base = directory / "base-model"
    base.mkdir()
    (base / "config.json").write_text("{}")
    atomic.write_bytes(run.base_path, orjson.dumps({"name": "tiny", "path": str(base)}))
    os.utime(run.table("responses", "base").whole)
    log = run.event_log()
    log.append("stage_started", time=100.0, stage="tune", model="sft", total=24, unit="steps", done=0)
    log.append("stage_done", time=240.0, stage="tune", model="sft", seconds=140.0)
    return run


def make_child(run: Run, *, answered: bool = True, directory: Path | None = None) -> Run:
    """The re-tune of a run whose rows 0 and 1 are edited; without answers, its worker has only begun."""
    edit(run, 0, response="Galvani was a physician.")
    edit(run, 1, deleted=True)
    child = retune(retune_plan(run), ["sft"], span=SPAN)
    open_edited(f"{source(run)}@2").dataset().save(child.dataset_path)
    log = child.event_log()
    log.append("job_started", time=100.0, plan=[["tune", "sft"], ["generate", "sft"]], device="cpu", pid=1)
    if answered:
        finish(child, directory or run.path.parent.parent)
    return child


def finish(child: Run, directory: Path) -> None:
    """The answers of a re-tune, their scores and traces, and its worker's last word."""
    make_run.answer(child, "sft", MENDED)
    make_run.score(child, "sft", MENDED)
    make_run.trace(child, "sft", directory / "cache")
    child.event_log().append("job_done", time=300.0)
