"""Enhancement methods and reporting: equal budgets, noise while tuning alone, files that trackers read."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from itaudit.engine.checks import check_models
from itaudit.engine.experiment_worker import work_on_experiment
from itaudit.engine.models import find_model
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.tune import tune_model
from itaudit.errors import UserError
from itaudit.experiments import enhancement_tables
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import spec_of
from itaudit.recipe import Recipe, recipe_table
from itaudit.runs.run import Run
from itaudit.style import tables as style_tables
from tests.engine.conftest import files

MakeRun = Callable[..., Run]
LFT = {"method": "lft", "batch_size": 2, "micro_batch_size": 2, "learning_rate": 0.01}


def tune(run: Run, base: Path) -> None:
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
        for label in run.labels[1:]:
            tune_model(run, label, find_model(str(base)), reporter)


def test_a_filtered_dataset_is_tuned_on_for_as_many_steps_as_the_whole_one(
    make_run: MakeRun, make_recipe: Callable[..., Recipe], tiny_llama: Path
) -> None:
    data = make_recipe().data.path
    for transforms, epochs in ([], 1.75), (["longest:k=2"], 7.0):
        run = make_run(data={"path": data, "transforms": transforms}, models={"lft": LFT | {"steps": 7}})
        tune(run, tiny_llama)
        state = run.state()
        assert [point.step for point in state.losses["lft"]] == [1, 2, 3, 4, 5, 6, 7]
        assert state.stages["tune:lft"].total == 7
        assert state.losses["lft"][-1].epoch == pytest.approx(epochs)


def test_noise_changes_what_is_learnt_and_no_noise_changes_nothing(make_run: MakeRun, tiny_llama: Path) -> None:
    labels = {"lft": 0.0, "again": 0.0, "noisy": 5.0}
    run = make_run(models={label: LFT | {"steps": 4, "neftune_alpha": alpha} for label, alpha in labels.items()})
    tune(run, tiny_llama)
    losses = {label: [point.loss for point in run.state().losses[label]] for label in labels}
    assert losses["lft"] == losses["again"] != losses["noisy"]


def test_ranks_of_a_ladder_train_in_proportion(make_run: MakeRun, tiny_llama: Path) -> None:
    run = make_run(models={f"r{rank}": LFT | {"steps": 1, "rank": rank} for rank in (2, 8)})
    tune(run, tiny_llama)
    events = run.events().events
    trained = {
        event["model"]: event["trainable"] for event in events if event["type"] == "stage_done" and event["model"]
    }
    assert trained["r8"] == 4 * trained["r2"] > 0


def test_tensorboard_s_files_hold_the_losses_and_outlive_the_checkpoints(make_run: MakeRun, tiny_llama: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    run = make_run(models={"lft": LFT | {"steps": 3, "report_to": ["tensorboard"]}})
    tune(run, tiny_llama)
    assert not (run.path / "checkpoints" / "lft").exists()
    [written] = (run.path / "tracking" / "lft").glob("events.out.tfevents.*")
    content, found, at = written.read_bytes(), {}, 0
    while at < len(content):
        # A record: length, its checksum, the event, its checksum.
        length = int.from_bytes(content[at : at + 8], "little")
        record = content[at + 12 : at + 12 + length]
        assert masked_crc32c(record) == int.from_bytes(content[at + 12 + length : at + 16 + length], "little")
        event = Event.FromString(record)
        for value in event.summary.value:
            if value.tag == "train/loss":
                found[event.step] = value.simple_value
        at += 16 + length
    told = {point.step: pytest.approx(point.loss, abs=1e-3) for point in run.state().losses["lft"]}
    assert found == told and len(told) == 3


@pytest.mark.parametrize("tracker", ["wandb", "tensorboard", "trackio"])
def test_a_tracker_that_is_not_installed_is_told_before_anything_loads(
    make_recipe: Callable[..., Recipe], tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, tracker: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    recipe = make_recipe(models={"m": {"method": "sft", "report_to": [tracker]}})
    with pytest.raises(UserError, match=rf"models\.m\.report_to: {tracker} wants the package .*: pip install"):
        check_models(recipe, files(tiny_llama), torch.device("cpu"), ["m"])


@pytest.mark.slow
def test_an_experiment_carries_every_method_out_under_one_budget(
    make_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    models = {"lft": LFT | {"steps": 3}, "noisy": LFT | {"steps": 3, "neftune_alpha": 5.0}}
    steps = {"plain": [], "random": ["random:k=4"], "longest": ["longest:k=4"], "ifd": ["ifd:k=2,at_most=inf"]}
    variants = {name: {"data": {"transforms": one}, "models": ["lft"]} for name, one in steps.items()}
    variants["plain"] = {}
    table = recipe_table(make_recipe(models=models)) | {"experiment": {"reference": "lft"}, "variants": variants}
    experiment = Experiment.create(tmp_path / "runs", spec_of(table, tmp_path / "experiment.toml"))
    assert work_on_experiment(experiment) == 0
    [against] = enhancement_tables.tables(experiment.cells(), "lft")
    rows = {(row["variant"], row["model"]): row for row in against.rows}
    assert list(rows) == [("plain", "lft"), ("plain", "noisy"), ("random", "lft"), ("longest", "lft"), ("ifd", "lft")]
    assert [row["instances"] for row in rows.values()] == [8, 8, 4, 4, 2]
    assert {row["read"] for row in rows.values()} == {6}
    assert rows["plain", "lft"]["verdict"] == "plain"
    told = {table.name: table for table in style_tables.tables(experiment.cells(), "lft")}
    assert {row["variant"] for row in told["style-form"].rows} == set(variants)
