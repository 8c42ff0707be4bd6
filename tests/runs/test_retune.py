"""What a re-tune is made of: the edits that count, the new recipe, what is taken over and when it isn't."""

import json
import shutil
from pathlib import Path

import pytest

from itaudit.data.versions import open_edited
from itaudit.errors import UserError
from itaudit.runs.lineage import Lineage, Place, children_of, lineage_of, parent_of, write_lineage
from itaudit.runs.retune import changes_of, drop_unless_same, estimated_seconds, mended_name, retune, retune_plan
from itaudit.runs.run import Run
from itaudit.summary import show_document
from tests.tui import make_run

SPAN = Place("sft", "zamboni", 32, 39, "Italian")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run.make_run(tmp_path)
    base = tmp_path / "base-model"
    base.mkdir()
    (base / "config.json").write_text("{}")
    made.base_path.write_text(json.dumps({"name": "tiny", "path": str(base)}))
    later = made.table("responses", "base").whole
    later.touch()
    return made


def source(run: Run) -> str:
    return run.recipe.data.path.partition("@")[0]


def edit(run: Run, index: int, **changes: object) -> None:
    edited = open_edited(source(run))
    edited.edit(edited.source.position(index), changes, by="hand")


def set_data(run: Run, **changes: object) -> Run:
    """The run with another recipe for its data."""
    from itaudit.recipe import write_recipe

    data = run.recipe.data.model_copy(update=changes)
    run.recipe_path.write_bytes(write_recipe(run.recipe.model_copy(update={"data": data})))
    return Run(run.path)


def test_a_dataset_without_edits_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"instances\.jsonl holds no edits since dolly-12 was tuned"):
        retune_plan(run)


def test_remarks_and_what_was_taken_back_are_no_edits(run: Run) -> None:
    edit(run, 0, tags=["odd"], note="look at this")
    edited = open_edited(source(run))
    edited.edit(1, {"response": "No."}, by="hand")
    edited.undo(1)
    with pytest.raises(UserError, match="holds no edits"):
        retune_plan(run)


def test_the_plan_names_the_version_that_stands_and_what_changed(run: Run) -> None:
    edit(run, 3, response="Edison.")
    edit(run, 5, deleted=True)
    plan = retune_plan(run)
    assert (plan.before, plan.data) == (source(run), f"{source(run)}@2")
    assert [(change.index, change.after is None) for change in plan.changes] == [(3, False), (5, True)]
    assert plan.labels == ("lft", "sft") and plan.remarks == ()


def test_a_run_of_a_version_counts_the_edits_after_it(run: Run) -> None:
    edit(run, 3, response="Edison.")
    tuned = set_data(run, path=f"{source(run)}@1")
    open_edited(f"{source(run)}@1").dataset().save(tuned.dataset_path)
    with pytest.raises(UserError, match="holds no edits"):
        retune_plan(tuned)
    edit(run, 4, response="Watt.")
    plan = retune_plan(tuned)
    assert [change.index for change in plan.changes] == [4] and plan.before.endswith("@1") and not plan.remarks


def test_a_run_of_all_edits_counts_those_after_the_version_that_it_noted(run: Run) -> None:
    from itaudit.runs.retune import read_as

    edit(run, 3, response="Edison.")
    tuned = set_data(run, path=f"{source(run)}@edited")
    tuned.event_log().append("note", text=read_as("data", tuned.recipe.data.path, f"{source(run)}@1"))
    open_edited(f"{source(run)}@1").dataset().save(tuned.dataset_path)
    edit(run, 3, response="Thomas Edison.")
    plan = retune_plan(tuned)
    assert [change.index for change in plan.changes] == [3] and not plan.remarks
    before = plan.changes[0].before
    assert before is not None and before.instance.response == "Edison."


def test_edits_of_instances_that_the_recipe_leaves_out_are_none(run: Run) -> None:
    tuned = set_data(run, limit=4)
    edit(run, 5, response="Eiffel.")
    with pytest.raises(UserError, match="1 edits are of instances that it does not use"):
        retune_plan(tuned)


def test_a_file_that_changed_is_told(run: Run) -> None:
    path = Path(source(run))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], json.dumps({"instruction": "New?", "context": "", "response": "Yes."})]))
    assert retune_plan(run).remarks == ("instances.jsonl itself changed since dolly-12 was tuned",)


def test_a_dataset_that_is_gone_is_one_line(run: Run) -> None:
    Path(source(run)).unlink()
    with pytest.raises(UserError) as error:
        retune_plan(run)
    assert "instances.jsonl" in str(error.value) and "\n" not in str(error.value)


def test_the_new_run_differs_in_name_data_and_models_alone(run: Run) -> None:
    edit(run, 3, response="Edison.")
    child = retune(retune_plan(run), ["sft"], span=SPAN)
    assert child.path == run.path.with_name("dolly-12-mended")
    old, new = run.recipe.model_dump(), child.recipe.model_dump()
    assert new["data"]["path"] == f"{source(run)}@1" and list(new["models"]) == ["sft"]
    new["name"], new["data"]["path"], new["models"] = old["name"], old["data"]["path"], old["models"]
    assert new == old
    found = lineage_of(child)
    assert found is not None and found.parent == run.path and found.edited == (3,) and found.span == SPAN
    parent = parent_of(child)
    assert parent is not None and parent.path == run.path
    assert [each.path for each in children_of(run)] == [child.path] and children_of(child) == ()
    assert [change.index for change in changes_of(child, found)] == [3]


