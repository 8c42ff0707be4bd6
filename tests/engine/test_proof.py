"""Proofs on tiny models: steps that leave no trace, retraining that finds a planted cause, and stops at any moment."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import load_file

from itaudit.engine.base_weights import BaseWeights
from itaudit.engine.context import Example
from itaudit.engine.models import find_model
from itaudit.engine.proof_worker import main
from itaudit.engine.retrain import arm_order, retrained
from itaudit.engine.tail_patch import tail_patcher
from itaudit.engine.worker import work_on
from itaudit.proof.jobs import create, verdicts_at
from itaudit.proof.spec import ProofSpec, Target
from itaudit.recipe import Lft, Sft
from itaudit.runs.run import Run
from tests.engine.conftest import INSTANCES

CPU = torch.device("cpu")
EXAMPLE = Example([5, 6, 7, 8, 9, 1], [-100, -100, 7, 8, 9, 1], False)
METHODS = {
    "lft": Lft(method="lft", batch_size=4, micro_batch_size=2, learning_rate=0.01),
    "sft": Sft(method="sft", batch_size=4, micro_batch_size=2, learning_rate=0.01),
}


def digest(model: Any) -> dict[str, str]:
    """A hash of every parameter and buffer, and whether it learns."""
    named = [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
    return {n: hashlib.sha256(t.detach().numpy().tobytes()).hexdigest() + str(t.requires_grad) for n, t in named}


def randomness() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()


@pytest.mark.parametrize("method", ["lft", "sft"])
@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_t5"])
def test_a_step_moves_the_model_and_is_taken_back_bit_for_bit(
    method: str, kind: str, request: pytest.FixtureRequest
) -> None:
    files = find_model(str(request.getfixturevalue(kind)))
    base = BaseWeights(files, METHODS[method], device=CPU, dtype=torch.float32)
    untouched, dice, forward = digest(base.model), randomness(), base.model.forward
    with tail_patcher(base, seed=3) as patcher:
        before = digest(patcher.model)
        for fails in (False, True):
            with pytest.raises(RuntimeError) if fails else _nothing(), patcher.stepped(EXAMPLE) as model:
                assert digest(model) != before
                torch.rand(3)
                if fails:
                    raise RuntimeError("something broke while the model was read")
            assert digest(patcher.model) == before
        with pytest.raises(IndexError), patcher.stepped(Example([10**6], [1], False)):
            pass
        assert digest(patcher.model) == before
    assert digest(base.model) == untouched and randomness() == dice and base.model.forward == forward
    assert all(parameter.grad is None for parameter in base.model.parameters())


class _nothing:  # stands in for a context manager function
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def test_a_step_is_the_trainer_s_own_first_step(tiny_llama: Path) -> None:
    settings = METHODS["sft"].model_copy(update={"batch_size": 1, "micro_batch_size": 1, "epochs": 1.0})
    base = BaseWeights(find_model(str(tiny_llama)), settings, device=CPU, dtype=torch.float32)
    with tail_patcher(base, seed=0) as patcher, patcher.stepped(EXAMPLE) as model:
        ours = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    with retrained(base, [EXAMPLE], 0, lambda *_: False) as (model, _):
        for name, tensor in model.named_parameters():
            # A gradient near Adam's epsilon is rounded differently, and its sign counts less.
            torch.testing.assert_close(ours[name], tensor, rtol=0, atol=0.01 * settings.learning_rate)


def test_a_new_adapter_moves_only_in_the_half_that_begins_at_zero(tiny_llama: Path) -> None:
    base = BaseWeights(find_model(str(tiny_llama)), METHODS["lft"], device=CPU, dtype=torch.float32)
    with tail_patcher(base, seed=0) as patcher:
        before = digest(patcher.model)
        with patcher.stepped(EXAMPLE) as model:
            moved = {name for name, told in digest(model).items() if told != before[name]}
    assert moved and all(".lora_B." in name for name in moved)


@pytest.mark.parametrize("method", ["lft", "sft"])
@pytest.mark.parametrize("kind", ["tiny_llama", "tiny_t5"])
def test_retraining_gives_the_base_back_bit_for_bit(method: str, kind: str, request: pytest.FixtureRequest) -> None:
    files = find_model(str(request.getfixturevalue(kind)))
    base = BaseWeights(files, METHODS[method], device=CPU, dtype=torch.float32)
    untouched, dice, forward = digest(base.model), randomness(), base.model.forward
    lengths = []
    for _ in range(2):
        with retrained(base, [EXAMPLE] * 4, 1, lambda *_: False) as (model, loss):
            assert digest(model) != untouched and loss > 0
            lengths.append(digest(model))
        assert digest(base.model) == untouched and randomness() == dice and base.model.forward == forward
    # The same seed tunes the same model.
    assert lengths[0] == lengths[1]
    with pytest.raises(RuntimeError), retrained(base, [EXAMPLE] * 4, 1, lambda *_: False):
        raise RuntimeError("something broke while the model was read")
    assert digest(base.model) == untouched


def test_retraining_with_every_instance_is_the_runs_tuning(make_run: Callable[..., Run]) -> None:
    run = make_run()
    assert work_on(run) == 0, run.state().error
    proof = create(run, ProofSpec("tail-patch", "lft", (_target(run, "lft", "a", 0),)))
    from itaudit.engine.proof_worker import Job, Prover

    prover = Prover(proof, Job(proof.folder, {"done": 0}), CPU)
    examples = [prover._example(instance.index) for instance in run.dataset]
    saved = load_file(run.model_dir("lft") / "adapter_model.safetensors")
    with retrained(prover.base, examples, run.recipe.seed, lambda *_: False) as (model, _):
        for name, tensor in model.named_parameters():
            if "lora" in name:
                assert torch.equal(saved[name.replace(".default", "")], tensor)


def test_an_arm_keeps_every_other_instance_in_its_place() -> None:
    assert arm_order(range(8), [1, 6]) == [0, 7, 2, 3, 4, 5]
    assert arm_order(range(8), [6, 7]) == [0, 1, 2, 3, 4, 5]
    assert arm_order(range(8), [1, 2], [5, 6]) == [0, 5, 6, 3, 4, 5, 6, 7]


RARE = "Zyx 漢字 quartz"


@pytest.fixture
def planted(make_run: Callable[..., Run], tmp_path: Path) -> Run:
    """A finished run whose tuned model says what a single instance taught it."""
    data = tmp_path / "planted.jsonl"
    rows = [*INSTANCES, *INSTANCES, *INSTANCES]
    rows.insert(5, {"instruction": "What is the capital of France?", "output": RARE})
    data.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    models = {
        "sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 4, "learning_rate": 0.02, "epochs": 10.0},
        "theirs": {"method": "imported", "responses": str(tmp_path / "theirs.jsonl")},
    }
    answers = [{"id": prompt, "response": "Nobody knows."} for prompt in "abcde"]
    (tmp_path / "theirs.jsonl").write_bytes(b"\n".join(orjson.dumps(row) for row in answers))
    run = make_run(data={"path": str(data)}, models=models, generate={"max_new_tokens": 24, "batch_size": 4})
    assert work_on(run) == 0, run.state().error
    return run


PLANTED = 5


def _span(run: Run, prompt: str, text: str, *rows: int) -> Target:
    response = run.response("sft", prompt)
    assert response is not None and text in response.response, response
    start = response.response.index(text)
    return Target(prompt, start, start + len(text), text, rows)


def _target(run: Run, label: str, prompt: str, row: int) -> Target:
    """The first characters of a response."""
    response = run.response(label, prompt)
    assert response is not None
    return Target(prompt, 0, min(6, len(response.response)), "", (row,))


def test_a_tail_patch_ranks_the_planted_instance_first(planted: Run) -> None:
    target = _span(planted, "b", "quartz", PLANTED)
    proof = create(planted, ProofSpec("tail-patch", "sft", (target,), controls=20))
    assert main([str(proof.folder)]) == 0, proof.log_tail()
    (verdict,) = proof.verdicts()
    assert verdict.sources[0].row == PLANTED and verdict.sources[0].rank == 1 and verdict.auc == 1.0
    assert verdict.points and verdict.verdict == "not decided" and "points to" in verdict.text
    assert verdict.done and verdict.controls == 20 and verdict.effect is not None and verdict.effect > 0.1
    assert verdicts_at(planted, "sft", "b", target.start, target.start + 1) == (verdict,)
    assert verdicts_at(planted, "sft", "a", target.start, target.end) == ()


def test_dropping_the_planted_instance_takes_the_span_away(planted: Run) -> None:
    guilty, innocent = _span(planted, "b", "quartz", PLANTED), _span(planted, "b", "quartz", 2)
    before = {p: p.read_bytes() for p in planted.path.rglob("*") if p.is_file() and "proofs" not in p.parts}
    proof = create(planted, ProofSpec("drop-and-retrain", "sft", (guilty, innocent), controls=3, seeds=2), "both")
    assert main([str(proof.folder)]) == 0, proof.log_tail()
    shown, not_shown = proof.verdicts()
    assert shown.verdict == "cause shown", shown.text
    assert (shown.said_with, shown.said_without) == (1.0, 0.0) and len(shown.per_seed) == 2
    assert shown.effect is not None and shown.low is not None and shown.high is not None
    assert shown.low <= shown.effect <= shown.high and shown.effect == pytest.approx(sum(shown.per_seed) / 2)
    # The drop of the planted instance is no control of a span whose sources stay in it, but the others' controls are.
    assert not_shown.verdict != "cause shown", not_shown.text
    assert shown.controls == 7 and not_shown.controls == 7
    assert {p: p.read_bytes() for p in planted.path.rglob("*") if p.is_file() and "proofs" not in p.parts} == before
    assert sorted(path.name for path in proof.folder.iterdir()) == [
        "proof.json",
        "results.jsonl",
        "status.json",
        "worker.lock",
    ]
