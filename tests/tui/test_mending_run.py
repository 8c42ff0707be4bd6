"""From a run to its mending under a pilot: sources in their file, the re-tune, and what is written on the way."""

import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from itaudit.data.edited import EditedRow, with_rows
from itaudit.data.versions import open_edited
from itaudit.recipe import write_recipe
from itaudit.runs import jobs
from itaudit.runs.lineage import lineage_of
from itaudit.runs.run import Run
from itaudit.tui import job_watch
from itaudit.tui.app import ItauditApp
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.retune import RetuneScreen
from itaudit.tui.screens.sources import RunCopyScreen, SourceFileScreen
from itaudit.tui.screens.stepper import StepperScreen
from tests.tui.harness import screen_text, until
from tests.tui.mended import LUIGI, edit, make_parent, source


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_parent(tmp_path)


def read_with(run: Run, **changes: Any) -> Run:
    """The run with another recipe for its data."""
    data = run.recipe.data.model_copy(update=changes)
    run.recipe_path.write_bytes(write_recipe(run.recipe.model_copy(update={"data": data})))
    return Run(run.path)


@asynccontextmanager
async def on_luigi(run: Run, size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[Pilot[None], StepperScreen]]:
    """The stepper with the cursor on an invented name, whose first source is row 0."""
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test(size=size) as pilot:
        screen = app.screen
        assert isinstance(screen, StepperScreen)
        stepping = screen.stepping
        await until(pilot, lambda: not stepping.shallow)
        stepping.move_prompt([row.prompt.id for row in stepping.rows].index("zamboni"))
        answer = stepping.answer
        assert answer is not None
        place = answer.position_at(LUIGI)
        assert place is not None
        stepping.move_cursor(place)
        screen.draw()
        await pilot.pause()
        rows = [each.index for _, _, each in stepping.sources]
        stepping.source = rows.index(0)
        yield pilot, screen


def messages(pilot: Pilot[None]) -> list[str]:
    return [notification.message for notification in pilot.app._notifications]


async def opened(pilot: Pilot[None], kind: type[DatasetScreen]) -> DatasetScreen:
    """Waits until a dataset is there."""
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    screen = pilot.app.screen
    assert isinstance(screen, kind)
    await until(pilot, lambda: screen.edited is not None and screen.complete and screen.position() is not None)
    await pilot.pause()
    return screen


def row_of(screen: DatasetScreen) -> int:
    position = screen.position()
    assert screen.edited is not None and position is not None
    return screen.edited[position].index


def told(screen: DatasetScreen) -> str:
    return str(screen.query_one("#said").content)  # type: ignore[attr-defined]  # a Static


async def test_s_opens_the_file_itself_at_the_source_and_escape_leads_back(run: Run) -> None:
    async with on_luigi(run) as (pilot, stepper):
        await pilot.press("s")
        screen = await opened(pilot, SourceFileScreen)
        assert row_of(screen) == 0 and screen.highlights and told(screen) == ""
        await pilot.press("d")
        await until(pilot, lambda: "Deleted row 0" in told(screen))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is stepper)
    assert open_edited(str(source(run))).row(0).deleted
    assert not run.path.with_name("dataset.arrow.workshop").exists()


async def test_enter_shows_the_run_s_copy_which_stays_as_it_is(run: Run) -> None:
    before = run.dataset_path.read_bytes()
    async with on_luigi(run) as (pilot, _):
        await pilot.press("enter")
        screen = await opened(pilot, RunCopyScreen)
        assert row_of(screen) == 0 and "as it was tuned on" in screen_text(pilot.app)
        for key in ("d", "u", "U", "t", "m", "b", "r", "v"):
            await pilot.press(key)
            await pilot.pause()
            assert pilot.app.screen is screen and "stays as it is" in told(screen), key
        await pilot.press("s")
        file = await opened(pilot, SourceFileScreen)
        assert row_of(file) == 0
    assert run.dataset_path.read_bytes() == before
    assert not source(run).with_name("instances.jsonl.workshop").exists()


