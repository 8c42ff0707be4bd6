"""The summary calls nothing a difference whose interval holds none."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, Value
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.shift_tables import tables
from itaudit.experiments.spec import Planned
from itaudit.report.subjects import Subject, subjects_of
from itaudit.report.summary import summary_of
from itaudit.report.verdicts import LISTED, SAID, verdict_sentences, who
from tests.experiments.made_of_figures import Shift, make_experiment
from tests.report.conftest import Written, laddered

MODELS: dict[str, Any] = {"models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}}}


def subject_of(experiment: Experiment) -> Subject:
    (subject,) = subjects_of([experiment.path])
    return subject


def subject_of_nothing() -> Subject:
    return Subject("nothing", (), (), "lft")


def sentences(experiment: Experiment) -> list[str]:
    subject = subject_of(experiment)
    return list(summary_of(subject, tables(subject.cells, subject.reference)))


def test_a_ladder_is_told_with_its_multiples_and_rises(written: Written) -> None:
    told = written.report.parts[0].summary
    assert any(
        one.startswith("The KL of sft is 3.3 to 6.7 times that of lft over 2 sizes; at every one") for one in told
    )
    assert any("The KL of lft does not change from 10 to 40 instances beyond its interval" in one for one in told)
    assert any("The KL of sft rises from 10 to 40 instances by +0.450" in one for one in told)
    assert any(one.startswith("sft rises more than lft, by +0.450") for one in told)
    (published,) = [one for one in told if "published" in one]
    # What is compared is not alike, and the sentence says in what.
    assert published == (
        "SFT's KL as a multiple of LFT's: published for LLaMA-2-7B, Alpaca, 4.0 to 5.8 at 1,000 to 52,000 instances "
        "(KL over the top 30 tokens); here, 3.3 to 6.7 at 10 to 40 instances (KL over the whole vocabulary)."
    )


def test_published_multiples_stand_beside_those_over_the_same_tokens(tmp_path: Path) -> None:
    columns = tuple(Column(key, key) for key in ("from", "times", "over"))
    rows: list[dict[str, Value]] = [
        {"from": "published: some", "times": 4.0, "over": "top 30 tokens"},
        {"from": "here: other", "times": Estimate(8.0, 7.0, 9.0, 9), "over": "top 30 tokens"},
        {"from": "here: other", "times": Estimate(99.0, 90.0, 110.0, 9), "over": "whole vocabulary"},
    ]
    subject = subject_of(make_experiment(tmp_path, MODELS, lambda *_: {"p": (9, 0, 1, 1.0)}))
    (told,) = summary_of(subject, [Table("published_ladder", "", columns, tuple(rows))])
    over = "(KL over the top 30 tokens)"
    assert told == f"SFT's KL as a multiple of LFT's: published for some, 4.0 {over}; here, 8.0 {over}."


def test_models_of_a_kind_are_told_not_apart(tmp_path: Path) -> None:
    def figures(_planned: Planned, label: str) -> Mapping[str, Shift | None]:
        order = range(9) if label == "lft" else reversed(range(9))
        return {f"p{n}": (8, 1, 1, 1 + value / 9) for n, value in enumerate(order)}

    told = " ".join(sentences(make_experiment(tmp_path, MODELS, figures)))
    assert "By KL not apart from lft (lft = 1): sft, 1.00 ×" in told
    assert "further" not in told and "nearer" not in told


def test_too_few_prompts_tell_no_difference(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, MODELS, lambda _, label: {"p": (9, 0, 1, float(len(label)))})
    told = " ".join(sentences(experiment))
    assert "Too few prompts to tell from lft by KL: sft" in told and "further" not in told


def test_a_half_done_experiment_says_so(tmp_path: Path) -> None:
    table = MODELS | {"experiment": {"sizes": [10, 40]}}
    half = make_experiment(
        tmp_path, table, lambda planned, label: laddered(planned, label) if planned.size == 10 else None
    )
    assert sentences(half)[0].startswith("Not all of it is done yet")


def test_sentences_of_verdicts_group_what_is_said_and_stop_at_some() -> None:
    rows: list[dict[str, Any]] = [
        {"model": f"m{n}", "times": Estimate(1.0, 0.9, 1.1, 9), "verdict": "not apart"} for n in range(LISTED + 2)
    ]
    rows.append({"model": "far", "times": Estimate(3.0, 2.0, 4.0, 9), "verdict": "further from the base"})
    rows.append({"model": "lft", "times": None, "verdict": "plain"})
    columns = (Column("model", "model", "text"), Column("times", "times", "times", 2), Column("verdict", "", "text"))
    table = Table("against_plain", "", columns, tuple(rows))
    said = next(one for one in SAID if one.table == "against_plain")
    (sentence,) = verdict_sentences(table, said, "lft")
    begins, same, far = re.split(r": (?=not apart)|; (?=further)", sentence)
    assert begins == "By KL against lft of the first variant (= 1)"
    assert same.startswith("not apart – m0 1.00 × (0.90 to 1.10), m1 ")
    assert same.endswith(" and 2 more") and f"m{LISTED}" not in same
    assert far == "further from the base – far 3.00 × (2.00 to 4.00)."


def test_the_published_multiple_stands_beside_one_over_as_many_tokens() -> None:
    rows: list[dict[str, Any]] = [
        {"from": "published: M, D", "size": 1000, "times": 4.0, "over": "top 30 tokens"},
        {"from": "here: m, d", "size": 40, "times": Estimate(8.0, 7.0, 9.0, 9), "over": "top 30 tokens"},
        {"from": "here: m, d", "size": 40, "times": Estimate(900.0, 800.0, 990.0, 9), "over": "whole vocabulary"},
    ]
    columns = (Column("from", "from", "text"), Column("times", "times", "times", 2), Column("over", "over", "text"))
    (told,) = summary_of(subject_of_nothing(), [Table("published_ladder", "", columns, tuple(rows))])
    assert told.endswith(
        "4.0 at 1,000 instances (KL over the top 30 tokens); here, 8.0 at 40 instances (KL over the top 30 tokens)."
    )


def test_a_score_is_told_with_its_metric() -> None:
    row = {
        "tasks": "all prompts",
        "metric": "ROUGE-L",
        "model": "m",
        "untuned_verdict": "above",
        "untuned_difference": Estimate(0.1, 0.05, 0.2, 9),
    }
    columns = tuple(Column(key, key, "text") for key in ("tasks", "metric", "model", "untuned_verdict"))
    table = Table("task_comparisons", "", (*columns, Column("untuned_difference", "", "difference")), (row,))
    said = next(one for one in SAID if one.verdict == "untuned_verdict")
    (told,) = verdict_sentences(table, said, "lft")
    assert told.startswith("Score against the untuned model (all prompts, ROUGE-L): above – m +0.1")


def test_only_the_largest_size_of_a_model_is_told() -> None:
    rows: list[dict[str, Any]] = [
        {"model": "m", "size": size, "verdict": f"said of {size}", "times": None} for size in (10, 40)
    ]
    columns = (Column("model", "model", "text"), Column("size", "n", "count"), Column("verdict", "", "text"))
    said = next(one for one in SAID if one.table == "against_plain")
    (told,) = verdict_sentences(Table("against_plain", "", columns, tuple(rows)), said, "lft")
    assert "said of 40 – m (40 instances)" in told


def test_a_model_without_a_place_is_told_by_its_name_alone() -> None:
    columns = (Column("variant", "variant", "text"), Column("model", "model", "text"))
    rows = (
        {"variant": "", "model": "base"},
        {"variant": "empty", "model": "sft"},
        {"variant": "plain", "model": "sft"},
    )
    table = Table("task_comparisons", "", columns, rows)
    assert [who(table, row) for row in rows] == ["base", "sft (empty)", "sft (plain)"]


def test_scores_of_tasks_with_labels_come_first() -> None:
    row = {"model": "m", "random_verdict": "below", "random_difference": Estimate(-0.3, -0.4, -0.2, 9)}
    columns = (Column("model", "", "text"), Column("random_difference", "", "difference"))
    scores = Table("task_comparisons", "", columns, (row,))
    plain = {"model": "m", "times": Estimate(1.0, 0.9, 1.1, 9), "verdict": "not apart"}
    against = Table("against_plain", "", (Column("times", "", "times", 2),), (plain,))
    guesses = Table("random_guess", "", (), ())
    told = list(summary_of(subject_of_nothing(), [against, scores, guesses]))
    assert [one.split(" against")[0] for one in told] == ["Score", "By KL"]
    assert [one.split(" against")[0] for one in summary_of(subject_of_nothing(), [against, scores])] == [
        "By KL",
        "Score",
    ]
