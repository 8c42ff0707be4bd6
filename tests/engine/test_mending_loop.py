"""See it, trace it, mend it, check it: the whole loop by keys, with the real worker on a tiny model."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from itaudit.data.versions import open_edited
from itaudit.engine.worker import work_on
from itaudit.runs.lineage import children_of
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.screens.compare import CompareScreen
from itaudit.tui.screens.editor import EditorScreen
from itaudit.tui.screens.retune import RetuneScreen
from itaudit.tui.screens.sources import SourceFileScreen
from itaudit.tui.screens.stepper import StepperScreen
from tests.tui.harness import screen_text, until

pytestmark = pytest.mark.slow
SFT = {"sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "learning_rate": 0.01}}


def shown(pilot: Pilot[Any]) -> str:
    return " ".join(screen_text(pilot.app).split())


async def test_an_edit_made_from_a_source_is_tuned_on_and_its_effect_stands_beside(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run = make_run(models=SFT)
    assert work_on(run) == 0
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test(size=(120, 40)) as pilot:
        stepper = app.screen
        assert isinstance(stepper, StepperScreen)
        stepping = stepper.stepping
        await until(pilot, lambda: not stepping.shallow)
        # See it and trace it: the first word, whatever this random model says.
        stepping.move_prompt(next(n for n, row in enumerate(stepping.rows) if row.prompt.id == "a"))
        await pilot.press("g", "v", *["l"] * 8, "t")
        await until(pilot, lambda: bool(stepping.sources), 60)
        row = stepping.sources[stepping.source][2].index
        # Mend it: the instance in its own file, its response written anew.
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, SourceFileScreen) and app.screen.sought is not None)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditorScreen))
        await pilot.press(*["space" if letter == " " else letter for letter in "red green blue red green blue "])
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, SourceFileScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is stepper)
        edited = open_edited(run.recipe.data.path).row(row)
        assert "red green blue" in (edited.instance.response or "") and not edited.conflicts
        # Check it: tuned again, and both side by side.
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, RetuneScreen) and app.screen.plan is not None)
        assert f"▸ #{row} response" in shown(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is stepper)
        (child,) = children_of(run)
        await until(pilot, lambda: child.job() == "done", 300)
        told = f"{child.name} is done: C shows it beside {run.name}"
        await until(pilot, lambda: any(told in note.message for note in app._notifications))
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and app.screen.changes is not None)
        screen = app.screen
        assert isinstance(screen, CompareScreen) and screen.comparing.new.path == child.path
        states = screen.comparing.comparison.states
        assert list(states.values()).count("changed") > 0 and "waiting" not in states.values()
        await pilot.press(*["k"] * len(states))
        assert "They part at position" in shown(pilot)
        assert f"#{row}" in screen.query_one("#edits")._content.plain  # type: ignore[attr-defined]  # a pane
    assert [i.index for i, j in zip(run.dataset, child.dataset, strict=True) if i != j] == [row]
