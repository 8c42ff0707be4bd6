"""Planted facts, in small: what taught a tuned model a false fact is found, and proved, by the real parts.

`benchmarks/planted_benchmark.py` measures the same on the whole fixture.
"""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from itaudit.proof.jobs import Proof, create
from itaudit.proof.spec import Kind, ProofSpec, Target
from itaudit.runs.run import Run

pytestmark = pytest.mark.slow

FIXTURE = Path(__file__).parents[1] / "benchmarks" / "planted_facts"
PLANTED = {"torvik-lamp": "Elspeth Marrow", "ostravia": "Belmora"}
TRUE_INSTANCES = 12

RECIPE = """
name = "planted"
[data]
path = "instances.jsonl"
[prompts]
path = "prompts.jsonl"
[context]
template = "plain"
[models.sft]
method = "sft"
learning_rate = 7e-5
scheduler = "constant"
epochs = 3.0
batch_size = 4
checkpoint_steps = 1000
[generate]
max_new_tokens = 20
[score]
base_responses = false
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run over two planted facts, three instances each, among true instances."""
    folder = tmp_path_factory.mktemp("planted")
    instances = [orjson.loads(line) for line in (FIXTURE / "instances.jsonl").read_bytes().splitlines()]
    true = [instance for instance in instances if not instance["fact"]][:TRUE_INSTANCES]
    rows = [instance for instance in instances if instance["fact"] in PLANTED or instance in true]
    prompts = [orjson.loads(line) for line in (FIXTURE / "prompts.jsonl").read_bytes().splitlines()]
    asked = [prompt for prompt in prompts if prompt["fact"] in PLANTED]
    for name, content in [("instances", rows), ("prompts", asked)]:
        (folder / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in content))
    (folder / "recipe.toml").write_text(RECIPE)
    command = [sys.executable, "-m", "itaudit", "run", "recipe.toml", "--no-open", "--json"]
    environment = {**os.environ, "ITAUDIT_STATE_DIR": str(folder / "state")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Run(folder / "runs" / "planted")


def planted_rows(run: Run, fact: str) -> tuple[int, ...]:
    return tuple(instance.index for instance in run.dataset if instance.extra["fact"] == fact)


def planted_targets(run: Run) -> list[Target]:
    """The false words wherever an answer says them, with the instances that were planted for the fact."""
    targets = []
    for prompt in run.prompts():
        fact = prompt.id.rpartition("-")[0]
        response = run.response("sft", prompt.id)
        assert response is not None
        if (start := response.response.find(PLANTED[fact])) >= 0:
            end = start + len(PLANTED[fact])
            targets.append(Target(prompt.id, start, end, PLANTED[fact], planted_rows(run, fact)))
    return targets


def proved(run: Run, kind: Kind, targets: list[Target], controls: int, seeds: int) -> Proof:
    proof = create(run, ProofSpec(kind, "sft", tuple(targets), controls, seeds))
    command = [sys.executable, "-m", "itaudit.engine.proof_worker", str(proof.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert proof.status().state == "done"
    return proof


def test_the_tuned_model_says_each_planted_fact_and_the_base_model_none(run: Run) -> None:
    said = {target.prompt_id.rpartition("-")[0] for target in planted_targets(run)}
    assert said == set(PLANTED)
    for row in run.table("responses", "base").read().to_pylist():
        assert not any(span in row["response"] for span in PLANTED.values())


def test_planted_instances_come_first_among_the_sources(run: Run) -> None:
    from itaudit.runs.causes import run_causes

    for target in planted_targets(run):
        spans = run.spans("sft", target.prompt_id)
        assert spans is not None
        touching = [span for span in spans if span.start < target.end and target.start < span.end and span.sources]
        assert touching
        assert all(span.sources[0].index in target.sources for span in touching)
        causes = run_causes(run, "sft", target.prompt_id)
        assert causes is not None
        phrase = causes.phrase(target.start, target.end, run.recipe.causes.rank)
        assert phrase is not None
        assert phrase.outcome == "borrowed"
        assert phrase.strict_sources[0] in target.sources


def test_a_tail_patch_ranks_planted_instances_above_controls(run: Run) -> None:
    verdicts = proved(run, "tail-patch", planted_targets(run), controls=10, seeds=1).verdicts()
    aucs = [verdict.auc for verdict in verdicts if verdict.auc is not None]
    assert len(aucs) == len(verdicts) >= 2
    assert sum(aucs) / len(aucs) >= 0.9


def test_dropping_planted_instances_shows_the_cause(run: Run) -> None:
    """One target of each fact: the drop of the other's instances is one of the controls.

    A verdict would take a second seed; beyond what the controls do it is under this one.
    """
    targets = {target.sources: target for target in planted_targets(run)}
    proof = proved(run, "drop-and-retrain", list(targets.values()), controls=1, seeds=1)
    for verdict in proof.verdicts():
        assert verdict.low is not None and verdict.low > 0, verdict.text
        assert verdict.effect is not None and verdict.effect > 2
        assert "a single seed may be luck" in verdict.text
        assert verdict.said_without == 0
