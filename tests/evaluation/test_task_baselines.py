"""Baselines: what they expect is what draws give, and they are told from the right instances."""

from pathlib import Path

import numpy as np
import pytest

from itaudit.analysis.output_space import output_space
from itaudit.data.dataset import Dataset
from itaudit.data.load import load
from itaudit.evaluation.questions import Question
from itaudit.evaluation.task_baselines import (
    ROUNDS,
    MostFrequent,
    copied_example,
    copied_input,
    expected_guess,
    expected_scores,
    guessed_rounds,
    guesser_range,
    random_guess,
    sampled_guess,
)

from ..conftest import SHARED
from .task_run import TASKS, task, write_tasks

FILES = sorted((SHARED / "superni").glob("*.json")) if SHARED.is_dir() else []


def asked(count: int, labels: tuple[str, ...] = ("no", "yes"), **changes: str) -> list[Question]:
    return [
        Question(f"p{n}", (labels[n % len(labels)],), f"text {n}", "task1", labels, False, **changes)
        for n in range(count)
    ]


def test_a_guess_is_right_once_in_as_many_labels() -> None:
    assert expected_scores(asked(2), random_guess) == {"p0": 0.5, "p1": 0.5}
    assert expected_guess(asked(6, ("a", "b", "c"))) == pytest.approx(1 / 3)


def test_a_guess_may_hit_any_reference() -> None:
    question = Question("p", ("Yes.", "maybe"), "x", "task1", ("maybe", "no", "yes"), False)
    assert expected_scores([question], random_guess) == {"p": pytest.approx(2 / 3)}
    sampled = sampled_guess([question])
    assert sampled.low is not None and sampled.high is not None
    assert sampled.low < 2 / 3 < sampled.high


def test_a_task_that_generates_cannot_be_guessed() -> None:
    question = Question("p", ("A whole sentence.",), "A sentence.", "task1")
    assert expected_scores([question], random_guess) == {}
    assert sampled_guess([question]).value is None
    # A copy of the input scores by ROUGE-L: one word of three and two.
    assert expected_scores([question], copied_input)["p"] == pytest.approx(2 * 2 / 5)


def test_the_first_example_is_copied() -> None:
    assert expected_scores(asked(2, demo="Yes!"), copied_example) == {"p0": 0.0, "p1": 1.0}
    assert expected_scores(asked(2), copied_example) == {}


def data(tmp_path: Path, **outputs: list[str]) -> Dataset:
    return load(write_tasks(tmp_path / "tuned", {name: task([[o] for o in given]) for name, given in outputs.items()}))


def test_the_most_frequent_label_is_that_of_the_task_where_it_was_tuned_on(tmp_path: Path) -> None:
    tuned_on = data(tmp_path, task1=["no", "No.", "yes"], task2=["yes"] * 9)
    assert MostFrequent(tuned_on)(asked(1)[0]) == ("no",)
    unseen = Question("p", ("yes",), "x", "task9", ("no", "yes"), False)
    assert MostFrequent(tuned_on)(unseen) == ("yes",)


def test_labels_that_are_as_frequent_share_it(tmp_path: Path) -> None:
    tuned_on = data(tmp_path, task1=["no", "yes", "perhaps"])
    assert MostFrequent(tuned_on)(asked(1)[0]) == ("no", "yes")
    never = Question("p", ("b",), "x", "task9", ("a", "b"), False)
    assert expected_scores([never], MostFrequent(tuned_on)) == expected_scores([never], random_guess) == {"p": 0.5}


def test_guesses_depend_on_nothing_but_seed_and_prompt() -> None:
    questions = asked(12)
    assert (guessed_rounds(questions) == guessed_rounds(questions[::-1])).all()
    assert (guessed_rounds(questions) != guessed_rounds(questions, seed=1)).any()
    assert len(guessed_rounds(questions)) == ROUNDS


def test_a_guesser_ranges_as_the_binomial_does() -> None:
    from scipy.stats import binom

    told = guesser_range(asked(40))
    assert (told.low, told.high) == tuple(binom.ppf([0.025, 0.975], 40, 0.5) / 40)


def test_intervals_hold_the_expectation_as_often_as_they_say() -> None:
    questions = asked(7, ("a", "b", "c"))
    held = 0
    for seed in range(200):
        told = sampled_guess(questions, seed=seed)
        assert told.low is not None and told.high is not None
        held += told.low <= expected_guess(questions) <= told.high
    assert 180 <= held <= 198


@pytest.mark.skipif(not FILES, reason="no real task files; set ITAUDIT_SHARED_DATA")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_expectation_and_draws_agree_on_real_tasks(file: Path) -> None:
    dataset = load(file)
    labels = output_space([output for instance in dataset for output in instance.references]).labels
    questions = [
        Question(instance.id, instance.references, instance.input, file.stem, labels, False) for instance in dataset
    ]
    if not labels:
        assert sampled_guess(questions).value is None and expected_scores(questions, random_guess) == {}
        return
    expected, sampled = expected_guess(questions), sampled_guess(questions, comparisons=len(FILES))
    assert sampled.low is not None and sampled.high is not None
    assert sampled.low <= expected <= sampled.high
    assert expected == pytest.approx(np.mean([1 / len(labels)] * len(questions)))
    assert sampled.high - sampled.low < 0.02


@pytest.mark.skipif(not FILES, reason="no real task files; set ITAUDIT_SHARED_DATA")
def test_the_real_files_have_as_many_closed_label_sets_as_they_were_seen_to_have() -> None:
    spaces = {file.stem: output_space([o for i in load(file) for o in i.references]) for file in FILES}
    closed = {name for name, space in spaces.items() if space.labels}
    assert len(FILES) == 20 and len(closed) == 15
    assert {name.split("_")[0] for name in spaces.keys() - closed} == {
        "task1744", "task1746", "task1758", "task648", "task957"
    }  # fmt: skip


def test_the_tasks_of_the_tests_are_what_they_say(tmp_path: Path) -> None:
    dataset = load(write_tasks(tmp_path / "all"))
    assert len(dataset) == sum(len(one["Instances"]) for one in TASKS.values())
