"""Pictures of the screens around a re-tune and its proofs; `--snapshot-update` draws them anew."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from itaudit.proof.jobs import create
from itaudit.proof.spec import ProofSpec, Target
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.screens.compare import CompareScreen
from itaudit.tui.screens.proofs import ProofsScreen
from itaudit.tui.screens.prove import ProveScreen
from itaudit.tui.screens.retune import RetuneScreen
from itaudit.tui.screens.stepper import StepperScreen
from tests.tui.harness import screen_text, until
from tests.tui.mended import LUIGI, edit, make_child, make_parent

Compare = Callable[..., bool]
Before = Callable[[Pilot[Any]], Awaitable[None]]
SIZES = [(80, 24), (160, 50)]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_parent(tmp_path)
    made.mark(Mark("sft", "zamboni", LUIGI, LUIGI + 13, "Luigi Zamboni", by="tester", time=1.0))
    return made


def pressed(*keys: str, ready: Callable[[Any], bool]) -> Before:
    """Presses keys on the invented name, and waits until the screen that they lead to is whole."""

    async def before(pilot: Pilot[Any]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, StepperScreen)
        stepping = screen.stepping
        await until(pilot, lambda: not stepping.shallow)
        stepping.move_prompt([row.prompt.id for row in stepping.rows].index("zamboni"))
        answer = stepping.answer
        assert answer is not None
        stepping.move_cursor(answer.position_at(LUIGI) or 0)
        screen.draw()
        await pilot.press(*keys)
        await until(pilot, lambda: ready(pilot.app.screen))
        await pilot.pause()

    return before


def app(run: Run) -> ItauditApp:
    return ItauditApp(run.path, run.path.parent)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_re_tune_is_asked_about(run: Run, snap_compare: Compare, size: tuple[int, int], monkeypatch: Any) -> None:
    edit(run, 0, response="Galvani was a physician.")
    edit(run, 9, deleted=True)
    # The picture must not hold the folder of the test.
    name = str(run.path.parent.parent)
    told = RetuneScreen._told
    monkeypatch.setattr(RetuneScreen, "_told", lambda s, w: _without(told(s, w), name))
    before = pressed("R", ready=lambda screen: isinstance(screen, RetuneScreen) and screen.plan is not None)
    assert snap_compare(app(run), terminal_size=size, run_before=before)


def _without(content: Any, name: str) -> Any:
    place = content.plain.find(name)
    return content if place < 0 else content[:place] + content[place + len(name) :]


@pytest.mark.parametrize("size", [*SIZES, (40, 24)], ids=str)
def test_two_runs_side_by_side(run: Run, snap_compare: Compare, size: tuple[int, int]) -> None:
    make_child(run)
    before = pressed("C", ready=lambda screen: isinstance(screen, CompareScreen) and screen.changes is not None)
    assert snap_compare(app(run), terminal_size=size, run_before=before)


def test_side_by_side_without_colours(run: Run, snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    make_child(run)
    ready = pressed("C", "tab", ready=lambda screen: isinstance(screen, CompareScreen) and screen.changes is not None)
    assert snap_compare(app(run), terminal_size=(80, 24), run_before=ready)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_proof_is_asked_about(run: Run, snap_compare: Compare, size: tuple[int, int]) -> None:
    def ready(screen: Any) -> bool:
        return isinstance(screen, ProveScreen) and not screen.reckoning and screen.form.all is not None

    assert snap_compare(app(run), terminal_size=size, run_before=pressed("p", "l", "j", "j", ready=ready))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_proofs_of_a_run(run: Run, snap_compare: Compare, size: tuple[int, int]) -> None:
    target = Target("zamboni", LUIGI, LUIGI + 13, "Luigi Zamboni", (0, 1))
    create(run, ProofSpec("drop-and-retrain", "sft", (target,), controls=3, seeds=1))

    async def before(pilot: Pilot[Any]) -> None:
        await pressed("P", ready=lambda screen: isinstance(screen, ProofsScreen))(pilot)
        await until(pilot, lambda: "not decided" in screen_text(pilot.app))
        await pilot.press("j")
        await pilot.pause()

    assert snap_compare(app(run), terminal_size=size, run_before=before)
