"""Tuning: how it counts, what it reads, and what a stop at the wrong moment leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
import transformers
from safetensors import safe_open

from itaudit.engine.heart import Cancelled
from itaudit.engine.models import find_model
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.tune import last_checkpoint, on_one_gpu, tune_model
from itaudit.engine.worker import work_on
from itaudit.runs.run import Run

MakeRun = Callable[..., Run]
SFT = {"method": "sft", "batch_size": 4, "micro_batch_size": 2}


def tune(run: Run, base: Path) -> None:
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
        tune_model(run, "sft", find_model(str(base)), reporter)


def test_packed_rows_are_what_steps_and_checkpoints_count(make_run: MakeRun, tiny_llama: Path) -> None:
    settings = {**SFT, "batch_size": 1, "micro_batch_size": 1, "packing": True, "max_length": 400, "warmup_ratio": 0.5}
    run = make_run(models={"sft": {**settings, "epochs": 4.0}})
    tune(run, tiny_llama)
    state = run.state()
    losses = state.losses["sft"]
    # Eight instances fit into fewer rows.
    assert len(losses) == state.stages["tune:sft"].total < 32
    # The rate climbs over half of the steps that there are, and then falls.
    rates = [point.learning_rate for point in losses]
    assert abs(rates.index(max(rates)) - len(rates) / 2) <= 1


def test_a_checkpoint_that_a_kill_cut_off_does_not_cost_a_whole_one(
    make_run: MakeRun, tiny_llama: Path, stop_at: Callable[[int], None]
) -> None:
    run = make_run(models={"sft": {**SFT, "checkpoint_steps": 1, "epochs": 3.0}})
    checkpoints = run.path / "checkpoints" / "sft"
    (checkpoints / "checkpoint-99").mkdir(parents=True)
    stop_at(3)
    with pytest.raises(Cancelled):
        tune(run, tiny_llama)
    assert last_checkpoint(checkpoints) == checkpoints / "checkpoint-3"


def test_a_stop_at_the_last_step_loses_nothing(
    make_run: MakeRun, tiny_llama: Path, stop_at: Callable[[int], None]
) -> None:
    run = make_run(models={"sft": {**SFT, "epochs": 2.0}})
    stop_at(4)
    tune(run, tiny_llama)
    assert (run.model_dir("sft") / "model.safetensors").exists()


def test_checkpoints_that_outlived_their_tuning_are_removed(make_run: MakeRun) -> None:
    run = make_run(models={"sft": {**SFT, "epochs": 1.0}})
    assert work_on(run) == 0
    left = run.path / "checkpoints" / "sft" / "checkpoint-2"
    left.mkdir(parents=True)
    assert work_on(run) == 0
    assert not left.parent.exists()


def test_full_tuning_is_saved_in_the_type_that_it_is_read_in(make_run: MakeRun, tiny_llama: Path) -> None:
    base = {"model": str(tiny_llama), "dtype": "bfloat16"}
    run = make_run(base=base, models={"sft": {**SFT, "epochs": 1.0}})
    tune(run, tiny_llama)
    with safe_open(run.model_dir("sft") / "model.safetensors", framework="pt") as tensors:
        assert tensors.get_tensor("lm_head.weight").dtype == torch.bfloat16


@pytest.fixture
def short_llama(tmp_path: Path, tiny_llama: Path, tokenizer: Any) -> Path:
    """The tiny Llama with 64 positions."""
    path = tmp_path / "short"
    transformers.LlamaForCausalLM.from_pretrained(tiny_llama).save_pretrained(path)
    tokenizer.save_pretrained(path)
    config = orjson.loads((path / "config.json").read_bytes())
    (path / "config.json").write_bytes(orjson.dumps({**config, "max_position_embeddings": 64}))
    return path


def test_a_prompt_beyond_the_model_s_positions_is_named(make_run: MakeRun, short_llama: Path) -> None:
    run = make_run(base={"model": str(short_llama)}, generate={"max_new_tokens": 40})
    assert work_on(run) == 1
    assert "reads 64 tokens at most: prompt 'd' has" in run.state().error


def test_tuning_reads_no_further_than_the_model(make_run: MakeRun, short_llama: Path, tmp_path: Path) -> None:
    data = tmp_path / "long.jsonl"
    rows = [{"instruction": "Tell.", "output": "The telescope. " * count} for count in (1, 60)]
    data.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    run = make_run(base={"model": str(short_llama)}, data={"path": str(data)}, models={"sft": {**SFT, "epochs": 1.0}})
    tune(run, short_llama)
    assert any("1 of 2 instances were longer than 64 tokens" in note for note in run.state().notes)


def test_a_trainer_of_one_process_takes_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    arguments = transformers.TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    arguments._n_gpu = 4
    device = torch.device("cuda", 2)
    assert on_one_gpu(arguments, device).device == device
    assert arguments.n_gpu == 1 and taken == [device]
    assert arguments.parallel_mode == transformers.training_args.ParallelMode.NOT_PARALLEL