async def test_edits_of_a_run_of_the_edited_dataset_fit_the_file(run: Run) -> None:
    edit(run, 0, response="Luigi Galvani was an Italian physician.")
    run = read_with(run, path=f"{source(run)}@edited")
    open_edited(f"{source(run)}@edited").dataset().save(run.dataset_path)
    async with on_luigi(run) as (pilot, _):
        await pilot.press("s")
        screen = await opened(pilot, SourceFileScreen)
        assert row_of(screen) == 0 and told(screen) == ""
        await pilot.press("d")
        await until(pilot, lambda: "Deleted row 0" in told(screen))
    edited = open_edited(str(source(run)))
    assert edited.conflicts() == [] and edited.row(0).deleted
    assert edited.row(0).instance.response == "Luigi Galvani was an Italian physician."


def rewritten(run: Run, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    rows = [json.loads(line) for line in source(run).read_text().splitlines()]
    source(run).write_text("\n".join(json.dumps(row) for row in change(rows)))


NEW = {"instruction": "New?", "context": "", "response": "Yes.", "category": "qa"}


@pytest.mark.parametrize(
    ("change", "row", "remark"),
    [
        (lambda rows: [{**rows[0], "response": "Other."}, *rows[1:]], 0, "this is what the row says now"),
        (lambda rows: [NEW, NEW, *rows], 2, "row 0 is now row 2"),
        (lambda rows: [*rows[:1], NEW, *rows[2:]], 0, ""),
    ],
)
async def test_a_file_that_changed_is_told_in_one_line(run: Run, change: Any, row: int, remark: str) -> None:
    rewritten(run, change)
    async with on_luigi(run) as (pilot, _):
        await pilot.press("s")
        screen = await opened(pilot, SourceFileScreen)
        assert row_of(screen) == row
        assert remark in told(screen) and bool(remark) == bool(told(screen))


async def test_an_instance_that_is_gone_is_told(run: Run) -> None:
    rewritten(run, lambda _: [])
    source(run).write_text(json.dumps({"id": "x", **NEW}) + "\n")
    async with on_luigi(run) as (pilot, _):
        await pilot.press("s")
        screen = await opened(pilot, SourceFileScreen)
        assert "no longer holds row 0" in told(screen)


async def test_a_file_that_is_gone_is_one_line_and_the_copy_still_opens(run: Run) -> None:
    source(run).unlink()
    async with on_luigi(run) as (pilot, stepper):
        await pilot.press("s")
        await until(pilot, lambda: any("is gone" in message for message in messages(pilot)))
        assert pilot.app.screen is stepper
        await pilot.press("enter")
        await opened(pilot, RunCopyScreen)


async def test_what_transforms_made_of_an_instance_is_told_from_the_file_s_text(run: Run) -> None:
    run = read_with(run, transforms=["simplified"])
    edited = open_edited(str(source(run)))
    position = edited.source.position(0)
    row = edited.row(position)
    shortened = replace(row.instance, response="Galvani.", references=("Galvani.",))
    with_rows(edited.source, {position: EditedRow(row.source, shortened)}).save(run.dataset_path)
    async with on_luigi(run) as (pilot, _):
        await pilot.press("s")
        screen = await opened(pilot, SourceFileScreen)
        assert "tuned on what simplified:engine=extractive made of it" in told(screen)
        assert all(e.text in (screen.edited[0].response or "") for e in screen.highlights)  # type: ignore[index]  # there


async def test_where_there_is_no_source_no_key_goes_anywhere(run: Run) -> None:
    async with on_luigi(run) as (pilot, stepper):
        await pilot.press("1")
        for key in ("s", "enter"):
            await pilot.press(key)
            await pilot.pause()
            assert pilot.app.screen is stepper
        assert any("no source here" in message for message in messages(pilot))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs whose workers would have been started: this run's base model is none that a worker could load."""
    runs: list[Run] = []
    monkeypatch.setattr(jobs, "start", lambda run: runs.append(run) or 1)
    return runs


async def planned(pilot: Pilot[None]) -> RetuneScreen:
    await until(pilot, lambda: isinstance(pilot.app.screen, RetuneScreen) and pilot.app.screen.plan is not None)
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, RetuneScreen)
    return screen


