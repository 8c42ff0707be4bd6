"""Whole runs on a tiny model, undisturbed and killed in every stage."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import transformers

from itaudit.engine.generate import batches_by_length, build_queries
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.tune import last_checkpoint
from itaudit.engine.worker import plan, work_on
from itaudit.runs import jobs
from itaudit.runs.run import Run
from itaudit.runs.tables import GrowingTable
from itaudit.summary import show_document, tokens_document
from tests.engine.conftest import INSTANCES, PROMPTS
from tests.waiting import PATIENCE

MakeRun = Callable[..., Run]


def tables(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table of a run."""
    return {
        f"{kind}/{label}": run.table(kind, label).read().to_pylist()
        for kind in ("responses", "scores", "traces", "causes")
        for label in run.labels
    }


def wait_for(run: Run, condition: Callable[[], bool], worker: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 2 * PATIENCE
    while not condition():
        assert worker.poll() is None, run.log_path.read_text()
        assert time.monotonic() < deadline, run.log_tail()
        time.sleep(0.002)


def start(run: Run) -> "subprocess.Popen[bytes]":
    with run.log_path.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "itaudit.engine.worker", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def test_an_audit_fills_every_table_and_says_done(make_run: MakeRun) -> None:
    run = make_run()
    assert work_on(run) == 0
    assert run.job() == "done"
    state = run.state()
    assert [stage.state for stage in state.stages.values()] == ["done"] * len(plan(run.recipe))
    assert [point.step for point in state.losses["sft"]] == [1, 2, 3, 4, 5, 6]
    document = show_document(run)
    assert set(document["models"]) == {"base", "lft", "sft"}
    for label, model in document["models"].items():
        assert model["responses"] == len(PROMPTS)
        assert model["unshifted"] + model["marginal"] + model["shifted"] == pytest.approx(1)
        assert (model["kl_mean"] > 0) == (label != "base")
    # Greedy answers of the base model are its own first choices.
    assert document["models"]["base"]["unshifted"] == 1
    assert document["dataset"]["instances"] == 8
    assert [prompt.id for prompt in run.prompts()] == ["a", "b", "c", "d", "e"]
    tokens = tokens_document(run, "sft", "e")["tokens"]
    assert "".join(dict.fromkeys(t["text"] for t in tokens if t["text"])) != ""
    assert all(len(t["top_base"]) == 5 for t in tokens)


def test_an_existing_model_and_an_adapter_are_audited_without_tuning(
    make_run: MakeRun, adapter: Path, other_llama: Path
) -> None:
    run = make_run(
        models={
            "theirs": {"method": "existing", "model": str(other_llama)},
            "adapted": {"method": "existing", "model": str(adapter)},
        }
    )
    assert work_on(run) == 0
    models = show_document(run)["models"]
    assert models["theirs"]["kl_mean"] > 0 and models["adapted"]["kl_mean"] > 0


def test_t5_is_tuned_both_ways(make_run: MakeRun, tiny_t5: Path) -> None:
    run = make_run(base={"model": str(tiny_t5)})
    assert work_on(run) == 0
    models = show_document(run)["models"]
    assert models["lft"]["kl_mean"] > 0 and models["sft"]["kl_mean"] > 0
    assert run.response("sft", "b") is not None


def test_imported_responses_are_scored_with_and_without_their_model(
    make_run: MakeRun, tmp_path: Path, other_llama: Path
) -> None:
    responses = tmp_path / "responses.jsonl"
    responses.write_text(
        '{"id": "a", "response": "A lens maker 🙂"}\n'
        '{"prompt": "What is the capital of France?", "response": "Paris"}\n'
    )
    run = make_run(
        models={
            "alone": {"method": "imported", "responses": str(responses)},
            "known": {"method": "imported", "responses": str(responses), "model": str(other_llama)},
        }
    )
    assert work_on(run) == 0
    alone, known = (tokens_document(run, label, "a") for label in ("alone", "known"))
    assert alone["response"] == known["response"] == "A lens maker 🙂"
    assert [t["rank_base"] for t in alone["tokens"]] == [t["rank_base"] for t in known["tokens"]]
    assert all(t["kl"] is None and t["top_tuned"] is None for t in alone["tokens"])
    assert all(t["kl"] >= 0 for t in known["tokens"])
    models = show_document(run)["models"]
    assert models["alone"]["kl_mean"] is None and models["known"]["kl_mean"] > 0
    assert models["alone"]["responses"] == 2
    assert any("3 of 5 prompts have no response" in note for note in run.state().notes)


def test_importing_again_after_a_kill_imports_nothing_twice(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    responses = tmp_path / "responses.jsonl"
    responses.write_text('{"id": "a", "response": "A lens maker"}')
    run = make_run(models={"theirs": {"method": "imported", "responses": str(responses)}})

    def killed(table: GrowingTable) -> None:
        if table.parts.match("responses/theirs"):
            raise KeyboardInterrupt
        close(table)

    close = GrowingTable.close
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(GrowingTable, "close", killed)
        work_on(run)
    assert work_on(run) == 0
    assert run.table("responses", "theirs").read()["prompt_id"].to_pylist() == ["a"]


def test_responses_that_answer_no_prompt_are_an_error(make_run: MakeRun, tmp_path: Path) -> None:
    responses = tmp_path / "responses.jsonl"
    responses.write_text('{"id": "zzz", "response": "?"}\n')
    run = make_run(models={"theirs": {"method": "imported", "responses": str(responses)}})
    assert work_on(run) == 1
    assert "no response belongs to a prompt" in run.state().error


@pytest.mark.parametrize(
    ("line", "told"),
    [('{"id": "a"', ":1: not a JSON object"), ('{"id": "a"}', ":1: expected"), ('{"response": "x"}', ":1: neither")],
)
def test_a_broken_line_of_responses_is_named(make_run: MakeRun, tmp_path: Path, line: str, told: str) -> None:
    responses = tmp_path / "responses.jsonl"
    responses.write_text(line)
    run = make_run(models={"theirs": {"method": "imported", "responses": str(responses)}})
    assert work_on(run) == 1
    assert told in run.state().error


def test_other_vocabularies_end_the_run_with_the_reason(
    make_run: MakeRun, tmp_path: Path, tiny_llama: Path, tokenizer: Any
) -> None:
    model = transformers.LlamaForCausalLM.from_pretrained(tiny_llama)
    model.resize_token_embeddings(416)
    model.save_pretrained(tmp_path / "padded")
    tokenizer.save_pretrained(tmp_path / "padded")
    run = make_run(models={"theirs": {"method": "existing", "model": str(tmp_path / "padded")}})
    assert work_on(run) == 1
    assert "372 and 416 tokens" in run.state().error
    assert run.job() == "failed"


@pytest.mark.parametrize("split", ["", "test"])
def test_a_saved_dataset_of_one_split_needs_no_name_for_it(make_run: MakeRun, tmp_path: Path, split: str) -> None:
    rows = datasets.Dataset.from_list(INSTANCES, split=split or None)
    rows.save_to_disk(str(tmp_path / "saved"))
    run = make_run(data={"path": str(tmp_path / "saved")})
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    assert len(run.dataset) == len(INSTANCES)


def test_truncation_is_told(make_run: MakeRun) -> None:
    run = make_run(models={"sft": {"method": "sft", "batch_size": 4, "max_length": 24, "epochs": 1.0}})
    assert work_on(run) == 0
    facts = run.state().stages["tune:sft"].facts
    assert facts["truncated"] > 0
    assert any("were longer than 24 tokens" in note for note in run.state().notes)


def test_sampling_is_repeatable(make_run: MakeRun) -> None:
    generate = {"max_new_tokens": 12, "batch_size": 2, "sample": True, "temperature": 1.5}
    runs = [make_run(generate=generate, models={"sft": {"method": "sft", "batch_size": 4}}) for _ in range(2)]
    assert [work_on(run) for run in runs] == [0, 0]
    assert tables(runs[0]) == tables(runs[1])
    greedy = make_run(models={"sft": {"method": "sft", "batch_size": 4}})
    assert work_on(greedy) == 0
    assert tables(greedy)["responses/base"] != tables(runs[0])["responses/base"]


def test_beam_search_runs(make_run: MakeRun, other_llama: Path) -> None:
    run = make_run(
        generate={"max_new_tokens": 8, "beams": 3}, models={"m": {"method": "existing", "model": str(other_llama)}}
    )
    assert work_on(run) == 0


def test_packing_and_noise_run(make_run: MakeRun) -> None:
    settings = {"batch_size": 2, "micro_batch_size": 1, "epochs": 1.0, "max_length": 200}
    run = make_run(
        models={
            "packed": {"method": "sft", "packing": True, **settings},
            "noisy": {"method": "lft", "neftune_alpha": 5.0, "gradient_checkpointing": True, **settings},
        }
    )
    assert work_on(run) == 0, run.state().error


STAGES = [
    "generate:base",
    "score:base",
    "tune:lft",
    "generate:lft",
    "score:lft",
    "detect:lft",
    "trace:lft",
    "causes:lft",
    "tune:sft",
    "score:sft",
]


def test_a_run_killed_in_every_stage_ends_with_the_same_tables(make_run: MakeRun) -> None:
    undisturbed = make_run()
    assert work_on(undisturbed) == 0
    run = make_run()
    for stage in STAGES:
        worker = start(run)

        def at_work(stage: str = stage) -> bool:
            found = run.state().stages.get(stage)
            begun = found is not None and found.state != "waiting"
            # In the middle of a stage where it has one: after its first part or checkpoint.
            return begun and (found.done > 0 or found.state == "done" or not stage.startswith("tune"))

        wait_for(run, at_work, worker)
        worker.send_signal(signal.SIGKILL)
        ended = worker.wait()
        # Behind the last stages it may have come to its end before.
        assert run.job() == ("done" if ended == 0 else "failed")
    worker = start(run)
    assert worker.wait(timeout=2 * PATIENCE) == 0, run.log_path.read_text()
    assert run.job() == "done"
    assert {stage.state for stage in run.state().stages.values()} == {"done"}
    assert tables(run) == tables(undisturbed)


def test_a_stage_whose_last_word_was_lost_reads_as_done(make_run: MakeRun) -> None:
    run = make_run(models={"sft": {"method": "sft", "batch_size": 4, "epochs": 1.0}})
    assert work_on(run) == 0
    kept = [line for line in run.events_path.read_bytes().splitlines(True) if b'"stage_done"' not in line]
    run.events_path.write_bytes(b"".join(kept))
    assert work_on(run) == 0
    assert {stage.state for stage in run.state().stages.values()} == {"done"}


KILLED_AFTER_A_CHECKPOINT = """
import os, signal, sys
import transformers
from itaudit.engine import worker
save = transformers.Trainer._save_checkpoint
def save_and_die(*arguments, **named):
    save(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
transformers.Trainer._save_checkpoint = save_and_die
worker.main([sys.argv[1]])
"""


def test_tuning_resumes_from_its_checkpoint_to_the_same_weights(make_run: MakeRun) -> None:
    models = {"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "checkpoint_steps": 1, "epochs": 5.0}}
    undisturbed, run = make_run(models=models), make_run(models=models)
    assert work_on(undisturbed) == 0
    checkpoints = run.path / "checkpoints" / "sft"
    dying = [sys.executable, "-c", KILLED_AFTER_A_CHECKPOINT, str(run.path)]
    killed = subprocess.run(dying, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    reached = last_checkpoint(checkpoints)
    assert reached is not None
    # A checkpoint that was cut off while it was written is passed over.
    torn = checkpoints / "checkpoint-99"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"epoch": 1')
    assert last_checkpoint(checkpoints) == reached
    assert start(run).wait(timeout=2 * PATIENCE) == 0, run.log_path.read_text()
    assert run.state().stages["tune:sft"].done_at_start > 0
    weights = "models/sft/model.safetensors"
    assert (run.path / weights).read_bytes() == (undisturbed.path / weights).read_bytes()
    assert not checkpoints.exists()


def test_sigterm_saves_and_says_cancelled(make_run: MakeRun) -> None:
    run = make_run(models={"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "epochs": 400.0}})
    worker = start(run)
    wait_for(run, lambda: bool(run.state().losses.get("sft")), worker)
    assert jobs.cancel(run) == worker.pid
    assert worker.wait(timeout=PATIENCE) == 3
    assert run.job() == "cancelled"
    assert last_checkpoint(run.path / "checkpoints" / "sft") is not None


def test_jobs_on_one_device_queue(make_run: MakeRun) -> None:
    first = make_run(models={"sft": {"method": "sft", "batch_size": 4, "epochs": 400.0}})
    second = make_run(models={"sft": {"method": "sft", "batch_size": 4, "epochs": 1.0}})
    holder = start(first)
    wait_for(first, lambda: first.job() == "running" and bool(first.state().losses), holder)
    waiter = start(second)
    wait_for(second, lambda: second.state().job == "queued", waiter)
    assert second.job() == "queued" and second.state().waiting_for == "cpu"
    jobs.cancel(first)
    assert holder.wait(timeout=PATIENCE) == 3
    assert waiter.wait(timeout=2 * PATIENCE) == 0


def test_a_second_worker_is_refused(make_run: MakeRun) -> None:
    from itaudit.errors import UserError

    run = make_run(models={"sft": {"method": "sft", "batch_size": 4, "epochs": 400.0}})
    worker = start(run)
    wait_for(run, lambda: run.job() == "running", worker)
    with pytest.raises(UserError, match=r"a worker .* is at work on it"):
        jobs.start(run)
    worker.kill()
    worker.wait()


@pytest.mark.slow
def test_several_processes_tune_one_model(make_run: MakeRun) -> None:
    run = make_run(models={"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "processes": 2}})
    worker = start(run)
    assert worker.wait(timeout=5 * PATIENCE) == 0, run.log_path.read_text()
    state = run.state()
    assert [point.step for point in state.losses["sft"]] == [1, 2, 3, 4, 5, 6]
    assert show_document(run)["models"]["sft"]["kl_mean"] > 0


@pytest.mark.slow
def test_several_processes_stop_together_and_save(make_run: MakeRun) -> None:
    settings = {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "processes": 2, "epochs": 400.0}
    run = make_run(models={"sft": {**settings, "max_length": 24}})
    worker = start(run)
    wait_for(run, lambda: bool(run.state().losses.get("sft")), worker)
    jobs.cancel(run)
    assert worker.wait(timeout=PATIENCE) == 3, run.log_path.read_text()
    assert run.job() == "cancelled"
    assert last_checkpoint(run.path / "checkpoints" / "sft") is not None
    # Every process reads the dataset, and one speaks of it.
    assert sum("were longer than" in note for note in run.state().notes) == 1


def test_batches_do_not_depend_on_what_is_done(make_run: MakeRun, tokenizer: Any) -> None:
    from itaudit.engine.context import ContextBuilder

    run = make_run()
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    queries = build_queries(run.prompts(), ContextBuilder(tokenizer, "causal"))
    batches = batches_by_length(queries, 2)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    lengths = [len(query.context_ids) for batch in batches for query in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert batches == batches_by_length(list(reversed(queries)), 2)
