"""What only a GPU can show: bfloat16 weights there, and the same audit as on a CPU."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from itaudit.data.instance import Instance
from itaudit.engine.device import choose_device, choose_dtype, device_name, memory_in_use
from itaudit.engine.ifd import difficulties, load_for_ifd
from itaudit.engine.models import load_model
from itaudit.engine.proof_worker import main as prove
from itaudit.engine.worker import work_on
from itaudit.proof.jobs import create
from itaudit.proof.spec import Kind, ProofSpec, Target
from itaudit.recipe import Base, Context
from itaudit.runs.run import Run
from itaudit.summary import show_document
from tests.engine.conftest import INSTANCES, files

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")]


def test_auto_takes_the_gpu_in_bfloat16(tiny_llama: Path) -> None:
    device = choose_device("auto")
    assert device.type == "cuda"
    assert choose_dtype("auto", device) == torch.bfloat16
    loaded = load_model(files(tiny_llama), device=device, dtype=torch.bfloat16)
    assert loaded.model.dtype == torch.bfloat16
    assert torch.cuda.get_device_name(device) in device_name(device)
    used, total = memory_in_use(device)
    assert 0 < used < total


def test_an_audit_on_the_gpu_fills_every_table(make_run: Callable[..., Run]) -> None:
    run = make_run(device="auto")
    assert work_on(run) == 0, run.state().error
    models = show_document(run)["models"]
    assert models["sft"]["kl_mean"] > 0 and models["lft"]["kl_mean"] > 0
    assert "cuda" in run.state().device


def test_scores_in_float32_agree_with_the_cpu(make_run: Callable[..., Run], other_llama: Path) -> None:
    models = {"theirs": {"method": "existing", "model": str(other_llama)}}
    base = make_run().recipe.base.model_dump() | {"dtype": "float32"}
    runs = [make_run(device=device, base=base, models=models) for device in ("cpu", "auto")]
    assert [work_on(run) for run in runs] == [0, 0]
    cpu, gpu = (show_document(run)["models"]["theirs"] for run in runs)
    assert gpu["kl_mean"] == pytest.approx(cpu["kl_mean"], rel=0.02)


def test_the_difficulty_in_bfloat16_is_near_that_of_the_cpu(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))
    instances = [Instance(n, str(n), row["instruction"], response=row["output"]) for n, row in enumerate(INSTANCES)]
    base = Base(model=str(tiny_llama))
    cpu, gpu = (difficulties(load_for_ifd(base, device), instances, Context()) for device in ("cpu", "auto"))
    for one, other in zip(cpu, gpu, strict=True):
        assert one is not None and other is not None and one.tokens == other.tokens
        assert other.ifd == pytest.approx(one.ifd, rel=0.05)


@pytest.mark.parametrize("label", ["lft", "sft"])
@pytest.mark.parametrize("kind", ["tail-patch", "drop-and-retrain"])
def test_a_proof_on_the_gpu_reads_every_target(make_run: Callable[..., Run], kind: Kind, label: str) -> None:
    run = make_run(device="auto")
    assert work_on(run) == 0, run.state().error
    answers = [(prompt.id, run.response(label, prompt.id)) for prompt in run.prompts()]
    prompt, response = max(((p, r.response) for p, r in answers if r is not None), key=lambda one: len(one[1].strip()))
    proof = create(run, ProofSpec(kind, label, (Target(prompt, 0, len(response), "", (0,)),), controls=3, seeds=2))
    assert prove([str(proof.folder)]) == 0, proof.log_tail()
    (verdict,) = proof.verdicts()
    assert verdict.done and verdict.effect is not None and verdict.controls == 3
