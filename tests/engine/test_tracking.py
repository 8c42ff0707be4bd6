"""W&B and trackio, where they are installed: a tracked run for each model, which a resumed tuning goes on with."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit.engine.heart import Cancelled
from itaudit.engine.models import find_model
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.tune import tune_model
from itaudit.runs.run import Run

MakeRun = Callable[..., Run]
_BLOCK, _HEADER = 32768, 7


def models(tracker: str, **changes: Any) -> dict[str, dict[str, Any]]:
    shared = {"batch_size": 2, "micro_batch_size": 2, "steps": 4, "checkpoint_steps": 1, "report_to": [tracker]}
    return {label: {"method": label, **shared, **changes} for label in ("lft", "sft")}


def tune(run: Run, base: Path, label: str) -> None:
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
        tune_model(run, label, find_model(str(base)), reporter)


def losses(run: Run, label: str) -> dict[int, float]:
    return {point.step: pytest.approx(point.loss) for point in run.state().losses[label]}


def wandb_records(file: Path) -> Iterator[bytes]:
    """The records of a W&B run on the disk: after the file's header, blocks of pieces as in LevelDB's log."""
    content, at, record = file.read_bytes(), _HEADER, b""
    while at + _HEADER <= len(content):
        _, length, kind = struct.unpack("<IHB", content[at : at + _HEADER])
        if _BLOCK - at % _BLOCK < _HEADER or (length, kind) == (0, 0):
            at += _BLOCK - at % _BLOCK
            continue
        at += _HEADER + length
        # A whole record, or its first, a middle or its last piece.
        record = content[at - length : at] if kind in (1, 2) else record + content[at - length : at]
        if kind in (1, 4):
            yield record


def wandb_run(file: Path) -> tuple[str, str, str, dict[int, float], dict[str, str]]:
    """(project, name, id, losses by step, configuration as JSON) of a W&B run on the disk."""
    from wandb.proto import wandb_internal_pb2

    told: tuple[str, str, str] = ("", "", "")
    found: dict[int, float] = {}
    configuration: dict[str, str] = {}
    for content in wandb_records(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        if record.HasField("run"):
            told = record.run.project, record.run.display_name, record.run.run_id
        configuration |= {item.key: item.value_json for item in record.config.update}
        row = {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        if "train/loss" in row:
            found[int(row["train/global_step"])] = float(row["train/loss"])
    return *told, found, configuration


def test_wandb_has_a_run_for_each_model_that_a_resumed_tuning_goes_on_with(
    make_run: MakeRun, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, stop_at: Callable[[int], None]
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = make_run(models=models("wandb", learning_rate=0.001))
    tune(run, tiny_llama, "lft")
    stop_at(2)
    with pytest.raises(Cancelled):
        tune(run, tiny_llama, "sft")
    tune(run, tiny_llama, "sft")
    written = {label: sorted((run.path / "tracking" / label).rglob("run-*.wandb")) for label in ("lft", "sft")}
    told = {label: [wandb_run(file) for file in files] for label, files in written.items()}
    (lft,), (before, after) = told["lft"], told["sft"]
    assert lft[:2] == ("itaudit", "tiny-lft") and lft[3] == losses(run, "lft") and len(lft[3]) == 4
    assert before[:3] == after[:3] and before[:2] == ("itaudit", "tiny-sft") and before[2] != lft[2]
    assert sorted(before[3]) == [1, 2] and sorted(after[3]) == [3, 4]
    assert before[3] | after[3] == losses(run, "sft")
    assert (lft[4]["learning_rate"], lft[4]["max_steps"]) == ("0.001", "4") and "peft_config" in lft[4]
    assert not (run.path / "checkpoints" / "sft").exists()


def test_trackio_has_a_run_for_each_model_and_never_goes_on_with_anothers(
    make_run: MakeRun, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: Callable[[int], None]
) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed")
    from trackio import sqlite_storage, utils

    for module in (sqlite_storage, utils):
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    run = make_run(models=models("trackio"))
    tune(run, tiny_llama, "sft")
    other = Run.create(tmp_path / "elsewhere", run.recipe)
    tune(other, tiny_llama, "sft")
    stop_at(2)
    with pytest.raises(Cancelled):
        tune(run, tiny_llama, "lft")
    tune(run, tiny_llama, "lft")
    found = {}
    for name in ("tiny-lft", "tiny-sft", "tiny-sft-2"):
        logged = sqlite_storage.SQLiteStorage.get_logs("itaudit", name)
        found[name] = {row["train/global_step"]: row["train/loss"] for row in logged if "train/loss" in row}
    assert found["tiny-lft"] == losses(run, "lft") and found["tiny-sft"] == losses(run, "sft")
    assert found["tiny-sft-2"] == losses(other, "sft") and len(found["tiny-lft"]) == 4


def test_wandb_without_a_key_is_one_line_before_anything_loads(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    asked = (
        "from itaudit.engine.tracking import check_login\n"
        "from itaudit.errors import UserError\n"
        "from itaudit.tuning_settings import Lft\n"
        "try:\n    check_login({'quiet': Lft(method='lft'), 'm': Lft(method='lft', report_to=['wandb'])})\n"
        "except UserError as error:\n    print(error)\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    told = subprocess.run(
        [sys.executable, "-c", asked],
        env=clean | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=True,
    )
    assert told.stdout.startswith("models.m.report_to: W&B does not answer as it should: ")
    assert told.stdout.count("\n") == 1 and "log in with `wandb login`, or set WANDB_MODE=offline" in told.stdout


def test_a_tuning_without_trackers_leaves_no_memory_of_one(make_run: MakeRun, tiny_llama: Path) -> None:
    run = make_run(models={"lft": models("tensorboard")["lft"] | {"report_to": []}})
    remembered: list[Path] = []
    told = Reporter.loss

    def loss(reporter: Reporter, model: str, **facts: float) -> None:
        remembered.extend((run.path / "checkpoints").rglob("tracked.json"))
        told(reporter, model, **facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reporter, "loss", loss)
        tune(run, tiny_llama, "lft")
    assert remembered == [] and orjson.loads((run.path / "status.json").read_bytes())
