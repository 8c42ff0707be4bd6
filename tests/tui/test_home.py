"""Home: runs and datasets as they are on disk, and every key."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from itaudit.runs import jobs
from itaudit.runs.run import Run
from itaudit.runs.watch import Watch
from itaudit.tui.home_scan import Scanner
from itaudit.tui.recent import KEPT, RecentDataset, recent_datasets, remember_dataset
from itaudit.tui.screens.home import HomeScreen
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PathSuggester
from tests.tui.harness import HOSTILE, NOW, Clock, Harness, alive, dead, finish, half_done, make_run, screen_text, until

SIZES = [(80, 24), (160, 50)]

RECIPE = """
[data]
path = "data.jsonl"
[prompts]
path = "data.jsonl"
[models.lft]
method = "lft"
"""


def app_on(directory: Path) -> Harness:
    return Harness(lambda: HomeScreen(directory, clock=Clock(NOW + 90)))


async def settled(app: Harness, pilot: Any) -> str:
    """What the screen shows after its first scan."""
    await app.workers.wait_for_complete()
    await pilot.pause()
    return screen_text(app)


def ordered(runs: list[Run]) -> None:
    """Gives directories the times that the list sorts by: the first is the newest."""
    for age, run in enumerate(runs):
        os.utime(run.path, (NOW - age, NOW - age))


@pytest.fixture
def runs(tmp_path: Path, built_run: Run) -> Path:
    """One run in each state, and one that somebody broke."""
    directory = tmp_path / "runs"
    working = make_run(directory, "working")
    half_done(working)
    alive(working)
    queued = make_run(directory, "queued")
    queued.event_log().append("job_queued", time=NOW, pid=1, lock="cuda:0")
    alive(queued, "queued")
    done = Run(shutil.copytree(built_run.path, directory / "done"))
    finish(half_done(done), NOW + 80)
    crashed = make_run(directory, "crashed")
    half_done(crashed)
    dead(crashed)
    crashed.events_path.write_text(crashed.events_path.read_text().replace(f'"pid":{os.getpid()}', '"pid":4711'))
    cancelled = make_run(directory, "cancelled")
    half_done(cancelled).append("job_cancelled", time=NOW + 70)
    fresh = make_run(directory, "new")
    broken = make_run(directory, "broken")
    broken.recipe_path.write_text("name = 3")
    for run in (fresh, broken):
        os.utime(run.recipe_path, (NOW - 7200, NOW - 7200))
    ordered([working, queued, done, crashed, cancelled, fresh, broken])
    return directory


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_all_kinds_of_runs(
    runs: Path, snap_compare: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_dataset(RecentDataset("/data/dolly_3k.json", "dolly", 2996, NOW - 90_000))
    monkeypatch.chdir(runs.parent)

    async def before(pilot: Any) -> None:
        await settled(pilot.app, pilot)

    app = Harness(lambda: HomeScreen(Path("runs"), clock=Clock(NOW + 90)))
    monkeypatch.setattr("itaudit.tui.screens.home._short", lambda path: str(path))
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_nothing_yet(snap_compare: Any, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("itaudit.tui.screens.home._short", lambda path: str(path))

    async def before(pilot: Any) -> None:
        await settled(pilot.app, pilot)

    assert snap_compare(Harness(lambda: HomeScreen(Path("runs"))), terminal_size=size, run_before=before)


async def test_each_run_says_how_it_stands(runs: Path) -> None:
    app = app_on(runs)
    async with app.run_test(size=(300, 30)) as pilot:
        lines = (await settled(app, pilot)).splitlines()

        def line(name: str) -> str:
            return next(each for each in lines if f" {name} " in each)

        assert "▶" in line("working") and "tune sft 50 % · " in line("working") and "━" in line("working")
        assert "waiting for cuda:0" in line("queued")
        summaries = [f"{label} {Run(runs / 'done').summary(label).kl_mean:.3f}" for label in ("lft", "sft")]
        assert "✓" in line("done") and all(summary in line("done") for summary in summaries)
        assert "✗" in line("crashed") and "died without a word" in line("crashed")
        assert "■ cancelled" in line("cancelled")
        assert "not started · lft, sft" in line("new") and "2 h ago" in line("new")
        assert "broken        recipe.toml: name: Input should be" in line("broken")
        assert "7 runs" in lines[0] and "2 at work" in lines[0]


@pytest.mark.parametrize("width", [40, 80, 160])
async def test_the_foot_leads_to_help_at_any_width(runs: Path, width: int) -> None:
    app = app_on(runs)
    async with app.run_test(size=(width, 24)) as pilot:
        text = await settled(app, pilot)
        assert "⏎ open" in text and text.rstrip().endswith("? help")


async def test_no_runs_says_what_to_do(tmp_path: Path) -> None:
    app = app_on(tmp_path / "nowhere")
    async with app.run_test() as pilot:
        shown = await settled(app, pilot)
        assert "There are no runs in" in shown and "itaudit demo" in shown


async def test_enter_opens_the_responses_of_a_done_run_and_the_progress_of_others(runs: Path) -> None:
    app = app_on(runs)
    async with app.run_test() as pilot:
        await settled(app, pilot)
        await pilot.press("enter", "j", "j", "enter", "k", "p")
        assert app.went == [("live", runs / "working"), ("run", runs / "done"), ("live", runs / "queued")]


async def test_a_broken_run_says_what_is_wrong_instead_of_opening(runs: Path) -> None:
    app = app_on(runs)
    async with app.run_test(size=(400, 50)) as pilot:
        await settled(app, pilot)
        await pilot.press("end", "enter")
        await pilot.pause()
        assert app.went == []
        assert str(runs / "broken" / "recipe.toml") in screen_text(app).splitlines()[-2]


async def test_a_recent_dataset_is_opened(runs: Path) -> None:
    remember_dataset(RecentDataset("/data/dolly.json", "dolly", 7, NOW))
    app = app_on(runs)
    async with app.run_test() as pilot:
        await settled(app, pilot)
        await pilot.press("end", "enter")
        await pilot.pause()
        assert app.went == [("dataset", Path("/data/dolly.json"), None, ())]


async def test_new_runs_and_progress_appear_while_one_looks(tmp_path: Path) -> None:
    directory = tmp_path / "runs"
    working = make_run(directory, "working")
    log = half_done(working)
    alive(working)
    app = app_on(directory)
    async with app.run_test(size=(120, 30)) as pilot:
        assert "tune sft 50 %" in await settled(app, pilot)
        make_run(directory, "second")
        log.append("stage_progress", time=NOW + 70, stage="tune", model="sft", done=45)
        await until(pilot, lambda: "second" in screen_text(app) and "tune sft 75 %" in screen_text(app))
        lines = app.screen.query_one(LineList)
        assert "▸ ▶ working" in screen_text(app), "the cursor stays on its run"
        shutil.rmtree(directory)
        await until(pilot, lambda: "There are no runs" in screen_text(app))
        assert lines.count == 0


def test_a_run_that_is_deleted_while_it_is_looked_at_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        make_run(tmp_path, name)
    poll = Watch.poll

    def deleted(watch: Watch) -> bool:
        if watch.run.name == "b":
            shutil.rmtree(watch.run.path)
        return poll(watch)

    monkeypatch.setattr(Watch, "poll", deleted)
    assert {"a", "c"} <= {entry.run.name for entry in Scanner(tmp_path).scan(lambda: False)}


async def test_a_path_that_is_typed_is_opened(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("{}\n")
    app = app_on(runs)
    async with app.run_test() as pilot:
        await settled(app, pilot)
        for path in (runs / "done", tmp_path / "data.jsonl"):
            await pilot.press("o")
            app.screen.query_one(Input).value = str(path)
            await pilot.press("enter")
        await pilot.pause()
        assert app.went == [("run", runs / "done"), ("dataset", tmp_path / "data.jsonl", None, ())]
        await pilot.press("o", "x", "y", "enter")
        await pilot.pause()
        assert "xy: there is no such file or folder" in screen_text(app)
        await pilot.press("o", "z", "escape")
        await pilot.pause()
        assert len(app.went) == 2
        assert isinstance(app.focused, LineList)


async def test_a_recipe_makes_a_run_starts_it_and_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []
    monkeypatch.setattr(jobs, "start", lambda run: started.append(run.path) or 7)
    (tmp_path / "data.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    (tmp_path / "audit.toml").write_text(RECIPE)
    app = app_on(tmp_path / "runs")
    async with app.run_test() as pilot:
        await settled(app, pilot)
        await pilot.press("r")
        app.screen.query_one(Input).value = str(tmp_path / "audit.toml")
        await pilot.press("enter")
        await pilot.pause()
        assert started == [tmp_path / "runs" / "audit"]
        assert app.went == [("live", tmp_path / "runs" / "audit")]
        assert Run(started[0]).recipe.data.path == str(tmp_path / "data.jsonl")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [(None, "can't read the recipe"), ("[data\n", "not a TOML file"), ("x = 1\n" + RECIPE, "x: no such key")],
)
async def test_a_recipe_that_is_wrong_is_one_line_in_place(tmp_path: Path, recipe: str | None, said: str) -> None:
    path = tmp_path / "r.toml"
    if recipe is not None:
        path.write_text(recipe)
    app = app_on(tmp_path / "runs")
    async with app.run_test(size=(400, 50)) as pilot:
        await settled(app, pilot)
        await pilot.press("r")
        app.screen.query_one(Input).value = str(path)
        await pilot.press("enter")
        await pilot.pause()
        assert said in screen_text(app)
        assert app.went == [] and not (tmp_path / "runs").exists()


async def test_cancel_asks_once_and_moving_on_takes_the_question_back(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(jobs.os, "kill", lambda pid, number: sent.append((pid, number)))
    app = app_on(runs)
    async with app.run_test() as pilot:
        await settled(app, pilot)
        await pilot.press("c", "j", "k", "c")
        await pilot.pause()
        assert sent == [] and "Cancel working?" in screen_text(app)
        await pilot.press("c")
        await pilot.pause()
        assert sent == [(os.getpid(), signal.SIGTERM)] and "Cancelling working" in screen_text(app)
        await pilot.press("j", "j", "c")
        await pilot.pause()
        assert "done: nothing to cancel" in screen_text(app)


async def test_resume_starts_a_worker_where_there_is_something_to_resume(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(jobs, "start", lambda run: started.append(run.path) or 7)
    app = app_on(runs)
    async with app.run_test() as pilot:
        await settled(app, pilot)
        await pilot.press("R")
        await pilot.pause()
        assert started == [] and "nothing to resume" in screen_text(app)
        await pilot.press("j", "j", "j", "R")
        await pilot.pause()
        assert started == [runs / "crashed"]


async def test_hostile_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs")
    hostile = HOSTILE.replace("/", "|").replace("\x00", "")
    run.path.rename(run.path.parent / hostile)
    remember_dataset(RecentDataset(f"/data/{hostile}", hostile, 1, NOW))
    app = app_on(run.path.parent)
    async with app.run_test(size=(160, 50)) as pilot:
        shown = await settled(app, pilot)
        assert "␛[2J␛]0;owned␇" in shown
        assert not {"\x1b", "\x07", "\u202e", "\u200b"} & set(shown)


async def test_it_survives_any_size(runs: Path) -> None:
    remember_dataset(RecentDataset("/data/dolly.json", "dolly", 7, NOW))
    app = app_on(runs)
    async with app.run_test(size=(160, 50)) as pilot:
        await settled(app, pilot)
        for width, height in ((20, 8), (40, 24), (8, 3), (1, 1), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.press("j", "k", "o", "escape")
            await pilot.pause()
        assert "working" in screen_text(app)


async def test_paths_are_completed_by_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dolly.json").touch()
    complete = PathSuggester().get_suggestion
    assert await complete(f"{tmp_path}/da") == f"{tmp_path}/data/"
    assert await complete(f"{tmp_path}/data/do") == f"{tmp_path}/data/dolly.json"
    assert await complete(f"{tmp_path}/nothing/x") is None
    assert await complete("") is None


def test_recent_datasets_are_kept_newest_first_once_each() -> None:
    for number in range(KEPT + 3):
        remember_dataset(RecentDataset(f"/data/{number}", "alpaca", number, NOW + number))
    remember_dataset(RecentDataset("/data/5", "alpaca", 5, NOW + 99))
    kept = recent_datasets()
    assert len(kept) == KEPT
    assert [each.path for each in kept][:3] == ["/data/5", f"/data/{KEPT + 2}", f"/data/{KEPT + 1}"]


def test_a_broken_list_of_recent_datasets_is_an_empty_one() -> None:
    remember_dataset(RecentDataset("/data/5", "alpaca", 5, NOW))
    file = Path(os.environ["ITAUDIT_STATE_DIR"]) / "recent-datasets.json"
    for content in (b"[{}]", b"{", b"3", b'[{"path": 1, "what": 2}]'):
        file.write_bytes(content)
        assert recent_datasets() == []
