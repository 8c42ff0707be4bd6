"""Tables where files are broken: what can be read is as it was, and what can't is left out and told by its file."""

import importlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pytest

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Table
from itaudit.evaluation.aspects import ASPECTS
from itaudit.experiments import enhancement_tables, shift_tables
from itaudit.experiments.document import experiment_document
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import progress_of
from itaudit.experiments.published import Published, published_tables
from itaudit.experiments.spec import Planned
from itaudit.report.document import report_of
from itaudit.report.exports import write_report
from itaudit.report.tables import MAKERS, cell_tables
from itaudit.runs.cells import Cell
from itaudit.runs.judgements import (
    AspectRating,
    Preference,
    aspect_table,
    preference_row,
    preference_table,
    rating_row,
)
from itaudit.runs.left_out import LeftOut, TableMaker, checked, told_by
from itaudit.runs.run import Run
from itaudit.runs.tables import write_table
from tests.evaluation.rated_run import rate
from tests.experiments.made_of_figures import Shift, make_experiment
from tests.tui import make_experiment as experiments
from tests.tui.make_run import make_judged_run

ALL = {"base", "lft", "sft"}
TUNED = {"lft", "sft"}
SFT = {"sft"}
SHIFT, PUBLISHED, PLAIN, TASKS, JUDGE, RATINGS, STYLE, CAUSES = (
    "shift_tables",
    "published",
    "enhancement_tables",
    "task_tables",
    "judge_tables",
    "rating_tables",
    "style.tables",
    "cause_tables",
)
BROKEN_RUN = "n40-seed1"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Two sizes and two seeds, all done, judged, rated and with causes; nobody may write into it."""
    home = tmp_path_factory.mktemp("whole")
    built = make_judged_run(home)
    for label in ("base", "lft", "sft"):
        judge(built, label)
        rate(built, "ann", label, "coa", clarity=3 + (label == "sft"), depth=4)
        rate(built, "bob", label, "coa", clarity=4, depth=2)
    prefer(built, "sft", "lft")
    experiment = experiments.plan(home, sizes=[40, 80], seeds=[0, 1])
    for planned in experiment.spec.runs:
        experiments.done(experiment, planned.name, built)
    return experiment


@pytest.fixture(scope="module")
def expect(whole: Experiment) -> Callable[[str, frozenset[tuple[str, str]]], dict[str, object]]:
    """The tables of one maker without some models, given by the names of run and model, as if those had never been."""

    @cache
    def figured(name: str, gone: frozenset[tuple[str, str]]) -> dict[str, object]:
        kept = [cell for cell in whole.cells() if (cell.run.name, cell.label) not in gone]
        return figures(makers(whole)[name].tables(kept, "lft"))

    return figured


@pytest.fixture
def experiment(whole: Experiment, tmp_path: Path) -> Experiment:
    """The same, of the test's own."""
    return Experiment(Path(shutil.copytree(whole.path, tmp_path / whole.name)))


def judge(run: Run, label: str) -> None:
    reasons = dict.fromkeys(ASPECTS, "so it is")
    rows = [
        rating_row(one.order, AspectRating(one.id, "local:m", dict.fromkeys(ASPECTS, 2 + one.order % 3), reasons), 0.1)
        for one in run.prompts()
    ]
    aspect_table(run, label).replace(rows)


def prefer(run: Run, first: str, second: str) -> None:
    for one, other in ((first, second), (second, first)):
        rows = [preference_row(p.order, Preference(p.id, "local:m", "first", "better"), 0.1) for p in run.prompts()]
        preference_table(run, one, other).replace(rows)


