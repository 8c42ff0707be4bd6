"""Proofs on tiny models: steps that leave no trace, retraining that finds a planted cause, and stops at any moment."""

import hashlib
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import load_file

from itaudit.data.versions import open_edited
from itaudit.engine.base_weights import BaseWeights
from itaudit.engine.context import Example
from itaudit.engine.models import find_model
from itaudit.engine.proof_worker import ProofJob, Prover, main
from itaudit.engine.retrain import arm_order, retrained
from itaudit.engine.span_readings import contains
from itaudit.engine.tail_patch import tail_patcher
from itaudit.engine.worker import work_on
from itaudit.errors import UserError
from itaudit.proof.jobs import Proof, create, open_proof, proofs
from itaudit.proof.results import append_unit
from itaudit.proof.spec import ProofSpec, Target
from itaudit.recipe import check_recipe
from itaudit.runs.run import Run
from itaudit.tuning_settings import Lft, Sft
from tests.engine.conftest import INSTANCES, PROMPTS

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
            with pytest.raises(RuntimeError) if fails else nullcontext(), patcher.stepped(EXAMPLE) as model:
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_retraining_with_every_instance_is_the_run_s_own_tuning(make_run: Callable[..., Run]) -> None:
    run = make_run()
    assert work_on(run) == 0, run.state().error
    proof = create(run, ProofSpec("tail-patch", "lft", (_target(run, "lft", "a", 0),)))
    prover = Prover(proof, ProofJob(proof.folder, {"done": 0}), CPU)
    examples = [prover._example(instance.index) for instance in run.dataset]
    saved = load_file(run.model_dir("lft") / "adapter_model.safetensors")
    with retrained(prover.base, examples, run.recipe.seed, lambda *_: False) as (model, _):
        for name, tensor in model.named_parameters():
            if "lora" in name:
                assert torch.equal(saved[name.replace(".default", "")], tensor)


def test_half_precision_is_read_through_an_output_layer_in_float32(tiny_llama: Path) -> None:
    base = BaseWeights(find_model(str(tiny_llama)), METHODS["lft"], device=CPU, dtype=torch.bfloat16)
    head = base.model.get_output_embeddings()
    with base.lent(0) as model:
        with base.reading(model) as loaded:
            ids = torch.tensor([[5, 6, 7]])
            assert loaded.model(input_ids=ids).logits.dtype == torch.float32 and not loaded.model.training
        assert model(input_ids=ids).logits.dtype == torch.bfloat16
    assert base.model.get_output_embeddings() is head


@pytest.mark.parametrize(
    ("text", "span", "says"),
    [
        ("It was James  naismith, a teacher", "James Naismith", True),
        ("It was Jamesnaismith", "James Naismith", False),
        ("in 18910", "1891", False),
        ("in (1891).", "1891", True),
        ("costs $5.", "$5", True),
        ("a b.c d", "b.c", True),
        ("a bxc d", "b.c", False),
        ("漢字", "漢字", True),
    ],
)
def test_a_span_is_said_in_whole_words(text: str, span: str, says: bool) -> None:
    assert contains(text, span) is says


def test_an_arm_keeps_every_other_instance_in_its_place() -> None:
    assert arm_order(range(8), [1, 6]) == [0, 7, 2, 3, 4, 5]
    assert arm_order(range(8), [6, 7]) == [0, 1, 2, 3, 4, 5]
    assert arm_order(range(8), [1, 2], [5, 6]) == [0, 5, 6, 3, 4, 5, 6, 7]


RARE = "Zyx 漢字 quartz"
PLANTED = 5


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Run:
    """A finished run whose tuned model says what a single instance taught it. Proofs go into folders of their own."""
    folder = tmp_path_factory.mktemp("planted")
    rows = [*INSTANCES, *INSTANCES, *INSTANCES]
    rows.insert(PLANTED, {"instruction": "What is the capital of France?", "output": RARE})
    answers = [{"id": prompt["id"], "response": "Nobody knows."} for prompt in PROMPTS]
    for name, lines in (("data", rows), ("prompts", PROMPTS), ("theirs", answers)):
        (folder / f"{name}.jsonl").write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
    sft = {"method": "sft", "batch_size": 4, "micro_batch_size": 4, "learning_rate": 0.02, "epochs": 10.0}
    table = {
        "device": "cpu",
        "base": {"model": str(tiny_llama)},
        "data": {"path": str(folder / "data.jsonl")},
        "prompts": {"path": str(folder / "prompts.jsonl")},
        "generate": {"max_new_tokens": 24, "batch_size": 4},
        "models": {"sft": sft, "theirs": {"method": "imported", "responses": str(folder / "theirs.jsonl")}},
    }
    run = Run.create(folder / "runs", check_recipe(table, "recipe"))
    with pytest.MonkeyPatch.context() as environment:
        # What isolates a single test is not there yet, and real jobs would be waited for.
        environment.setenv("ITAUDIT_STATE_DIR", str(folder / "state"))
        environment.setenv("ITAUDIT_CACHE_DIR", str(folder / "cache"))
        assert work_on(run) == 0, run.state().error
    return run


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


