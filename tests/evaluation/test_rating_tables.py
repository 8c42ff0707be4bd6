"""What ratings say of models: means, differences that are called so only where they are, and agreement."""

from pathlib import Path

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.rater_agreement import coincidence, ordinal_agreement, ordinal_alphas
from itaudit.analysis.table import Table, Value
from itaudit.evaluation.aspects import ASPECTS
from itaudit.evaluation.rating_tables import tables
from itaudit.evaluation.unblinding import ROW, rating_rows
from itaudit.runs.cells import Cell, cells_of
from itaudit.runs.ratings import Act, Ratings, answer_hash
from itaudit.runs.run import Run
from tests.evaluation.rated_run import many, rate, rated_run


def named(found: list[Table], name: str) -> Table:
    return next(table for table in found if table.name == name)


def row(table: Table, **values: Value) -> dict[str, Value]:
    (found,) = [dict(row) for row in table.rows if all(row.get(key) == value for key, value in values.items())]
    return found


def estimated(value: Value) -> Estimate:
    assert isinstance(value, Estimate)
    return value


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return rated_run(tmp_path, many(10, "base", "lft", "sft"))


def everything(value: int) -> dict[str, int]:
    return dict.fromkeys(ASPECTS, value)


def test_nobody_has_rated_so_there_is_nothing_to_tell(run: Run) -> None:
    assert tables(cells_of(run), "lft") == []
    Ratings(run.ratings_path).append(Act("note", "ada", "p00", answer_hash("?"), note="no answer says so"))
    assert tables(cells_of(run), "lft") == []


def test_means_are_over_raters_and_prompts_aspect_by_aspect(run: Run) -> None:
    rate(run, "ada", "sft", "p00", helpfulness=5, clarity=2)
    rate(run, "bob", "sft", "p00", helpfulness=3)
    rate(run, "ada", "sft", "p01", helpfulness=1)
    found = row(named(tables(cells_of(run), "lft"), "ratings"), model="sft")
    assert (found["raters"], found["answers"]) == (2, 2)
    helpfulness, clarity = estimated(found["helpfulness"]), estimated(found["clarity"])
    assert helpfulness.value == pytest.approx(3) and helpfulness.prompts == 2
    assert helpfulness.low is None
    assert clarity.value == 2 and clarity.low is None
    assert estimated(found["all"]).value == pytest.approx(11 / 4) and estimated(found["depth"]).value is None


def test_a_difference_is_called_one_only_where_its_interval_leaves_out_0(run: Run) -> None:
    for number in range(10):
        prompt_id = f"p{number:02}"
        rate(run, "ada", "lft", prompt_id, **everything(2 + number % 2))
        rate(run, "ada", "sft", prompt_id, **{**everything(4), "depth": 2 + (number + 1) % 2, "clarity": 1})
    found = named(tables(cells_of(run), "lft"), "rating_differences")
    verdicts = {str(one["aspect"]): one["verdict"] for one in found.rows if one["model"] == "sft"}
    assert verdicts["helpfulness"] == "higher" and verdicts["clarity"] == "lower" and verdicts["depth"] == "not apart"
    told = estimated(row(found, model="sft", aspect="helpfulness")["difference"])
    assert told.value == pytest.approx(1.5) and told.apart_from(0)
    assert not estimated(row(found, model="sft", aspect="depth")["difference"]).apart_from(0)
    assert {one["model"] for one in found.rows} == {"sft"}


def test_answers_rated_by_different_people_are_not_compared(run: Run) -> None:
    for number in range(10):
        rate(run, "strict", "lft", f"p{number:02}", **everything(1))
        rate(run, "mild", "sft", f"p{number:02}", **everything(5))
    found = tables(cells_of(run), "lft")
    assert [table.name for table in found] == ["ratings", "raters"]
    rate(run, "mild", "lft", "p00", **everything(4))
    told = row(named(tables(cells_of(run), "lft"), "rating_differences"), model="sft", aspect="clarity")
    assert estimated(told["difference"]).value == 1 and told["verdict"] == "too few prompts"


def test_an_answer_that_two_models_gave_counts_for_both_and_once_for_agreement(tmp_path: Path) -> None:
    run = rated_run(tmp_path, {"base": {"p": "Yes.", "q": "A."}, "lft": {"p": "Yes.", "q": "B."}})
    for rater, value in (("ada", 2), ("bob", 4)):
        rate(run, rater, "base", "p", clarity=value)
    found = tables(cells_of(run), "base")
    assert [estimated(one["clarity"]).value for one in named(found, "ratings").rows] == [3, 3]
    assert row(named(found, "rating_agreement"), aspect="clarity")["answers"] == 1
    assert estimated(row(named(found, "rating_differences"), aspect="clarity")["difference"]).value == 0
    assert row(named(found, "raters"), rater="ada")["begun"] == 1


def test_ratings_of_answers_that_are_no_longer_given_count_for_nothing_and_are_counted(run: Run) -> None:
    rate(run, "ada", "sft", "p00", **everything(4))
    Ratings(run.ratings_path).append(Act("rate", "ada", "p01", answer_hash("as it was once"), "clarity", 1))
    assert estimated(row(named(tables(cells_of(run), "lft"), "ratings"), model="sft")["clarity"]).value == 4
    rows, gone = rating_rows(cells_of(run))
    assert gone == 1 and [one["model"] for one in rows] == ["sft"]


