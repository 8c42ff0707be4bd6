"""The export form: what it asks, what it writes, and that nothing is overwritten unasked."""

import json
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from itaudit.data.load import load
from itaudit.errors import UserError
from itaudit.tui.export_form import ExportForm, read_splits
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.export import ExportScreen
from tests.tui.harness import screen_text, until
from tests.tui.workshop import ROWS, app_on, mended, pressed, ready, shown, written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A dataset of which row 0 is changed and row 2 deleted."""
    path = written(tmp_path / "a.jsonl")
    mended(path).edit(0, {"response": "Mended."}, by="hand")
    mended(path).edit(2, {"deleted": True}, by="hand")
    return path


async def typed(pilot: Pilot[Any], text: str) -> None:
    """Answers the question at the foot of the screen."""
    pilot.app.screen.query_one(Input).value = text
    await pressed(pilot, "enter")


async def test_the_defaults_write_the_edited_dataset_beside_the_source(path: Path) -> None:
    before = path.read_bytes()
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete)
        text = await pressed(pilot, "x")
        assert "all instances, 11" in text and "a-simplified.jsonl" in text
        await pressed(pilot, "x")
        await shown(pilot, "Wrote 11 instances to ")
        text = await pressed(pilot, "escape")
        assert isinstance(app.screen, DatasetScreen) and "Wrote 11 instances" in text
    out = load(path.with_name("a-simplified.jsonl"))
    assert len(out) == 11 and out[0].response == "Mended."
    assert "1 instances changed, 1 deleted" in path.with_name("a-simplified.jsonl.card.md").read_text()
    assert path.read_bytes() == before


async def test_each_setting_is_reached_with_keys(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete)
        # Format, container, instances (shown, then edited), provenance, splits.
        await pressed(pilot, "x", "j", "l", "j", "j", "l", "l", "j", "space", "j", "j", "l")
        form = app.screen
        assert isinstance(form, ExportScreen)
        assert (form.form.container, form.form.which, form.form.provenance, form.form.seed) == (
            ".json",
            "edited",
            True,
            1,
        )
        await pressed(pilot, "x")
        await shown(pilot, "Wrote 1 instance to ")
    (row,) = json.loads(path.with_name("a-simplified.json").read_text())
    assert row["output"] == "Mended." and any(
        "hand" in json.dumps(value) for key, value in row.items() if key != "output"
    )


async def test_what_stands_there_is_overwritten_only_when_that_is_said(path: Path) -> None:
    out = path.with_name("a-simplified.jsonl")
    out.write_text("precious")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete)
        await pressed(pilot, "x", "x")
        await shown(pilot, "exists already. o overwrite it")
        await pressed(pilot, "escape")
        assert out.read_text() == "precious"
        await pressed(pilot, "x")
        await shown(pilot, "exists already. o overwrite it")
        await pressed(pilot, "o")
        await shown(pilot, "Wrote 11 instances")
    assert len(load(out)) == 11


async def test_another_file_is_typed_with_completion_and_the_source_is_refused(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete)
        await pressed(pilot, "x", "j", "j", "enter")
        await typed(pilot, str(path))
        await pressed(pilot, "x")
        await shown(pilot, "is the source itself, which is never written")
        await pressed(pilot, "enter", "ctrl+u", *str(path.with_name("b.parquet")), "enter")
        assert "Parquet" in screen_text(app)
        await pressed(pilot, "x")
        await shown(pilot, "Wrote 11 instances")
    assert len(load(path.with_name("b.parquet"))) == 11


async def test_splits_are_typed_and_wrong_ones_refused(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete)
        await pressed(pilot, "x", "G", "k", "enter")
        await typed(pilot, "train most")
        assert "expected such as train 0.9, test 0.1" in " ".join(screen_text(app).split())
        await pressed(pilot, "enter")
        await typed(pilot, "train 0.8, test 0.2")
        await pressed(pilot, "x")
        await shown(pilot, "Wrote 11 instances")
    sizes = [len(load(path.with_name(f"a-simplified.{name}.jsonl"))) for name in ("train", "test")]
    assert sum(sizes) == 11 and all(sizes)


async def test_what_the_filter_shows_is_exported_in_its_order(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete and screen.measures is not None)
        await pressed(pilot, "f", *"row:3-6", "enter")
        await until(pilot, lambda: len(screen.view) == 4)
        text = await pressed(pilot, "x")
        assert "what the filter shows, 4" in text
        await pressed(pilot, "x")
        await shown(pilot, "Wrote 4 instances")
    out = load(path.with_name("a-simplified.jsonl"))
    assert [out[n].instruction for n in range(4)] == [ROWS[n]["instruction"] for n in range(3, 7)]


def test_shares_are_read_as_people_write_them() -> None:
    assert read_splits("train 0.9, test=0.1") == {"train": 0.9, "test": 0.1}
    assert read_splits("a:1") == {"a": 1.0} and read_splits("none") is None
    for wrong in ("train", "train 0.9 test 0.1", "0.9, 0.1", "train 1.2.3"):
        with pytest.raises(UserError, match="splits: expected"):
            read_splits(wrong)


def test_a_dataset_of_the_hub_is_written_here() -> None:
    form = ExportForm(source="org/name", own_format="alpaca", shown=1, whole=1, edited=0)
    assert form.path == "name-simplified.jsonl"
