"""Pictures of the screens that mend; `--snapshot-update` draws them anew after a change that is meant."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from itaudit.tui.screens.review import ReviewScreen
from tests.tui.harness import until
from tests.tui.test_review import ROWS, judged
from tests.tui.workshop import app_on, mended, pressed, ready, shown, written

SIZES = [(80, 24), (160, 50)]
Compare = Callable[..., bool]
Before = Callable[[Pilot[Any]], Awaitable[None]]


def before(*keys: str, text: str) -> Before:
    """Presses keys on the dataset, and waits for a text."""

    async def run(pilot: Pilot[Any]) -> None:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete and screen.measures is not None)
        await pressed(pilot, *keys)
        if isinstance(pilot.app.screen, ReviewScreen):
            # Its progress is read in the background, in its own time.
            review = pilot.app.screen
            await until(pilot, lambda: review._status is not None and len(review.queue) > 0)
        await shown(pilot, text)
        await pilot.pause()

    return run


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_proposal(tmp_path: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    path = written(tmp_path / "a.jsonl")
    assert snap_compare(app_on(path), terminal_size=size, run_before=before("j", "s", text="nothing to confirm"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_new_fact_to_confirm_in_a_review(tmp_path: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    path = written(tmp_path / "a.jsonl", ROWS)
    judged(mended(path))
    steps = before("r", text="waiting")

    async def run(pilot: Pilot[Any]) -> None:
        await steps(pilot)
        await pressed(pilot, "j", "a")

    assert snap_compare(app_on(path), terminal_size=size, run_before=run)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_editor_with_a_change(tmp_path: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    path = written(tmp_path / "a.jsonl")
    # What is told of the text comes a moment after the last key.
    steps = before("j", "e", *["delete"] * 11, text="[response]*")

    async def run(pilot: Pilot[Any]) -> None:
        await steps(pilot)
        await pressed(pilot, "escape")

    assert snap_compare(app_on(path), terminal_size=size, run_before=run)