def tear(path: Path) -> None:
    """What a full disk leaves."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(b"garbage[\xff\n" * 40)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def swap(path: Path) -> None:
    """A table of something else."""
    write_table(pa.table({"colour": ["red"]}), path)


def block(path: Path) -> None:
    """A folder where a file should be."""
    path.unlink()
    path.mkdir()


Break = Callable[[Path], None]
KINDS: list[tuple[str, Break, Mapping[str, set[str]]]] = [
    ("recipe.toml", garble, dict.fromkeys((SHIFT, PUBLISHED, PLAIN, TASKS, JUDGE, RATINGS, STYLE, CAUSES), ALL)),
    (
        "scores/sft.arrow",
        tear,
        {SHIFT: SFT, PUBLISHED: SFT, PLAIN: SFT, STYLE: SFT, CAUSES: SFT},
    ),
    (
        "responses/sft.arrow",
        empty,
        {SHIFT: SFT, PUBLISHED: SFT, PLAIN: SFT, TASKS: SFT, JUDGE: SFT, RATINGS: ALL, STYLE: SFT, CAUSES: SFT},
    ),
    ("responses/base.arrow", swap, {TASKS: {"base"}, RATINGS: ALL, STYLE: {"base"}}),
    ("causes/sft.arrow", tear, {CAUSES: SFT}),
    ("dataset.arrow", tear, {TASKS: ALL, STYLE: ALL, CAUSES: TUNED}),
    ("prompts.arrow", swap, {TASKS: ALL, STYLE: ALL}),
    ("evaluation/aspects/sft.arrow", garble, {JUDGE: SFT}),
    ("evaluation/pairs/lft/sft.arrow", tear, {JUDGE: TUNED}),
    ("ratings.jsonl", block, {RATINGS: ALL}),
    ("base.json", garble, {PUBLISHED: TUNED}),
    ("events.jsonl", block, {SHIFT: TUNED, PLAIN: TUNED}),
]


def makers(experiment: Experiment) -> dict[str, TableMaker]:
    """Everything that makes tables, by the end of its name."""
    found: dict[str, TableMaker] = {PUBLISHED: Published(experiment.spec.matrix.published)}
    for name in MAKERS:
        found[name.removeprefix("itaudit.").split(".", 1)[1 if not name.endswith("style.tables") else 0]] = (
            importlib.import_module(name)
        )
    return {name if name != "style" else STYLE: maker for name, maker in found.items()}


def figures(tables: Sequence[Table]) -> dict[str, object]:
    return {table.name: (table.columns, table.rows) for table in tables}


@pytest.mark.parametrize(("file", "break_it", "expected"), KINDS, ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_file_takes_away_what_needs_it_and_nothing_else(
    experiment: Experiment,
    expect: Callable[[str, frozenset[tuple[str, str]]], dict[str, object]],
    file: str,
    break_it: Break,
    expected: Mapping[str, set[str]],
) -> None:
    path = experiment.runs_path / BROKEN_RUN / file
    break_it(path)
    for name, maker in makers(experiment).items():
        told = told_by(maker, experiment.cells(), "lft")
        gone = frozenset((one.run.name, label) for one in told.left_out if one.run for label in one.labels)
        assert gone == {(BROKEN_RUN, label) for label in expected.get(name, ())}, name
        assert figures(told.tables) == expect(name, gone), name
        for one in told.left_out:
            assert str(path) in one.problem and "\n" not in one.problem
        noted = [f"Left out, since a file can't be read: {BROKEN_RUN}" in table.note for table in told.tables]
        assert all(noted) if gone else not any(noted), name


@pytest.mark.parametrize("break_it", [tear, garble, empty, swap])
def test_every_kind_of_break_is_told_with_what_to_do(experiment: Experiment, break_it: Break) -> None:
    path = experiment.runs_path / BROKEN_RUN / "scores" / "lft.arrow"
    break_it(path)
    (one,) = told_by(shift_tables, experiment.cells(), "lft").left_out
    assert str(path) in one.problem and "delete it, and `itaudit resume` makes it anew" in one.problem
    assert one.line.startswith(f"{BROKEN_RUN} lft is left out")


@pytest.mark.parametrize("kind", ["responses", "scores"])
def test_scores_of_other_answers_count_nowhere(experiment: Experiment, kind: str) -> None:
    table = Run(experiment.runs_path / BROKEN_RUN).table(kind, "sft")
    table.replace(table.read().slice(1).to_pylist())
    (one,) = told_by(shift_tables, experiment.cells(), "lft").left_out
    assert str(table.whole) in one.problem and one.labels == ("sft",)
    table.whole.unlink()
    told = told_by(shift_tables, experiment.cells(), "lft")
    if kind == "responses":
        # Scores of answers that are gone.
        assert [one.labels for one in told.left_out] == [("sft",)]
    else:
        # Scores that are gone are to be made again, as of any model that is not scored yet.
        assert not told.left_out


def test_a_mean_over_fewer_seeds_says_whose_is_missing(experiment: Experiment) -> None:
    tear(experiment.runs_path / BROKEN_RUN / "scores" / "sft.arrow")
    told = told_by(shift_tables, experiment.cells(), "lft")
    (methods,) = (table for table in told.tables if table.name == "methods")
    seeds = {(row["size"], row["model"]): row["seeds"] for row in methods.rows}
    assert seeds == {(40, "lft"): 2, (40, "sft"): 1, (80, "lft"): 2, (80, "sft"): 2}
    assert f"Left out, since a file can't be read: {BROKEN_RUN} sft." in methods.note


def test_the_document_calls_the_cell_unreadable_and_gives_it_no_figures(experiment: Experiment) -> None:
    path = experiment.runs_path / BROKEN_RUN / "scores" / "sft.arrow"
    tear(path)
    told = told_by(shift_tables, experiment.cells(), "lft")
    document = experiment_document(experiment, progress_of(experiment), told)
    cells = {run["name"]: run["cells"] for run in document["runs"]}
    assert cells[BROKEN_RUN]["sft"]["state"] == "unreadable" and str(path) in cells[BROKEN_RUN]["sft"]["error"]
    assert "kl_mean" not in cells[BROKEN_RUN]["sft"]
    assert {name for name, one in cells.items() if "kl_mean" in one["sft"]} == cells.keys() - {BROKEN_RUN}
    (one,) = document["left_out"]
    assert (one["run"], one["models"]) == (str(path.parents[1]), ["sft"])
    assert LeftOut.of_json(one) == told.left_out[0]


def test_one_problem_is_told_once_for_all_tables(experiment: Experiment) -> None:
    tear(experiment.runs_path / BROKEN_RUN / "dataset.arrow")
    empty(experiment.runs_path / "n80-seed0" / "scores" / "lft.arrow")
    left_out = cell_tables(experiment.cells(), "lft", "ghosh2024").left_out
    assert [(one.name, len(one.labels)) for one in left_out] == [("n80-seed0 lft", 1), (BROKEN_RUN, 3)]


def test_a_model_added_to_the_plan_since_is_not_there_yet(experiment: Experiment) -> None:
    text = experiment.spec_path.read_text()
    experiment.spec_path.write_text(text.replace("[models.sft]", '[models.neft]\nmethod = "lft"\n[models.sft]', 1))
    again = Experiment(experiment.path)
    assert "neft" in again.spec.labels
    assert {cell.label for cell in again.cells()} == ALL
    assert not told_by(shift_tables, again.cells(), "lft").left_out


def level(planned: Planned, label: str) -> Mapping[str, Shift | None]:
    kl = {"lft": 1.0, "lft2": 2.0, "sft": 4.0}[label] * (1 + (planned.size or 0) / 10)
    return {f"p{n}": (7, 2, 1, kl + n / 10) for n in range(8)}


def without(experiment: Experiment, *gone: tuple[str, str]) -> tuple[Cell, ...]:
    """The cells, some of whose scores are torn, given by the names of run and model."""
    for name, label in gone:
        tear(experiment.runs_path / name / "scores" / f"{label}.arrow")
    return checked(experiment.cells(), shift_tables.check)


def test_no_other_variant_passes_for_the_plain_model(tmp_path: Path) -> None:
    table = {
        "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
        "experiment": {"sizes": [10, 40]},
        "variants": {"a": {}, "b": {}},
    }
    experiment = make_experiment(tmp_path, table, level)
    cells = without(experiment, ("a-n10", "lft"))
    (against,) = enhancement_tables.tables(cells, "lft")
    assert {row["size"] for row in against.rows} == {40} and "Plain is lft of a." in against.note
    assert enhancement_tables.tables(without(experiment, ("a-n40", "lft")), "lft") == []


def test_no_other_model_passes_for_the_one_that_a_method_is_read_off(tmp_path: Path) -> None:
    models = {"lft": {"method": "lft"}, "lft2": {"method": "lft", "rank": 64}, "sft": {"method": "sft"}}
    experiment = make_experiment(tmp_path, {"models": models}, level)
    (name,) = (planned.name for planned in experiment.spec.runs)

    def here(cells: Sequence[Cell]) -> Mapping[str, object]:
        (row,) = (row for row in published_tables("ghosh2024", cells, "lft")[0].rows if "here" in str(row["from"]))
        return row

    assert isinstance(here(experiment.cells())["kl_lft"], Estimate)
    left = here(without(experiment, (name, "lft")))
    assert "kl_lft" not in left and "times" not in left and "kl_sft" in left


def test_a_ladder_without_an_end_tells_no_rise(tmp_path: Path) -> None:
    table = {
        "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
        "experiment": {"sizes": [10, 20, 40]},
    }
    experiment = make_experiment(tmp_path, table, level)
    tables = shift_tables.tables(without(experiment, ("n40", "sft")), "lft")
    (ladder,) = (table for table in tables if table.name == "size_ladder")
    rows = {row["model"]: row for row in ladder.rows}
    assert "rise" in rows["lft"] and "rise" not in rows["sft"] and "kl_40" not in rows["sft"]
    assert "kl_20" in rows["sft"]


def test_a_report_is_written_of_what_can_be_read(experiment: Experiment, tmp_path: Path) -> None:
    broken = [
        experiment.runs_path / name
        for name in (
            "n80-seed0/vocabulary.arrow",
            "n80-seed0/traces/sft.arrow",
            "n80-seed1/scores/lft.arrow",
            "n40-seed0/dataset.arrow",
            "n40-seed1/recipe.toml",
            "n80-seed1/evaluation/pairs/lft/sft.arrow",
            "n80-seed1/events.jsonl",
        )
    ]
    for path in broken[:-1]:
        tear(path)
    block(broken[-1])
    report = report_of([experiment.path])
    document = write_report(report, tmp_path / "out")
    (part,) = document["subjects"]
    assert part["finished"]
    for path in broken:
        # A model is told of by the first file that keeps it out of a table.
        if path.name != "sft.arrow" or path.parent.name != "traces":
            assert any(str(path) in one["error"] for one in part["left_out"]), path
            assert any(str(path) in sentence for sentence in part["summary"]), path
    assert {one["run"] for one in part["left_out"]} == {str(run.path) for run in experiment_runs(experiment)}
    for name in ("report.html", "report.md", "tables/methods.csv", "tables/causes.csv", "tables/judge_ratings.csv"):
        assert (tmp_path / "out" / name).stat().st_size
    assert str(broken[2]) in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    # At the largest size and first seed tokens can't be read any more, so that the other seed is told of.
    assert {told.run.name for told in report.parts[0].telling} == {"n80-seed1"}
    assert {told.label for told in report.parts[0].telling} == {"sft"}


def experiment_runs(experiment: Experiment) -> list[Run]:
    return [run for planned in experiment.spec.runs if (run := experiment.run_of(planned))]