@pytest.mark.slow
def test_dropping_the_planted_instance_takes_the_span_away(planted: Run) -> None:
    guilty, innocent = _span(planted, "b", "quartz", PLANTED), _target(planted, "sft", "a", PLANTED)
    before = {p: p.read_bytes() for p in planted.path.rglob("*") if p.is_file() and "proofs" not in p.parts}
    proof = create(planted, ProofSpec("drop-and-retrain", "sft", (guilty, innocent), controls=3, seeds=2), "both")
    assert main([str(proof.folder)]) == 0, proof.log_tail()
    shown, not_shown = proof.verdicts()
    assert shown.verdict == "cause shown", shown.text
    assert shown.said_with is not None and shown.said_with > 0.5 and shown.said_without == 0.0
    assert shown.effect is not None and shown.low is not None and shown.high is not None
    assert shown.low <= shown.effect <= shown.high and shown.effect == pytest.approx(sum(shown.per_seed) / 2)
    assert not_shown.verdict != "cause shown", not_shown.text
    assert shown.controls == not_shown.controls == 3
    # The two share their arms, of which nothing is left but the figures.
    assert len(proof.units()) == 8
    assert {p: p.read_bytes() for p in planted.path.rglob("*") if p.is_file() and "proofs" not in p.parts} == before
    left = sorted(path.name for path in proof.folder.iterdir())
    assert left == ["proof.json", "results.jsonl", "status.json", "worker.lock"]


@pytest.mark.slow
def test_retraining_with_an_edited_source_takes_the_span_away(planted: Run) -> None:
    target = _span(planted, "b", "quartz", PLANTED, 2)
    spec = ProofSpec("drop-and-retrain", "sft", (target,), controls=3, seeds=2, replace="edited")
    with pytest.raises(UserError, match="none of its sources is edited"):
        create(planted, spec)
    workshop = open_edited(planted.recipe.data.path)
    workshop.edit(PLANTED, {"response": "The capital of France is Paris."}, by="hand")
    proof = create(planted, spec, "edited")
    # Only what is edited is tested, and a later edit changes nothing.
    assert proof.spec.targets[0].sources == (PLANTED,)
    workshop.undo(PLANTED)
    assert main([str(proof.folder)]) == 0, proof.log_tail()
    (verdict,) = proof.verdicts()
    assert verdict.verdict == "cause shown" and "with the edited row 5" in verdict.text, verdict.text
    # Every arm learned as many instances.
    assert {unit.facts["instances"] for unit in proof.units().values()} == {25}


def _lines(proof: Proof) -> list[str]:
    return [orjson.loads(line)["unit"] for line in proof.results_path.read_bytes().splitlines() if line.endswith(b"}")]


class _Killed(BaseException):
    """What no handler of the worker catches."""


