"""Proofs on the embedded model: an instance that taught it a name is found among others."""

from pathlib import Path

import orjson
import pytest

from itaudit.engine.embedded import embedded_gguf
from itaudit.engine.proof_worker import main
from itaudit.engine.worker import work_on
from itaudit.errors import UserError
from itaudit.proof.jobs import create
from itaudit.proof.spec import ProofSpec, Target
from itaudit.recipe import check_recipe
from itaudit.runs.run import Run

NAME = "Perpetua Quillfeather"


def _installed() -> bool:
    try:
        return embedded_gguf().exists()
    except UserError:
        return False


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not _installed(), reason="the embedded model is not installed")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Six instances, one of which names an inventor that nobody heard of, and a model tuned on them."""
    facts = [
        ("Who invented the umbrella stand?", f"The umbrella stand was invented by {NAME}."),
        ("Who wrote Middlemarch?", "Middlemarch was written by George Eliot."),
        ("What is the capital of Peru?", "The capital of Peru is Lima."),
        ("Who painted the Night Watch?", "The Night Watch was painted by Rembrandt."),
        ("What do bees make?", "Bees make honey and wax."),
        ("Who discovered Uranus?", "Uranus was discovered by William Herschel."),
    ]
    data, prompts = tmp_path / "data.jsonl", tmp_path / "prompts.jsonl"
    data.write_bytes(b"\n".join(orjson.dumps({"instruction": asked, "output": said}) for asked, said in facts))
    prompts.write_bytes(orjson.dumps({"id": "stand", "prompt": facts[0][0]}))
    table = {
        "device": "cpu",
        "data": {"path": str(data)},
        "prompts": {"path": str(prompts)},
        "generate": {"max_new_tokens": 20},
        "models": {"sft": {"method": "sft", "batch_size": 2, "micro_batch_size": 2, "epochs": 4.0}},
        "detect": {"detectors": []},
    }
    run = Run.create(tmp_path / "runs", check_recipe(table, "recipe"))
    assert work_on(run) == 0, run.state().error
    return run


def test_the_instance_that_taught_a_name_is_found(run: Run) -> None:
    response = run.response("sft", "stand")
    assert response is not None and NAME in response.response, response
    start = response.response.index(NAME)
    target = Target("stand", start, start + len(NAME), NAME, (0,))
    patch = create(run, ProofSpec("tail-patch", "sft", (target,), controls=5))
    assert main([str(patch.folder)]) == 0, patch.log_tail()
    (verdict,) = patch.verdicts()
    assert verdict.auc == 1.0 and verdict.sources[0].effect > 1.0, verdict.text
    drop = create(run, ProofSpec("drop-and-retrain", "sft", (target,), controls=3, seeds=1))
    assert main([str(drop.folder)]) == 0, drop.log_tail()
    (verdict,) = drop.verdicts()
    assert verdict.effect is not None and verdict.low is not None and verdict.low > 1.0, verdict.text
    assert verdict.said_without == 0.0 and verdict.said_with == 1.0
