"""Runs whose instances were chosen or changed by transforms."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit.data.instance import Instance
from itaudit.data.versions import open_edited
from itaudit.engine import ifd
from itaudit.engine.heart import Cancelled
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.worker import work_on
from itaudit.errors import UserError
from itaudit.recipe import Context
from itaudit.runs.run import Run
from itaudit.summary import show_document

from .conftest import INSTANCES, loaded

MakeRun = Callable[..., Run]
TASK: dict[str, Any] = {
    "Definition": ["Is it kind?"],
    "Positive Examples": [{"input": "you are lovely", "output": "yes"}, {"input": "go away", "output": "no"}],
    "Negative Examples": [],
    "Instances": [{"input": f"text {n}", "output": ["yes" if n % 2 else "no"]} for n in range(10)],
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))


def prepared(run: Run) -> Run:
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    return run


def test_a_run_tunes_asks_and_traces_the_instances_as_transformed(make_run: MakeRun, tmp_path: Path) -> None:
    task = tmp_path / "task1_kind.json"
    task.write_bytes(orjson.dumps(TASK))
    steps = ["definition:variant=simplified", "examples:variant=delusive,count=1"]
    run = make_run(
        data={"path": str(task), "limit": 8, "transforms": [*steps, "random:k=5,seed=1"]},
        prompts={"path": str(task), "skip": 8, "transforms": steps},
        context={"template": "tk-instruct"},
        models={"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "epochs": 1.0}},
    )
    assert work_on(run) == 0, run.state().error
    instruction = (
        "Definition: no, yes.\n\nPositive Example 1 -\nInput: you are lovely.\nOutput: no.\n\n"
        "Now complete the following example -"
    )
    assert len(run.dataset) == 5 and {instance.instruction for instance in run.dataset} == {instruction}
    assert [prompt.prompt for prompt in run.prompts()] == [f"{instruction}\n\ntext {n}" for n in (8, 9)]
    response = run.response("sft", run.prompts()[0].id)
    assert response is not None and response.context == f"{instruction}\nInput: text 8.\nOutput: "
    sources = [
        s for row in run.table("traces", "sft").read().to_pylist() for span in row["spans"] for s in span["sources"]
    ]
    rows = {instance.index for instance in run.dataset}
    assert all(source["index"] in rows and source["instruction"] == instruction for source in sources)
    records = run.transforms()
    assert [(r["step"], r["before"], r["after"]) for r in records["data"]] == [
        ("definition:variant=simplified", 8, 8),
        ("examples:variant=delusive,count=1,seed=0", 8, 8),
        ("random:k=5,seed=1", 8, 5),
    ]
    assert show_document(run)["dataset"]["transforms"] == records["data"]
    assert run.recipe.data.transforms[-1] == "random:k=5,seed=1"


def test_the_difficulty_is_measured_by_the_base_model_in_its_context(make_run: MakeRun, tiny_llama: Path) -> None:
    run = prepared(make_run(data=make_data(make_run, ["ifd:k=3,at_most=inf"]), context={"system": "Be short."}))
    instances = [Instance(n, str(n), row["instruction"], response=row["output"]) for n, row in enumerate(INSTANCES)]
    found = ifd.difficulties(loaded(tiny_llama), instances, Context(system="Be short."))
    hardest = sorted(range(8), key=lambda n: -(found[n].ifd or 0))[:3]  # type: ignore[union-attr]  # all are measured
    assert [instance.index for instance in run.dataset] == sorted(hardest)
    assert run.transforms()["data"][0]["step"] == f"ifd:k=3,order=highest,at_most=inf,model={tiny_llama}"
    assert run.state().stages["prepare"].state == "done"


def test_another_model_can_measure(make_run: MakeRun, other_llama: Path) -> None:
    run = prepared(make_run(data=make_data(make_run, [f"ifd:k=2,order=lowest,at_most=inf,model={other_llama}"])))
    instances = [Instance(n, str(n), row["instruction"], response=row["output"]) for n, row in enumerate(INSTANCES)]
    found = ifd.difficulties(loaded(other_llama), instances, Context())
    easiest = sorted(range(8), key=lambda n: found[n].ifd or 0)[:2]  # type: ignore[union-attr]  # all are measured
    assert [instance.index for instance in run.dataset] == sorted(easiest)


def test_a_stop_while_measuring_loses_nothing(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ifd.BATCH_TOKENS, "cpu", 1)
    run = make_run(data=make_data(make_run, ["ifd:k=3,at_most=inf"]))
    progress = Reporter.progress

    def progress_and_stop(reporter: Reporter, stage: str, model: str, done: int) -> None:
        progress(reporter, stage, model, done)
        if done == 5:
            reporter._heart._cancel.set()

    with monkeypatch.context() as patched:
        patched.setattr(Reporter, "progress", progress_and_stop)
        with pytest.raises(Cancelled):
            prepared(run)
    [file] = (ifd.paths.cache_dir() / "ifd").iterdir()
    assert len(file.read_bytes().splitlines()) == 5
    assert len(prepared(run).dataset) == 3
    assert len(file.read_bytes().splitlines()) == 16


def make_data(make_run: MakeRun, steps: list[str]) -> dict[str, Any]:
    return {"path": make_run().recipe.data.path, "transforms": steps}


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        (["longest:k=9"], "data.transforms: transform longest:k=9,unit=words: k=9 is more than the 8 instances"),
        (["score:column=quality,k=2"], "data.transforms: transform score:column=quality,k=2,order=highest: "),
        (["definition:variant=empty"], "is alpaca; definitions and examples are those of"),
        (["ifd:k=9"], "k=9 is more than the 8 instances"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_model_is_loaded(
    make_run: MakeRun, steps: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itaudit.engine.ifd.load_for_ifd", lambda *_: pytest.fail("a model was loaded"))
    run = make_run(data=make_data(make_run, steps))
    with pytest.raises(UserError) as caught:
        prepared(run)
    assert says in str(caught.value)
    assert not run.dataset_path.exists()


def test_a_run_reads_the_version_that_its_recipe_names(make_run: MakeRun) -> None:
    source = make_run().recipe.data.path
    edited = open_edited(source)
    edited.edit(0, {"response": "By a lens maker."}, by="hand")
    edited.edit(1, {"deleted": True}, by="hand")

    def responses(path: str) -> list[str | None]:
        return [instance.response for instance in prepared(make_run(data={"path": path})).dataset]

    before = [row["output"] for row in INSTANCES]
    assert responses(source) == responses(f"{source}@source") == before
    assert responses(f"{source}@1") == ["By a lens maker.", *before[1:]]
    run = prepared(make_run(data={"path": f"{source}@edited", "transforms": ["shortest:k=1"]}))
    assert [instance.response for instance in run.dataset] == ["By a lens maker."]
    [note] = [note for note in run.state().notes if "@" in note]
    name = note.split(" was read as ")[1].split(",")[0]
    assert name == f"{source}@2"
    assert responses(name) == responses(f"{source}@edited") == ["By a lens maker.", *before[2:]]
