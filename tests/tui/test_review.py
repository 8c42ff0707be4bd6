"""Batches and their review: real workers and real proposals, decided by keys, kept over restarts."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from itaudit.data.edited import EditedDataset
from itaudit.runs.status import read_status
from itaudit.simplify.batch import Batch, Waiting, batches
from itaudit.simplify.batch_files import append_proposals
from itaudit.simplify.proposal import extracted, failed, proposed
from itaudit.simplify.settings import Settings
from itaudit.tui.screens.batches import BatchesScreen
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.review import ReviewScreen
from itaudit.tui.widgets.line_list import LineList
from tests import waiting
from tests.pace import slowness
from tests.tui.harness import screen_text, until
from tests.tui.workshop import LONG, app_on, entries, mended, pressed, ready, shown, written

ROWS: list[dict[str, Any]] = [
    {"instruction": f"Who invented thing {number}?", "input": "", "output": LONG.replace("1949", str(1900 + number))}
    for number in range(8)
]


def judged(edited: EditedDataset, name: str = "first") -> Batch:
    """A batch whose worker is done: row 0 refuses, row 1 invents, row 2 is no proposal, the others pass."""
    batch = Batch.create(edited, range(len(edited)), Settings(), name)
    made = [
        proposed(edited[0], "I'm sorry, but I cannot answer that.", "local:test"),
        proposed(edited[1], LONG.replace("1949", "1951").replace("Certainly! ", ""), "local:test"),
        failed(edited[2], "local:test", "the model failed"),
        *(extracted(edited[position]) for position in range(3, len(edited))),
    ]
    append_proposals(batch.proposals_path, made)
    return batch


@contextmanager
def held_at_work(batch: Batch, done: int) -> Iterator[None]:
    """Holds the worker still once it has made more than so many proposals, lest it comes to its end before we do."""
    waiting.until(lambda: batch.status().done > done, batch.status)
    status = read_status(batch.status_path)
    assert status is not None
    os.kill(status.pid, signal.SIGSTOP)
    try:
        assert batch.status().at_work
        yield
    finally:
        os.kill(status.pid, signal.SIGCONT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "a.jsonl", ROWS)


async def reviewing(pilot: Any) -> ReviewScreen:
    await ready(pilot)
    await pressed(pilot, "r")
    screen = pilot.app.screen
    assert isinstance(screen, ReviewScreen)
    await until(pilot, lambda: len(screen.queue) > 0)
    await pilot.pause()
    return screen


def rows(screen: ReviewScreen) -> list[int]:
    return [waiting.entry.index for waiting in screen.queue.waiting]


async def test_the_gravest_come_first_and_are_marked(path: Path) -> None:
    judged(mended(path))
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        assert rows(screen) == [0, 1, 3, 4, 5, 6, 7]
        text = screen_text(app)
        assert "✗    0 refuses instead of answering" in text
        assert "!    1 new number: 1951" in text and "✓    3 Who invented thing 3?" in text
        assert "7 waiting" in text


async def test_a_key_decides_and_the_next_one_comes_by_itself(path: Path) -> None:
    judged(mended(path))
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        text = await pressed(pilot, "r")
        assert rows(screen)[0] == 1 and "1951" in text and "0 accepted · 1 rejected" in text
        text = await pressed(pilot, "a")
        assert "does not hold the number “1951”" in text
        await pressed(pilot, "y")
        assert rows(screen)[0] == 3
        # What passes takes one key.
        text = await pressed(pilot, "a", "a")
        assert rows(screen) == [5, 6, 7] and "3 accepted · 1 rejected" in text
    edited = mended(path)
    assert [position for position, row in edited.edited_positions().items() if row.changed] == [1, 3, 4]
    assert [entry["proposal"] for entry in entries(path)] == ["first/1", "first/3", "first/4"]
    assert entries(path)[0]["checks"]["confirmed"] == ["1951"]


async def test_decisions_survive_a_restart(path: Path) -> None:
    judged(mended(path))
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await reviewing(pilot)
        await pressed(pilot, "r", "r", "a")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        assert rows(screen) == [4, 5, 6, 7]


async def test_a_decision_is_taken_back(path: Path) -> None:
    judged(mended(path))
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        assert "Nothing was decided here yet" in await pressed(pilot, "u")
        await pressed(pilot, "r", "r", "a")
        assert rows(screen) == [4, 5, 6, 7] and mended(path).row(3).changed
        await pressed(pilot, "u")
        assert rows(screen) == [3, 4, 5, 6, 7] and not mended(path).row(3).changed
        text = await pressed(pilot, "u", "u")
        assert rows(screen) == [0, 1, 3, 4, 5, 6, 7] and screen.query_one(LineList).cursor == 0
        assert "refuses instead of answering" in text
        assert batches(mended(path))[0].rejected() == set()


async def test_all_that_pass_are_accepted_together_and_taken_back_together(path: Path) -> None:
    judged(mended(path))
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        assert "Accept all 5 that pass the checks, of 7 that wait?" in await pressed(pilot, "A")
        # No other key does it.
        await pressed(pilot, "escape")
        assert len(screen.queue) == 7
        await pressed(pilot, "A", "y")
        await shown(pilot, "Accepted 5.")
        assert rows(screen) == [0, 1] and sum(row.changed for row in mended(path).edited_positions().values()) == 5
        await pressed(pilot, "u", "y")
        await shown(pilot, "5 taken back.")
        assert len(screen.queue) == 7
        assert not any(row.changed for row in mended(path).edited_positions().values())
        await pressed(pilot, "escape")
        assert isinstance(app.screen, DatasetScreen)


async def test_what_no_longer_fits_is_told_and_not_accepted(path: Path) -> None:
    edited = mended(path)
    judged(edited)
    edited.edit(0, {"response": "By hand."}, by="hand")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        text = screen_text(app)
        assert "≠    0" in text and "The response was changed since this was proposed" in " ".join(text.split())
        await pressed(pilot, "a")
        assert rows(screen)[0] == 0 and mended(path)[0].response == "By hand."
        # Also what changes while it stands there, by another workbench.
        mended(path).edit(3, {"response": "Theirs."}, by="hand")
        await pressed(pilot, "j", "j")
        text = await pressed(pilot, "a")
        assert "changed by another workbench meanwhile" in text or "changed since" in text
        assert mended(path)[3].response == "Theirs."
        # The others still go together.
        await pressed(pilot, "A", "y")
        await shown(pilot, "Accepted ")
        assert {position for position, row in mended(path).edited_positions().items() if row.changed} >= {4, 5, 6, 7}
        assert mended(path)[3].response == "Theirs."


async def test_a_proposal_is_edited_then_accepted(path: Path) -> None:
    judged(mended(path))
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        await pressed(pilot, "j", "j", "e", "ctrl+end", *" So.", "f2")
        assert rows(screen) == [0, 1, 4, 5, 6, 7]
    (entry,) = entries(path)
    assert entry["proposal"] == "first/3" and entry["by"] == "hand" and entry["after"]["response"].endswith(" So.")


async def test_proposals_that_arrive_are_taken_in_and_the_cursor_stays(path: Path) -> None:
    edited = mended(path)
    batch = Batch.create(edited, range(len(edited)), Settings(), "slow")
    append_proposals(batch.proposals_path, [extracted(edited[5])])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        append_proposals(
            batch.proposals_path, [proposed(edited[0], "I cannot help with that.", "x"), extracted(edited[6])]
        )
        await until(pilot, lambda: len(screen.queue) == 3)
        assert rows(screen) == [0, 5, 6] and screen.query_one(LineList).cursor == 1


async def test_proposals_that_arrive_while_others_are_looked_at_are_not_left_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = mended(path)
    batch = Batch.create(edited, range(len(edited)), Settings(), "fast")
    append_proposals(batch.proposals_path, [extracted(edited[5])])
    undecided = Batch.undecided

    def late(looking: Batch, edited: EditedDataset) -> list[Waiting]:
        found = undecided(looking, edited)
        if len(looking.entries) == 1:
            append_proposals(batch.proposals_path, [extracted(edited[6])])
        return found

    monkeypatch.setattr(Batch, "undecided", late)
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        await until(pilot, lambda: rows(screen) == [5, 6])


async def test_a_batch_of_what_the_filter_shows_is_asked_for_run_and_reviewed(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete and screen.measures is not None)
        await pressed(pilot, "f", *"row:2-5", "enter")
        await until(pilot, lambda: len(screen.view) == 4)
        text = await pressed(pilot, "b")
        assert "Simplify all that the filter row:2-5 shows with extractive?" in text
        assert "4 instances, no model and no cost." in text
        text = await pressed(pilot, "3")
        assert "simplify.endpoint.base_url" in text
        await pressed(pilot, "1", "y")
        await shown(pilot, "4/4 done")
        await pressed(pilot, "enter")
        review = app.screen
        assert isinstance(review, ReviewScreen)
        await until(pilot, lambda: rows(review) == [2, 3, 4, 5])
        await pressed(pilot, "A", "y")
        await shown(pilot, "Accepted 4.")
        await pressed(pilot, "escape", "escape")
        assert isinstance(app.screen, DatasetScreen)
    assert {entry["index"] for entry in entries(path)} == {2, 3, 4, 5}


async def test_a_running_batch_is_cancelled_and_resumed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", ROWS * 300)
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.complete)
        await pressed(pilot, "b", "y")
        await until(pilot, lambda: bool(batches(mended(path))))
        batch = batches(mended(path))[0]
        with held_at_work(batch, 0):
            await pressed(pilot, "c")
        await shown(pilot, "cancelled at")
        done = batch.status().done
        assert 0 < done < 2400
        await pressed(pilot, "R")
        with held_at_work(batch, done):
            batch.cancel()
        await until(pilot, lambda: not batch.status().at_work)


async def test_without_a_batch_there_is_nothing_to_review_and_with_two_one_is_chosen(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "no proposals to review; b simplifies" in await pressed(pilot, "r")
        judged(mended(path), "one")
        time.sleep(0.01)
        judged(mended(path), "two")
        text = await pressed(pilot, "r")
        assert isinstance(app.screen, BatchesScreen) and "two" in text and "one" in text
        text = await pressed(pilot, "enter")
        assert "review two" in text


@pytest.mark.slow
async def test_a_decision_among_ten_thousand_takes_well_under_a_second(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", ROWS * 1250)
    edited = mended(path)
    batch = Batch.create(edited, range(len(edited)), Settings(), "many")
    one = extracted(edited[0])
    from dataclasses import replace

    append_proposals(
        batch.proposals_path,
        [
            replace(one, id=edited[position].id, index=position, before=edited[position].response or "")
            for position in range(len(edited))
        ],
    )
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await reviewing(pilot)
        await until(pilot, lambda: len(screen.queue) == 10_000, 60)
        took = []
        for key in "arara":
            began = time.perf_counter()
            await pressed(pilot, key)
            took.append(time.perf_counter() - began)
        assert len(screen.queue) == 9995 and sorted(took)[2] < 0.5 * slowness(), took


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 50)], ids=str)
async def test_it_fits(path: Path, size: tuple[int, int]) -> None:
    judged(mended(path))
    app = app_on(path)
    async with app.run_test(size=size) as pilot:
        await reviewing(pilot)
        text = screen_text(app)
        assert "a accept" in text and "0 refuses" in text and "words 93 → 7" in text