async def test_without_edits_the_re_tune_is_refused_in_one_line(run: Run, started: list[Run]) -> None:
    async with on_luigi(run) as (pilot, stepper):
        await pilot.press("R")
        await until(pilot, lambda: any("holds no edits since dolly-12 was tuned" in m for m in messages(pilot)))
        await until(pilot, lambda: pilot.app.screen is stepper)
    assert started == [] and sorted(path.name for path in run.path.parent.iterdir()) == ["dolly-12"]


async def test_the_dialog_tells_what_is_edited_and_enter_starts(run: Run, started: list[Run]) -> None:
    edit(run, 0, response="Galvani was a physician.")
    edit(run, 9, deleted=True)
    async with on_luigi(run) as (pilot, stepper):
        await pilot.press("R")
        await planned(pilot)
        text = " ".join(screen_text(pilot.app).split())
        assert "2 instances changed, 1 of them among" in text and "of “Luigi" in text
        assert "#0 response 12 → 4 words" in text and "#9 deleted" in text
        assert "model sft · about 2 min 20 s" in text and "name dolly-12-mended" in text
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is stepper)
    (child,) = started
    assert child.path == run.path.with_name("dolly-12-mended")
    assert child.labels == ("base", "sft") and child.recipe.data.path == f"{source(run)}@2"
    lineage = lineage_of(child)
    assert lineage is not None and lineage.edited == (0, 9)
    assert lineage.span is not None and "Luigi" in lineage.span.text and lineage.span.model == "sft"


async def test_models_and_name_can_be_chosen_and_escape_cancels(run: Run, started: list[Run]) -> None:
    edit(run, 0, response="Galvani was a physician.")
    async with on_luigi(run) as (pilot, stepper):
        await pilot.press("R")
        screen = await planned(pilot)
        seen = []
        for _ in range(3):
            await pilot.press("m")
            seen.append(screen.labels)
        assert seen == [("lft", "sft"), ("lft",), ("sft",)]
        await pilot.press("n", *"a b", "enter")
        await pilot.pause()
        assert screen.new_name == "dolly-12-mended", "a name with a blank can't be"
        await pilot.press("n", *"second", "enter")
        await until(pilot, lambda: screen.new_name == "second")
        await pilot.press("n", "escape")
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is stepper)
        assert started == []
        await pilot.press("R")
        screen = await planned(pilot)
        await pilot.press("n", *"second", "enter")
        await until(pilot, lambda: screen.new_name == "second")
        await pilot.press("m", "enter")
        await until(pilot, lambda: bool(started))
    assert started[0].name == "second" and started[0].labels == ("base", "lft", "sft")


async def test_the_end_of_a_re_tune_is_told_on_any_screen(
    run: Run, started: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "LOOK_SECONDS", 0.05)
    edit(run, 0, response="Galvani was a physician.")
    async with on_luigi(run) as (pilot, _):
        await pilot.press("R")
        await planned(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: bool(started))
        await pilot.press("L")
        await pilot.pause()
        started[0].event_log().append("job_done")
        told = "dolly-12-mended is done: C shows it beside dolly-12"
        await until(pilot, lambda: any(told in message for message in messages(pilot)))


async def test_a_re_tune_that_vanishes_is_not_watched_for_ever(
    run: Run, started: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_watch, "LOOK_SECONDS", 0.05)
    edit(run, 0, response="Galvani was a physician.")
    async with on_luigi(run) as (pilot, _):
        await pilot.press("R")
        await planned(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: bool(started))
        shutil.rmtree(started[0].path)
        await until(pilot, lambda: not pilot.app.__dict__[job_watch._WATCHED])
        assert pilot.app.is_running


@pytest.mark.parametrize("size", [(80, 24), (40, 20), (24, 8)])
async def test_the_dialog_fits_any_terminal(run: Run, size: tuple[int, int], started: list[Run]) -> None:
    for index in range(11):
        edit(run, index, response="\x1b[31m[red] \u202e" + "word " * 50)
    async with on_luigi(run, size) as (pilot, _):
        await pilot.press("R")
        await planned(pilot)
        assert "\x1b" not in screen_text(pilot.app) and "\u202e" not in screen_text(pilot.app)
        await pilot.press("escape")
    assert started == []
