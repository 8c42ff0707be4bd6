"""The verbs on experiments: what they print, what a failing worker leaves, and what is refused."""

from pathlib import Path

import pytest

from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import Planned
from tests.commands import Itaudit, document, error_line
from tests.experiments.made_of_figures import Shift, make_experiment

TABLE = {
    "name": "ladder",
    "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
    "experiment": {"sizes": [4, 8], "published": "ghosh2024"},
}


def figures(_: Planned, label: str) -> dict[str, Shift]:
    kl = 1.0 if label == "lft" else 5.0
    return {f"p{n}": (8, 1, 1, kl + n) for n in range(6)}


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    """Two sizes of two methods, all scored; no worker ever was at work on it."""
    directory = tmp_path / "runs"
    directory.mkdir()
    return make_experiment(directory, TABLE, figures)


def test_show_has_runs_cells_and_the_tables_that_are_printed(itaudit: Itaudit, experiment: Experiment) -> None:
    shown = document(itaudit("show", experiment.path, "--json"))
    assert (shown["reference"], shown["total"], shown["job"]) == ("lft", 4, "new")
    assert [(run["name"], run["size"], run["seed"]) for run in shown["runs"]] == [("n4", 4, 0), ("n8", 8, 0)]
    sft = shown["runs"][0]["cells"]["sft"]
    # Six responses of ten positions, and 5 to 10 nats in each.
    assert sft["tokens"] == 60 and sft["kl_mean"] == pytest.approx((5 + 6 + 7 + 8 + 9 + 10) / 60)
    names = [table["name"] for table in shown["tables"]]
    assert names == [
        "methods",
        "against_reference",
        "size_ladder",
        "size_ladder_times",
        "published_ladder",
        "published",
    ]
    printed = itaudit("show", experiment.path).stdout
    for table in shown["tables"]:
        assert table["title"] in printed
    # A pipe has no width that would fold a row.
    assert any("sft" in line and "0.750 (" in line for line in printed.splitlines())


def test_an_experiment_is_found_by_its_name_and_listed_among_runs(itaudit: Itaudit, experiment: Experiment) -> None:
    assert document(itaudit("show", "ladder", "--json"))["experiment"] == str(experiment.path)
    (listed,) = document(itaudit("ls", "--json"))
    assert (listed["name"], listed["kind"], listed["job"]) == ("ladder", "experiment", "new")
    assert (listed["stages_done"], listed["stages"]) == (0, 4)


def test_its_runs_are_runs_like_any_other(itaudit: Itaudit, experiment: Experiment) -> None:
    shown = document(itaudit("show", experiment.runs_path / "n4", "--json"))
    assert shown["models"]["lft"]["scored"] == 6


def test_nobody_at_work_can_t_be_cancelled(itaudit: Itaudit, experiment: Experiment) -> None:
    assert "no worker is at work on it" in error_line(itaudit("cancel", experiment.path), 1)


def test_a_recipe_that_somebody_broke_is_listed_with_the_reason(itaudit: Itaudit, experiment: Experiment) -> None:
    experiment.spec_path.write_text("[experiment]\nsizes = 3\n")
    (listed,) = document(itaudit("ls", "--json"))
    assert listed["job"] == "unreadable" and "experiment.sizes" in listed["error"]
    assert "experiment.sizes" in error_line(itaudit("show", experiment.path), 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[experiment]\nsizes = [4, 4]", "experiment.sizes"),
        ("[experiment]\nreference = 'dpo'", "experiment.reference: no 'dpo'; there are lft"),
        ("[experiment]\nsize = [4]", "experiment.size"),
        ("[experiment]\npublished = 'lima'", "experiment.published: no 'lima'; there are ghosh2024, kung2023"),
        ("[experiment]\nseeds = []", "experiment.seeds: expected at least one seed"),
        ("[variants.a]\nmodels = ['sft']", "variants.a.models: no 'sft'"),
        ("[variants.a]\ndata.limits = 4", "variants.a: data.limits: no such key"),
        ("[variants.'A b']\n", "variants: 'A b' can't be a name"),
    ],
)
def test_a_bad_experiment_is_one_line_and_makes_no_directory(
    itaudit: Itaudit, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "d.jsonl").write_text('{"instruction": "Who?", "output": "I."}\n')
    recipe = "[data]\npath = 'd.jsonl'\n[prompts]\npath = 'd.jsonl'\n[models.lft]\nmethod = 'lft'\n"
    (tmp_path / "recipe.toml").write_text(recipe + text)
    assert told in error_line(itaudit("run", "recipe.toml", "--no-open"), 2)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("key", ["data", "prompts"])