def test_skipped_answers_have_no_part_in_the_means(run: Run) -> None:
    rate(run, "ada", "sft", "p00", **everything(4))
    rate(run, "ada", "sft", "p01", **everything(1))
    Ratings(run.ratings_path).append(Act("skip", "ada", "p01", answer_hash("tfs says 1")))
    found = tables(cells_of(run), "lft")
    assert estimated(row(named(found, "ratings"), model="sft")["all"]).value == 4
    assert row(named(found, "raters"), rater="ada") == {
        "rater": "ada", "rated": 1, "begun": 0, "skipped": 1, "notes": 0, "mean": 4
    }  # fmt: skip


def test_seeds_of_one_cell_are_pooled(tmp_path: Path) -> None:
    runs = [rated_run(tmp_path, many(3, "base", "sft"), f"seed{seed}") for seed in (0, 1)]
    for run, value in zip(runs, (2, 4), strict=True):
        for number in range(3):
            rate(run, "ada", "sft", f"p{number:02}", **everything(value))
            rate(run, "ada", "base", f"p{number:02}", **everything(1))
    cells = [Cell(run, label, "data", 40, seed) for seed, run in enumerate(runs) for label in run.labels]
    found = tables(cells, "base")
    told = row(named(found, "ratings"), model="sft", variant="data", size=40)
    assert told["answers"] == 6 and estimated(told["clarity"]).value == 3
    assert estimated(row(named(found, "rating_differences"), aspect="clarity")["difference"]).value == 2


def test_exported_rows_name_the_models(run: Run) -> None:
    rate(run, "ada", "sft", "p00", clarity=4)
    rate(run, "ada", "lft", "p00", clarity=2)
    rows, _ = rating_rows(cells_of(run))
    assert [(one["model"], one["response"], one["clarity"], one["depth"]) for one in rows] == [
        ("sft", "tfs says 0", 4, None),
        ("lft", "tfl says 0", 2, None),
    ]
    assert all(tuple(one) == ROW for one in rows)


def test_agreement_is_the_librarys_with_an_interval_over_prompts() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(1, 6, size=(20, 2))
    raters = np.clip(true[:, :, None] + rng.integers(-1, 2, size=(20, 2, 3)), 1, 5)
    units = {f"p{n}": [[int(value) for value in unit] for unit in told] for n, told in enumerate(raters)}
    found = ordinal_agreement(units, 1, 5)
    data = raters.reshape(40, 3).T
    assert found.alpha.value == pytest.approx(
        krippendorff.alpha(reliability_data=data, value_domain=[1, 2, 3, 4, 5], level_of_measurement="ordinal")
    )
    assert found.alpha.low is not None and found.alpha.high is not None and found.alpha.value is not None
    assert 0.3 < found.alpha.low < found.alpha.value < found.alpha.high < 1
    pairs = [(a, b) for unit in data.T for n, a in enumerate(unit) for b in unit[n + 1 :]]
    assert found.equal.value == pytest.approx(np.mean([a == b for a, b in pairs]))
    assert found.near.value == pytest.approx(np.mean([abs(a - b) <= 1 for a, b in pairs]))
    assert found.units == 40


def test_where_there_is_no_agreement_to_tell_the_reason_is_told() -> None:
    alone = ordinal_agreement({"p": [[3], []]}, 1, 5)
    assert (alone.units, alone.alpha.value, alone.reason) == (0, None, "no answer was rated by two people")
    same = ordinal_agreement({"p": [[4, 4]], "q": [[4, 4, 4]]}, 1, 5)
    assert (same.units, same.alpha.value, same.reason) == (2, None, "every rating is 4")
    assert same.equal.value == 1


def test_opposite_ratings_agree_less_than_chance() -> None:
    units = {f"p{n}": [[1, 5] if n % 2 else [5, 1]] for n in range(8)}
    alpha = ordinal_agreement(units, 1, 5).alpha
    assert alpha.value is not None and alpha.value < 0


@settings(max_examples=50, deadline=None)
@given(counts=arrays(np.int64, st.tuples(st.integers(1, 8), st.just(5)), elements=st.integers(0, 3)))
def test_many_alphas_at_once_are_the_librarys(counts: "np.ndarray[tuple[int, int], np.dtype[np.int64]]") -> None:
    shared = counts[counts.sum(axis=1) > 1]
    if np.count_nonzero(shared.sum(axis=0)) < 2:
        return
    expected = krippendorff.alpha(value_counts=shared, value_domain=np.arange(1, 6), level_of_measurement="ordinal")
    assert ordinal_alphas(coincidence(shared)[None])[0] == pytest.approx(expected)


def test_the_agreement_table_tells_each_aspect(run: Run) -> None:
    for number in range(10):
        for rater, shift in (("ada", 0), ("bob", number % 3 == 0)):
            value = 1 + (number + shift) % 4
            rate(run, rater, "sft", f"p{number:02}", helpfulness=value, clarity=3)
    found = named(tables(cells_of(run), "lft"), "rating_agreement")
    assert [one["aspect"] for one in found.rows] == ["helpfulness", "clarity"]
    alpha = estimated(row(found, aspect="helpfulness")["alpha"])
    assert alpha.value is not None and alpha.low is not None and alpha.low < alpha.value < 1 and alpha.prompts == 10
    assert row(found, aspect="clarity")["reason"] == "every rating is 3"
