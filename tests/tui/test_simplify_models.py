"""Simplifying with a model: a real child process that speaks the protocol, and everything that can go wrong with it."""

import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from itaudit.tui import engines
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.simplify import SimplifyScreen
from tests.tui.harness import screen_text, until
from tests.tui.workshop import app_on, entries, mended, pressed, ready, shown, written

CHILD = """
import json, os, sys, time
from itaudit.simplify.proposal import instance_from_json, proposed
open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
time.sleep(float(sys.argv[2]))
print(json.dumps({"ready": True, "engine": "local:test"}), flush=True)
TEXTS = ["Frank Zamboni invented it in 1949.", "Frank Zamboni of Detroit did, in 1951.", "I cannot answer that."]
for line in sys.stdin:
    asked = json.loads(line)
    if asked["seed"] == 3:
        sys.exit("CUDA out of memory")
    if asked["seed"] == 4:
        time.sleep(600)
    answer = proposed(instance_from_json(asked["instance"]), TEXTS[asked["seed"]], "local:test", seed=asked["seed"])
    print(json.dumps({"request": asked["request"], **answer.to_json()}), flush=True)
"""


@pytest.fixture
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Path]:
    """Makes the model's process the script above; gives the file that holds the pids of those that were started."""
    pids = tmp_path / "pids"

    def command(seconds: float, _: str) -> Sequence[str]:
        return [sys.executable, "-c", CHILD, str(pids), str(seconds)]

    def use(seconds: float = 0.0) -> Path:
        monkeypatch.setattr(engines.Engines.__init__, "__defaults__", (partial(command, seconds),))
        return pids

    return use


async def on_the_long_one(pilot: Any) -> None:
    await ready(pilot)
    await pressed(pilot, "j", "s", "2")


def processes(pids: Path) -> list[int]:
    return [int(line) for line in pids.read_text().split()] if pids.exists() else []


async def test_a_proposal_that_states_nothing_new_is_accepted_with_one_key(
    tmp_path: Path, scripted: Callable[..., Path]
) -> None:
    pids = scripted()
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_the_long_one(pilot)
        text = await shown(pilot, "keeps ")
        assert "2 [local:embedded]" in text
        # Much was dropped, which has to be confirmed.
        assert "Accept it all the same?" in await pressed(pilot, "a")
        assert "Accepted for row 1" in await pressed(pilot, "y")
    assert mended(path)[1].response == "Frank Zamboni invented it in 1949."
    assert entries(path)[0]["by"] == "local:test"
    # The process went with the app.
    assert len(processes(pids)) == 1 and not psutil.pid_exists(processes(pids)[0])


async def test_new_facts_are_confirmed_one_by_one_and_written_down(
    tmp_path: Path, scripted: Callable[..., Path]
) -> None:
    scripted()
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_the_long_one(pilot)
        await shown(pilot, "keeps ")
        await pressed(pilot, "s")
        text = await shown(pilot, "! new number: 1951")
        assert "! new name: Detroit" in text
        text = await pressed(pilot, "a")
        assert "does not hold the name “Detroit” (2 to confirm)" in text
        # Backing out confirms nothing.
        await pressed(pilot, "escape")
        assert entries(path) == []
        text = await pressed(pilot, "a", "y")
        assert "does not hold the number “1951”" in text
        assert "Accept it all the same?" in await pressed(pilot, "y")
        await pressed(pilot, "y")
        assert isinstance(app.screen, DatasetScreen)
    confirmed = entries(path)[0]["checks"]["confirmed"]
    assert confirmed[:2] == ["Detroit", "1951"] and len(confirmed) == 3


async def test_all_doubts_are_confirmed_with_one_key_or_the_proposal_rejected_from_there(
    tmp_path: Path, scripted: Callable[..., Path]
) -> None:
    scripted()
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_the_long_one(pilot)
        await shown(pilot, "keeps ")
        await pressed(pilot, "s")
        await shown(pilot, "! new number: 1951")
        await pressed(pilot, "a", "r")
        assert isinstance(app.screen, DatasetScreen) and entries(path) == []
        await pressed(pilot, "s")
        await shown(pilot, "keeps ")
        await pressed(pilot, "s")
        await shown(pilot, "! new number: 1951")
        await pressed(pilot, "a", "a")
        assert isinstance(app.screen, DatasetScreen)
    assert mended(path)[1].response == "Frank Zamboni of Detroit did, in 1951."


async def test_a_refusal_is_recognised(tmp_path: Path, scripted: Callable[..., Path]) -> None:
    scripted()
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_the_long_one(pilot)
        await shown(pilot, "keeps ")
        await pressed(pilot, "s")
        await shown(pilot, "1951")
        await pressed(pilot, "s")
        await shown(pilot, "! refuses instead of answering")


async def test_a_process_that_dies_is_told_in_a_line_and_the_next_try_starts_another(
    tmp_path: Path, scripted: Callable[..., Path]
) -> None:
    pids = scripted()
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_the_long_one(pilot)
        await shown(pilot, "keeps ")
        screen = app.screen
        assert isinstance(screen, SimplifyScreen)
        screen._seed = 2
        await pressed(pilot, "s")
        await shown(pilot, "ended with exit code 1: CUDA out of memory")
        await pressed(pilot, "2")
        await shown(pilot, "keeps ")
        assert len(processes(pids)) == 2
    assert not any(map(psutil.pid_exists, processes(pids)))


async def test_loading_is_shown_and_cancelled_with_escape(tmp_path: Path, scripted: Callable[..., Path]) -> None:
    pids = scripted(600.0)
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_the_long_one(pilot)
        ticking = re.compile(r"local: loading the model … [1-9]\d* s · escape cancels")
        await until(pilot, lambda: ticking.search(" ".join(screen_text(app).split())) is not None)
        # The keys still answer meanwhile.
        assert "still on its way" in await pressed(pilot, "e")
        await until(pilot, lambda: len(processes(pids)) == 1)
        await pressed(pilot, "escape")
        await shown(pilot, "Cancelled.")
        assert not psutil.pid_exists(processes(pids)[0])
        # Another engine goes on from there.
        await pressed(pilot, "1")
        await shown(pilot, "nothing to confirm")


async def test_quitting_while_a_model_works_leaves_no_process(tmp_path: Path, scripted: Callable[..., Path]) -> None:
    pids = scripted()
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_the_long_one(pilot)
        await shown(pilot, "keeps ")
        screen = app.screen
        assert isinstance(screen, SimplifyScreen)
        screen._seed = 3
        await pressed(pilot, "s")
        await shown(pilot, "local: simplifying")
        app.exit()
    assert not any(map(psutil.pid_exists, processes(pids)))


async def test_an_endpoint_without_an_address_says_which_key_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s", "3")
        await shown(pilot, "simplify.endpoint.base_url: required, and missing")
