"""The files of a report, the command that writes them, and LLM Comparator's."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from itaudit.cli_report import report_command
from itaudit.errors import UserError
from itaudit.report.comparator import comparator_document, comparator_documents
from itaudit.report.document import report_of
from itaudit.report.exports import write_report
from itaudit.report.subjects import subjects_of
from itaudit.runs.cells import cells_of
from itaudit.runs.judgements import Preference, preference_row, preference_table
from itaudit.runs.run import Run
from tests.experiments.made_of_figures import make_experiment
from tests.report.conftest import Written, laddered


@pytest.fixture
def run(written: Written, tmp_path: Path) -> Run:
    """A copy of the run that the report tells of."""
    source = written.report.parts[1].subject.paths[0]
    return Run(Path(shutil.copytree(source, tmp_path / source.name)))


def test_every_file_that_is_named_is_there(written: Written) -> None:
    assert {"report.html", "report.md", "report.json"} < set(written.document["files"])
    for name in written.document["files"]:
        assert (written.folder / name).stat().st_size > 0
    there = {str(path.relative_to(written.folder)) for path in written.folder.rglob("*") if path.is_file()}
    assert there == set(written.document["files"])


def test_a_later_report_takes_the_earlier_ones_files_away_and_no_others(
    written: Written, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(written.folder, out)
    (out / "tables" / "mine.csv").write_text("mine")
    told = orjson.loads((out / "report.json").read_bytes())
    told["files"].append("../kept.txt")
    (out / "report.json").write_bytes(orjson.dumps(told))
    (tmp_path / "kept.txt").write_text("kept")
    write_report(report_of([run.path]), out)
    assert not (out / "tables" / "ladder").exists() or not list((out / "tables" / "ladder").iterdir())
    assert (out / "tables" / "methods.csv").exists() and (out / "tables" / "mine.csv").exists()
    assert (tmp_path / "kept.txt").exists()


def test_the_reproduction_names_recipes_hashes_and_versions(written: Written) -> None:
    told = written.report.reproduction
    run = written.report.parts[1].subject.runs[0]
    assert [name for name, _ in told.recipes] == ["ladder.toml", "dolly-12.toml"]
    assert told.commands[0] == "itaudit run ladder.toml --name ladder"
    assert told.commands[-1] == "itaudit report ladder dolly-12"
    assert run.dataset.sha256 in {row["sha256"] for row in told.files.rows}
    facts = {row["fact"]: row["value"] for row in told.facts.rows}
    assert facts["device of the runs"] == "cpu" and {"torch", "transformers", "itaudit", "Python"} <= facts.keys()


def test_runs_stand_beside_each_other_as_variants(run: Run, tmp_path: Path) -> None:
    other = Run(Path(shutil.copytree(run.path, tmp_path / "other")))
    (subject,) = subjects_of([run.path, other.path, run.path])
    assert {cell.variant for cell in subject.cells} == {run.name, "other"}
    assert (subject.reference, subject.finished) == ("lft", True)


def test_nothing_scored_is_one_line(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, {"models": {"lft": {"method": "lft"}}}, lambda *_: None)
    with pytest.raises(UserError, match=r"nothing is scored yet; `itaudit resume .*` goes on"):
        report_of([experiment.path])


def test_the_command_writes_into_the_run_and_prints_the_document(run: Run) -> None:
    done = CliRunner().invoke(report_command, [str(run.path), "--json"], catch_exceptions=False)
    told = orjson.loads(done.stdout)
    assert (told["folder"], done.exit_code) == (str(run.path / "report"), 0)
    assert told["subjects"][0]["name"] == run.name
    assert (run.path / "report" / "report.html").exists()


def test_a_place_that_is_neither_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run"):
        CliRunner().invoke(report_command, [str(tmp_path)], catch_exceptions=False)


def test_a_folder_that_cannot_be_written_is_one_line(written: Written, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"can't write the report: .*; give another --out"):
        write_report(written.report, tmp_path / "file")


def judge(run: Run, verdicts: list[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """LLM Comparator's examples of sft against lft by prompt id, where a judge said of each prompt in order which of
    both answers is better, sft's shown first and then lft's; an empty word is no judgement."""
    prompts = [prompt.id for prompt in run.prompts()]
    for at, (first, second) in enumerate((("sft", "lft"), ("lft", "sft"))):
        said = [
            Preference(id, "j", both[at] or None, f"{id} {at}") for id, both in zip(prompts, verdicts, strict=False)
        ]
        preference_table(run, first, second).append([preference_row(n, one, 0.1) for n, one in enumerate(said)])
    document = comparator_document(run, "sft", "lft")
    return {one["custom_fields"]["prompt id"]: one for one in document["examples"]}


def test_comparator_scores_are_from_the_first_models_side(run: Run) -> None:
    # Shown the other way round, "first" is the second model.
    found = list(judge(run, [("first", "first"), ("first", "second"), ("second", "tie"), ("tie", "tie")]).values())
    assert [one["score"] for one in found[:5]] == [0.0, 1.0, -0.5, 0.0, None]
    # Above 0 model A is better, also among the ratings of one example, and whatever was shown first.
    ratings = [
        (r["is_flipped"], r["score"], r["rating_label"], r["rationale"][-1])
        for r in found[0]["individual_rater_scores"]
    ]
    assert ratings == [(False, 1.0, "sft is better", "0"), (True, -1.0, "lft is better", "1")]
    assert [r["rating_label"] for r in found[2]["individual_rater_scores"]] == ["lft is better", "neither is better"]


def test_comparator_has_no_score_of_one_order_alone(run: Run) -> None:
    found = list(judge(run, [("first", ""), ("", ""), ("second", "first")]).values())
    assert [one["score"] for one in found[:3]] == [None, None, -1.0]
    assert [len(one["individual_rater_scores"]) for one in found[:3]] == [1, 0, 2]


def test_comparator_scores_of_a_model_that_always_wins_stay_on_the_scale_of_the_others(run: Run) -> None:
    """Where no rating is below 1, its page takes scores for those of another scale, and shows that nobody wins."""
    found = judge(run, [("first", "second")] * 3).values()
    assert [one["score"] for one in found][:4] == [0.99, 0.99, 0.99, None]
    assert {rating["score"] for one in found for rating in one["individual_rater_scores"]} == {0.99}


def test_comparator_files_are_what_its_page_reads(run: Run) -> None:
    """What its page (1.0.0) does with a file: no check of its own, so that whatever is missing breaks it."""
    documents = dict(comparator_documents(cells_of(run), "lft"))
    assert list(documents) == [f"{run.name}-lft-base", f"{run.name}-sft-lft"]
    for first, second in (("lft", "base"), ("sft", "lft")):
        document = documents[f"{run.name}-{first}-{second}"]
        assert document["models"] == [{"name": first}, {"name": second}]
        types = {field["name"]: field["type"] for field in document["metadata"]["custom_fields_schema"]}
        assert len(document["examples"]) == len(run.prompts())
        for example in document["examples"]:
            assert {"input_text", "tags", "output_text_a", "output_text_b", "score"} <= set(example)
            # It walks over both lists without asking whether they are there.
            assert isinstance(example["tags"], list) and isinstance(example["individual_rater_scores"], list)
            fields = example["custom_fields"]
            assert set(fields) == set(types)
            for name, type in types.items():
                if type.startswith("per_model_"):
                    # Any other length stops the whole table.
                    assert len(fields[name]) == 2
                if type == "per_model_number":
                    assert all(one is None or isinstance(one, int | float) for one in fields[name])
            said = [run.response(label, fields["prompt id"]) for label in (first, second)]
            assert [example["output_text_a"], example["output_text_b"]] == [one and one.response for one in said]
            assert fields["finish"] == [one and one.finish for one in said]


def test_comparator_has_no_field_that_tells_nothing(run: Run) -> None:
    """The page would show an empty column and an empty chart."""
    document = comparator_document(run, "sft", "lft")
    fields = [field["name"] for field in document["metadata"]["custom_fields_schema"]]
    assert "KL to base (nats)" in fields and "reference" in fields
    for name in fields:
        values = [example["custom_fields"][name] for example in document["examples"]]
        assert any(value is not None and value != [None, None] for value in values)


def test_only_the_largest_size_is_compared(tmp_path: Path) -> None:
    table = {"models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}}, "experiment": {"sizes": [10, 40]}}
    experiment = make_experiment(tmp_path, table, laddered)
    assert [name for name, _ in comparator_documents(experiment.cells(), "lft")] == ["n40-sft-lft"]
