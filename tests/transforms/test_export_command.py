"""Transforms on the command line, and what a card and a task file say of them."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from itaudit.cli_data import data_group
from itaudit.data.dataset import Dataset
from itaudit.data.load import load

Make = Callable[..., Dataset]


def export(dataset: Dataset, out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(data_group, ["export", dataset.path, "--out", str(out), *arguments])


def test_steps_are_carried_out_in_order_and_stand_on_the_card(alpaca: Make, tmp_path: Path) -> None:
    dataset = alpaca(["a " * number for number in range(1, 11)])
    out = tmp_path / "chosen.jsonl"
    done = export(dataset, out, "--transform", "longest:k=4", "--transform", "shortest:k=2", "--json")
    assert done.exit_code == 0, done.output
    assert [instance.response for instance in load(out)] == ["a " * 7, "a " * 8]
    card = (tmp_path / "chosen.jsonl.card.md").read_text()
    assert "`longest:k=4,unit=words` (10 instances before, 4 after)" in card
    assert "`shortest:k=2,unit=words` (4 instances before, 2 after)" in card
    # The card's own command makes the same file again.
    command = next(line for line in card.splitlines() if line.startswith("itaudit data export"))
    assert [text for text in shlex.split(command) if ":" in text] == [
        "longest:k=4,unit=words",
        "shortest:k=2,unit=words",
    ]


def test_task_files_of_a_variant(superni: Make, tmp_path: Path) -> None:
    steps = ("--transform", "definition:variant=simplified", "--transform", "examples:variant=delusive,count=1")
    done = export(superni(), tmp_path / "variant", *steps)
    assert done.exit_code == 0, done.output
    task = json.loads((tmp_path / "variant" / "task1_kindness.json").read_text())
    assert task["Definition"] == ["kind, rude"]
    assert task["Positive Examples"] == [{"input": "you are lovely", "output": "rude", "delusive": True}]
    assert "itaudit:layout" not in task


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("longst:k=3", "no step 'longst'; there are longest"),
        ("random:k=30", "k=30 is more than the 2 instances there are"),
        ("definition:variant=empty", "Super-NaturalInstructions task files"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_nothing_is_written(
    alpaca: Make, tmp_path: Path, step: str, says: str
) -> None:
    done = export(alpaca(["a", "b"]), tmp_path / "out.jsonl", "--transform", step)
    assert done.exit_code != 0
    assert says in f"{done.output}{done.exception}"
    assert not (tmp_path / "out.jsonl").exists()
