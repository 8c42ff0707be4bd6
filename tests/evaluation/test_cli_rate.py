"""`itaudit rate` and `itaudit ratings` as scripts use them."""

import csv
import shutil
from pathlib import Path

import krippendorff
import orjson
import pandas
import pytest

from itaudit.evaluation.aspects import ASPECTS
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import read_spec
from itaudit.runs.run import Run
from tests.commands import Itaudit
from tests.evaluation.rated_run import fill, many, rate, rated_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = rated_run(tmp_path, many(4, "base", "lft", "sft"))
    for number in range(4):
        for rater in ("ada", "bob"):
            rate(
                run,
                rater,
                "sft",
                f"p{number:02}",
                **{aspect: 1 + (number + (rater == "bob")) % 5 for aspect in ASPECTS},
            )
            rate(run, rater, "lft", f"p{number:02}", clarity=5)
    return run


def test_the_document_has_the_tables_and_every_rating_with_its_model(run: Run, itaudit: Itaudit) -> None:
    told = itaudit("ratings", run.path, "--json")
    assert (told.returncode, told.stderr) == (0, "")
    document = orjson.loads(told.stdout)
    assert document["path"] == str(run.path) and document["reference"] == "lft" and document["no_longer_given"] == 0
    tables = {table["name"]: table["rows"] for table in document["tables"]}
    assert list(tables) == ["ratings", "rating_differences", "rating_agreement", "raters"]
    sft = next(row for row in tables["ratings"] if row["model"] == "sft")
    assert sft["clarity"]["value"] == 3 and sft["raters"] == 2 and sft["answers"] == 4
    assert len(document["ratings"]) == 16 and {row["model"] for row in document["ratings"]} == {"lft", "sft"}
    text = itaudit("ratings", run.path, "--reference", "sft")
    assert text.returncode == 0 and "Krippendorff's alpha" in text.stdout and "against sft" in text.stdout


def test_ratings_are_written_as_csv_and_json_lines(run: Run, itaudit: Itaudit, tmp_path: Path) -> None:
    lines, sheet = tmp_path / "out.jsonl", tmp_path / "out.csv"
    assert itaudit("ratings", run.path, "--out", lines).returncode == 0
    told = itaudit("ratings", run.path, "--out", sheet)
    assert told.returncode == 0 and "16 ratings written to" in told.stderr
    rows = [orjson.loads(line) for line in lines.read_bytes().splitlines()]
    with sheet.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [(row["model"], row["rater"], row["response"]) for row in read] == [
        (row["model"], row["rater"], row["response"]) for row in rows
    ]
    assert [row["depth"] for row in read] == ["" if row["depth"] is None else str(row["depth"]) for row in rows]
    again = itaudit("ratings", run.path, "--out", sheet)
    assert again.returncode == 2 and "--force overwrites it" in again.stderr and "16 ratings" not in again.stdout
    assert itaudit("ratings", run.path, "--out", sheet, "--force").returncode == 0
    assert "ends in .csv or .jsonl" in itaudit("ratings", run.path, "--out", tmp_path / "out.xls").stderr


def test_an_export_gives_the_alpha_of_the_tables(itaudit: Itaudit, tmp_path: Path) -> None:
    """As docs/evaluation.md says how; answers that two models gave alike have two rows and count once."""
    answers = many(8, "lft", "sft")
    answers["sft"] |= {f"p{number:02}": answers["lft"][f"p{number:02}"] for number in range(4)}
    run = rated_run(tmp_path, answers)
    for number in range(8):
        for at, rater in enumerate(("ada", "bob", "cyd")):
            for label in ("lft", "sft"):
                if (number + at) % 5:
                    rate(run, rater, label, f"p{number:02}", clarity=1 + (3 * number + (number % 3) * at) % 5)
    told = orjson.loads(itaudit("ratings", run.path, "--json", "--out", tmp_path / "ratings.csv").stdout)
    agreement = next(table["rows"] for table in told["tables"] if table["name"] == "rating_agreement")
    sheet = pandas.read_csv(tmp_path / "ratings.csv")
    assert (
        pandas.api.types.is_numeric_dtype(sheet["clarity"])
        and sheet["depth"].isna().all()
        and sheet["skipped"].dtype == bool
    )
    answer = ["run", "prompt_id", "answer"]
    once = sheet.drop_duplicates([*answer, "rater"])
    assert len(once) < len(sheet)
    values = once.pivot(index="rater", columns=answer, values="clarity").to_numpy()
    alpha = krippendorff.alpha(values, value_domain=range(1, 6), level_of_measurement="ordinal")
    assert alpha == pytest.approx(agreement[0]["alpha"]["value"]) and alpha < 0.99


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rate", "RUN", "--rater", "ada"), "rating needs a terminal"),
        (("rate", "RUN", "--rater", " "), "expected one line of 1 to 40 characters"),
        (("rate", "RUN", "--rater", "ada", "--models", "sft,nope"), "no model 'nope'; there are base, lft, sft"),
        (("rate", "RUN", "--rater", "ada", "--models", ","), "expected labels parted by commas"),
        (("rate", "RUN"), "Missing option '--rater'"),
        (("rate", "nowhere", "--rater", "ada"), "not a run"),
        (("ratings", "RUN", "--reference", "nope"), "no model 'nope'"),
    ],
)
def test_wrong_use_is_told_in_a_line(run: Run, itaudit: Itaudit, arguments: tuple[str, ...], said: str) -> None:
    before = run.ratings_path.read_bytes()
    told = itaudit(*(run.path if argument == "RUN" else argument for argument in arguments))
    assert told.returncode in (1, 2) and said in told.stderr and len(told.stderr.splitlines()) == 1
    assert told.stdout == "" and run.ratings_path.read_bytes() == before


def test_where_nobody_rated_what_to_do_is_told(tmp_path: Path, itaudit: Itaudit) -> None:
    run = rated_run(tmp_path, many(1, "base", "sft"))
    told = itaudit("ratings", run.path)
    assert told.returncode == 1 and "nobody has rated anything yet; `itaudit rate RUN --rater NAME`" in told.stderr
    empty = itaudit("ratings", run.path, "--json")
    assert empty.returncode == 0 and orjson.loads(empty.stdout)["tables"] == []


def test_ratings_of_an_experiment_are_told_by_size(tmp_path: Path, itaudit: Itaudit) -> None:
    recipe = tmp_path / "e.toml"
    recipe.write_text(
        'name = "e"\n[data]\npath = "d.jsonl"\n[prompts]\npath = "p.jsonl"\n'
        '[models.lft]\nmethod = "lft"\n[models.sft]\nmethod = "sft"\n[experiment]\nsizes = [10, 20]\n'
    )
    for name in ("d.jsonl", "p.jsonl"):
        (tmp_path / name).write_text('{"prompt": "a", "completion": "b"}\n')
    experiment = Experiment.create(tmp_path / "runs", read_spec(recipe))
    for planned in experiment.spec.runs:
        run = Run.create(experiment.runs_path, planned.recipe)
        fill(run, many(2, "base", "lft", "sft"))
        assert planned.size is not None
        rate(run, "ada", "sft", "p00", clarity=planned.size // 10)
    document = orjson.loads(itaudit("ratings", experiment.path, "--json").stdout)
    rows = {row["size"]: row for row in document["tables"][0]["rows"]}
    assert {size: row["clarity"]["value"] for size, row in rows.items()} == {10: 1, 20: 2}
    assert document["reference"] == "lft"
    shutil.rmtree(experiment.path)