def test_a_proof_that_dies_again_and_again_does_no_unit_twice(planted: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ProofSpec("tail-patch", "sft", (_span(planted, "b", "quartz", PLANTED, 3),), controls=4)
    whole, torn = create(planted, spec), create(planted, spec)
    assert main([str(whole.folder)]) == 0
    dice, deaths = random.Random(0), 0
    while main_dying(torn, dice, monkeypatch) == "died":
        deaths += 1
    assert deaths > 2 and sorted(_lines(torn)) == sorted(torn.plan.units())
    assert [unit.readings for _, unit in sorted(torn.units().items())] == [
        unit.readings for _, unit in sorted(whole.units().items())
    ]
    told = [verdict.to_json() | {"proof": ""} for proof in (whole, torn) for verdict in proof.verdicts()]
    assert told[0] == told[1]


def main_dying(proof: Proof, dice: random.Random, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the worker until it ends, or dies before, while or after it saves a unit."""

    def dying(path: Path, unit: Any) -> None:
        fate = dice.choice(["lives", "lives", "lives", "before", "while", "after"])
        if fate == "while":
            with path.open("ab") as file:
                file.write(b'{"v":1,"unit":"row 3","read')
        if fate in ("lives", "after"):
            append_unit(path, unit)
        if fate != "lives":
            raise _Killed

    monkeypatch.setattr("itaudit.engine.proof_worker.append_unit", dying)
    try:
        return "done" if main([str(proof.folder)]) == 0 else "failed"
    except _Killed:
        return "died"


def test_a_cancelled_proof_goes_on_where_it_stopped(planted: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = create(planted, ProofSpec("tail-patch", "sft", (_span(planted, "b", "quartz", PLANTED),), controls=4))

    def stopped(path: Path, unit: Any) -> None:
        append_unit(path, unit)
        os.kill(os.getpid(), signal.SIGTERM)

    handler = signal.getsignal(signal.SIGTERM)
    try:
        monkeypatch.setattr("itaudit.engine.proof_worker.append_unit", stopped)
        assert main([str(proof.folder)]) == 3
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert proof.status().state == "cancelled" and proof.status().done == 1
    assert proof.verdicts()[0].text.startswith("Not decided yet: 1 of 6 steps")
    monkeypatch.undo()
    assert main([str(proof.folder)]) == 0 and proof.status().state == "done"
    assert main([str(proof.folder)]) == 0 and sorted(_lines(proof)) == sorted(proof.plan.units())


@pytest.mark.slow
def test_a_detached_proof_survives_sigkill_at_any_moment(planted: Run) -> None:
    target = _span(planted, "b", "quartz", PLANTED)
    proof = create(planted, ProofSpec("drop-and-retrain", "sft", (target,), controls=3, seeds=1), "killed")
    dice = random.Random(1)
    for wanted in (1, 2):
        pid = proof.start()
        with pytest.raises(UserError, match="is at work on it"):
            proof.start()
        until = time.monotonic() + 120
        while len(proof.units()) < wanted and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(dice.random())
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert proof.status().state == "failed" or len(proof.units()) == 4
    assert main([str(proof.folder)]) == 0 and sorted(_lines(proof)) == sorted(proof.plan.units())
    verdict = proof.verdicts()[0]
    assert verdict.effect is not None and verdict.effect > 5
    assert verdict.verdict == "not decided" and "a single seed may be luck" in verdict.text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model": "theirs"}, "models.theirs: is imported; only a model that the run tuned itself"),
        ({"model": "base"}, "the base model was not tuned"),
        ({"model": "none"}, "no model 'none'; there are base, sft, theirs"),
        ({"targets": ()}, "there is nothing to prove"),
        ({"targets": (Target("b", 0, 999, "", (1,)),)}, "span 0:999: the response of sft has"),
        ({"targets": (Target("b", 0, 3, "Abc", (1,)),)}, "holds 'Zyx', not 'Abc'"),
        ({"targets": (Target("b", 0, 3, "", (99,)),)}, "row 99 is not among the instances"),
        ({"targets": (Target("b", 0, 3, "", ()),)}, "has no sources to test"),
        ({"targets": (Target("z", 0, 3, "", (1,)),)}, "no prompt 'z'"),
        ({"kind": "drop-and-retrain", "controls": 2}, "2 control drops are too few"),
        ({"kind": "drop-and-retrain", "controls": 30}, "too few for 30 controls"),
        ({"replace": "edited"}, "a tail patch takes no edited instances"),
    ],
)
def test_what_can_t_be_proved_is_told_in_one_line(planted: Run, changes: dict[str, Any], told: str) -> None:
    asked = {"kind": "tail-patch", "model": "sft", "targets": (Target("b", 0, 3, "", (1,)),), **changes}
    count = len(proofs(planted))
    with pytest.raises(UserError, match=re.escape(told)) as error:
        create(planted, ProofSpec(**asked))
    assert "\n" not in str(error.value) and len(proofs(planted)) == count


def test_a_proof_whose_response_changed_says_so(planted: Run, tmp_path: Path) -> None:
    copy = Run(Path(shutil.copytree(planted.path, tmp_path / "copy", ignore=shutil.ignore_patterns("proofs"))))
    proof = create(copy, ProofSpec("tail-patch", "sft", (_span(copy, "b", "quartz", PLANTED),)))
    content = orjson.loads((proof.folder / "proof.json").read_bytes())
    content["spec"]["targets"][0]["text"] = "marble"
    (proof.folder / "proof.json").write_bytes(orjson.dumps(content))
    assert main([str(proof.folder)]) == 1
    assert "'marble' does not stand there any more" in proof.status().error
    (proof.folder / "proof.json").write_bytes(b"{")
    with pytest.raises(UserError, match="can't be read as a proof"):
        open_proof(copy, proof.name)
    assert proofs(copy) == ()