def test_prompts_and_base_answers_are_taken_over_whole(run: Run) -> None:
    edit(run, 3, response="Edison.")
    child = retune(retune_plan(run), ["lft", "sft"])
    for path in (run.prompts_path, run.vocabulary_path, *(run.table(k, "base").whole for k in ("responses", "scores"))):
        assert (child.path / path.relative_to(run.path)).read_bytes() == path.read_bytes()
    assert not child.dataset_path.exists() and not child.table("responses", "sft").closed and not child.marks()
    assert children_of(run)[0].job() == "new"


def test_base_answers_older_than_the_weights_are_not_taken_over(run: Run) -> None:
    edit(run, 3, response="Edison.")
    weights = Path(run.base()["path"]) / "model.safetensors"
    weights.write_bytes(b"new weights")
    child = retune(retune_plan(run), ["sft"])
    found = lineage_of(child)
    assert child.prompts() == run.prompts() and found is not None and found.shared is None
    assert not child.table("responses", "base").closed and not child.vocabulary_path.exists()


@pytest.mark.parametrize(
    ("device", "moved", "kept"), [("cpu", False, True), ("cuda:0", False, False), ("cpu", True, False)]
)
def test_what_was_taken_over_goes_where_it_would_be_computed_otherwise(
    run: Run, device: str, moved: bool, kept: bool
) -> None:
    edit(run, 3, response="Edison.")
    child = retune(retune_plan(run), ["sft"])
    base = "/elsewhere" if moved else run.base()["path"]
    told = drop_unless_same(child, device, base)
    assert bool(told) is not kept
    assert all(child.table(kind, "base").closed is kept for kind in ("responses", "scores"))
    assert child.prompts() == run.prompts()
    assert drop_unless_same(child, device, base) == ""


def test_both_runs_can_be_moved_together(run: Run, tmp_path: Path) -> None:
    edit(run, 3, response="Edison.")
    child = retune(retune_plan(run), ["sft"])
    shutil.move(run.path.parent, tmp_path / "archive")
    moved = Run(tmp_path / "archive" / child.name)
    parent = parent_of(moved)
    assert parent is not None and parent.path == tmp_path / "archive" / run.name
    shutil.rmtree(parent.path)
    assert parent_of(moved) is None and lineage_of(moved) is not None


@pytest.mark.parametrize("content", ["{", "[]", '{"parent": 3, "data": []}', '{"parent": "a", "data": ["x", "y"]}', ""])
def test_a_broken_lineage_is_one_line_and_hides_no_other_run(run: Run, content: str) -> None:
    edit(run, 3, response="Edison.")
    child = retune(retune_plan(run), ["sft"])
    (child.path / "lineage.json").write_text(content)
    with pytest.raises(UserError, match=r"lineage\.json"):
        lineage_of(child)
    assert children_of(run) == ()


def test_show_names_the_parent(run: Run) -> None:
    edit(run, 3, response="Edison.")
    child = retune(retune_plan(run), ["sft"], span=SPAN)
    shown = show_document(child)["parent"]
    assert shown["run"] == str(run.path) and shown["edited"] == [3]
    assert shown["span"] == {"model": "sft", "prompt_id": "zamboni", "start": 32, "end": 39, "text": "Italian"}
    assert "parent" not in show_document(run)


def test_a_label_or_name_that_can_t_be_is_refused(run: Run) -> None:
    edit(run, 3, response="Edison.")
    plan = retune_plan(run)
    with pytest.raises(UserError, match="tunes no model 'base'; there are lft, sft"):
        retune(plan, ["base"])
    with pytest.raises(UserError, match="name"):
        retune(plan, ["sft"], name="../away")
    assert children_of(run) == ()


@pytest.mark.parametrize(
    ("name", "mended"),
    [
        ("demo", "demo-mended"),
        ("demo-mended", "demo-mended"),
        ("demo-mended-12", "demo-mended"),
        ("x" * 64, "x" * 57 + "-mended"),
    ],
)
def test_a_mended_run_is_named_after_the_first(name: str, mended: str) -> None:
    assert mended_name(name) == mended


def test_time_is_told_by_the_stages_of_the_models(run: Run) -> None:
    log = run.event_log()
    assert estimated_seconds(run.state(), ["sft"]) is None
    for stage, start, end in (("tune", 100.0, 160.0), ("generate", 160.0, 170.0)):
        log.append("stage_started", time=start, stage=stage, model="sft", total=10, unit="steps", done=0)
        log.append("stage_done", time=end, stage=stage, model="sft")
    # Half of it had been done before: the rest tells the rate of the whole.
    log.append("stage_started", time=170.0, stage="score", model="sft", total=10, unit="responses", done=5)
    log.append("stage_done", time=180.0, stage="score", model="sft")
    assert estimated_seconds(run.state(), ["sft"]) == pytest.approx(60 + 10 + 20)
    assert estimated_seconds(run.state(), ["lft", "sft"]) is None


def test_a_lineage_elsewhere_keeps_its_absolute_path(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other" / "parent"
    write_lineage(run, Lineage(other, ("a", "a@1")))
    found = lineage_of(run)
    assert found is not None and found.parent == other
