"""Re-tunes on a tiny model by the real worker: what is taken over, what is computed, what the recipe chooses."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from itaudit.data.versions import open_edited
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.worker import Worker, work_on
from itaudit.runs.compare import comparison
from itaudit.runs.lineage import lineage_of, write_lineage
from itaudit.runs.retune import retune, retune_plan
from itaudit.runs.run import BASE, Run
from tests.engine.conftest import INSTANCES

MakeRun = Callable[..., Run]
SFT = {"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "learning_rate": 0.01}}


def edit(run: Run, index: int, **changes: object) -> None:
    edited = open_edited(run.recipe.data.path.partition("@")[0])
    edited.edit(edited.source.position(index), changes, by="hand")


def written(run: Run) -> dict[str, tuple[bytes, int]]:
    """What stands in the tables of the base model, and when it was written."""
    paths = [run.vocabulary_path, run.prompts_path, *(run.table(kind, BASE).whole for kind in ("responses", "scores"))]
    return {path.name + path.parent.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.mark.slow
def test_a_re_tune_computes_the_tuned_model_alone_and_its_edit_shows(make_run: MakeRun) -> None:
    run = make_run(models=SFT)
    assert work_on(run) == 0
    for index in range(0, 8, 2):
        edit(run, index, response="A bee. " * 6)
    # The prompts are those that were asked, whatever their file says by now.
    Path(run.recipe.prompts.path).write_text('{"prompt": "Another question?"}\n')
    child = retune(retune_plan(run), ["sft"])
    before = written(child)
    assert work_on(child) == 0
    assert written(child) == before
    assert child.prompts() == run.prompts()
    changed = [i.index for i, j in zip(run.dataset, child.dataset, strict=True) if i.response != j.response]
    assert changed == [0, 2, 4, 6]
    stages = child.state().stages
    assert all(stage.state == "done" for stage in stages.values()) and child.job() == "done"
    assert "score:base" in stages and "tune:sft" in stages
    found = comparison(run, child, "sft")
    found.poll()
    assert "changed" in found.states.values()
    part = found.parting(found.order[0].id)
    assert part is not None and part.old.token != part.new.token
    # Up to there both read the same, so that the base model's view is one and the same.
    assert part.base == tuple(run.token_scores("sft", found.order[0].id).top_base[part.position])  # type: ignore[union-attr]  # scored
    assert part.base == tuple(child.token_scores("sft", found.order[0].id).top_base[part.position])  # type: ignore[union-attr]  # scored


@pytest.mark.slow
def test_an_edit_that_was_taken_back_gives_the_same_model(make_run: MakeRun) -> None:
    run = make_run(models=SFT)
    assert work_on(run) == 0
    edit(run, 1, response="Other.")
    open_edited(run.recipe.data.path).undo(1)
    data = run.recipe.data.model_copy(update={"path": f"{run.recipe.data.path}@2"})
    again = Run.create(run.path.parent, run.recipe.model_copy(update={"data": data}))
    assert work_on(again) == 0
    for prompt in run.prompts():
        assert run.response("sft", prompt.id) == again.response("sft", prompt.id)


def test_base_answers_of_another_device_are_computed_anew(make_run: MakeRun) -> None:
    run = make_run(models=SFT)
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    with Reporter(run) as reporter:
        worker = Worker(run, reporter)
        reporter.started("cpu, 1 threads", [])
        worker._find_base()
        worker._answer_as_base()
    edit(run, 1, response="Other.")
    child = retune(retune_plan(run), ["sft"])
    found = lineage_of(child)
    assert found is not None and found.shared is not None and found.shared.device == "cpu, 1 threads"
    write_lineage(child, type(found)(found.parent, found.data, found.edited, None, type(found.shared)("cuda:0", "x")))
    with Reporter(child) as reporter:
        Worker(child, reporter)._check_what_was_taken_over()
    assert not child.table("responses", BASE).closed and not child.table("scores", BASE).closed
    assert any("the base model answers anew" in note for note in child.state().notes)


def test_deleting_an_instance_moves_no_held_out_one_into_the_tuning_data(make_run: MakeRun, tmp_path: Path) -> None:
    path = str(tmp_path / "data.jsonl")
    rows = {"data": {"path": f"{path}@edited", "limit": 4}, "prompts": {"path": path, "skip": 4}}
    run = make_run(**rows)
    edit(run, 1, deleted=True)
    edit(run, 2, response="Edited.")
    edit(run, 6, response="Of no concern.")
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    assert [(i.index, i.response) for i in run.dataset] == [
        (0, INSTANCES[0]["output"]),
        (2, "Edited."),
        (3, INSTANCES[3]["output"]),
    ]
    assert [prompt.prompt for prompt in run.prompts()] == [row["instruction"] for row in INSTANCES[4:]]


def test_what_the_transforms_of_prompts_did_is_kept_in_a_re_tune(make_run: MakeRun, tmp_path: Path) -> None:
    path = str(tmp_path / "data.jsonl")
    steps = {"data": ["longest:k=6"], "prompts": ["random:k=2"]}
    run = make_run(**{key: {"path": path, "transforms": each} for key, each in steps.items()})
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    edit(run, 1, response="Other.")
    child = retune(retune_plan(run), ["sft"])
    with Reporter(child) as reporter:
        prepare_run(child, reporter)
    assert child.transforms()["prompts"] == run.transforms()["prompts"] != []
    assert child.transforms()["data"][0]["step"] == run.transforms()["data"][0]["step"]
    assert orjson.loads(child.transforms_path.read_bytes()).keys() == {"data", "prompts"}