@pytest.mark.parametrize("rest", ["[experiment]\nsizes = [4]", "[variants.a]\n"])
def test_a_table_that_is_none_is_named(itaudit: Itaudit, tmp_path: Path, key: str, rest: str) -> None:
    (tmp_path / "d.jsonl").write_text('{"instruction": "Who?", "output": "I."}\n')
    other = {"data": "prompts", "prompts": "data"}[key]
    recipe = f"{key} = 3\n[{other}]\npath = 'd.jsonl'\n[models.lft]\nmethod = 'lft'\n{rest}"
    (tmp_path / "recipe.toml").write_text(recipe)
    assert f"{key}: " in error_line(itaudit("run", "recipe.toml", "--no-open"), 2)


@pytest.mark.parametrize("command", ["show", "evaluate", "report"])
def test_a_run_that_somebody_broke_is_told_with_the_way_out_and_hides_no_other(
    itaudit: Itaudit, experiment: Experiment, command: str
) -> None:
    broken = experiment.runs_path / "n4" / "recipe.toml"
    broken.write_text("garbage[")
    done = itaudit(command, experiment.path)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    told = [line for line in (done.stdout + done.stderr).splitlines() if "n4 is left out" in line]
    assert told and str(broken) in told[0] and f"take {broken.parent} away and `itaudit resume`" in told[0]
    shown = document(itaudit(command, experiment.path, "--json"))
    (left_out,) = shown["left_out"] if command != "report" else shown["subjects"][0]["left_out"]
    assert (left_out["run"], left_out["whole"]) == (str(broken.parent), True)
    if command == "show":
        methods = shown["tables"][0]
        assert {row["size"] for row in methods["rows"]} == {8} and "n4." in methods["note"]


@pytest.mark.parametrize("command", ["style", "ratings", "report"])
def test_where_nothing_can_be_read_the_first_file_is_the_error(
    itaudit: Itaudit, experiment: Experiment, command: str
) -> None:
    for planned in experiment.spec.runs:
        (experiment.runs_path / planned.name / "recipe.toml").write_text("garbage[")
    line = error_line(itaudit(command, experiment.path), 1)
    assert str(experiment.runs_path / "n4" / "recipe.toml") in line


@pytest.mark.slow
def test_runs_that_fail_are_told_one_by_one_and_resumed(itaudit: Itaudit, tmp_path: Path) -> None:
    """Every run fails at once, on a model that is none: how a job of an experiment is followed, told and resumed."""
    (tmp_path / "d.jsonl").write_text('{"instruction": "Who?", "output": "I."}\n')
    (tmp_path / "no-model").mkdir()
    (tmp_path / "recipe.toml").write_text(
        "name = 'two'\n[base]\nmodel = 'no-model'\n[data]\npath = 'd.jsonl'\n[prompts]\npath = 'd.jsonl'\n"
        "[models.lft]\nmethod = 'lft'\n[experiment]\nseeds = [0, 1]\n"
    )
    failed = itaudit("run", "recipe.toml", "--no-open")
    line = error_line(failed, 1)
    assert "2 of 2 runs failed, first seed0" in line and "not a model directory" in line and "resume" in line
    assert "seed0" in failed.stderr and "seed1" in failed.stderr
    assert "seed1: failed" in itaudit("logs", "two").stdout
    shown = document(itaudit("show", "two", "--json"))
    assert shown["job"] == "failed" and {run["job"] for run in shown["runs"]} == {"failed"}
    assert "2 of 2 runs failed" in error_line(itaudit("resume", "two", "--no-open"), 1)
