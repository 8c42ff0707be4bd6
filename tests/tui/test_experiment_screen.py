"""The screen of an experiment: matrix, progress, tables, and every key."""

import shutil
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.content import Content
from textual.pilot import Pilot

from itaudit.analysis.table import Table
from itaudit.analysis.table import shown as table_figure
from itaudit.errors import UserError
from itaudit.experiments import jobs
from itaudit.experiments.experiment import Experiment
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.experiment_text import METRICS
from itaudit.tui.matrix import matrix_of
from itaudit.tui.screens.experiment import ExperimentScreen
from itaudit.tui.screens.home import HomeScreen
from itaudit.tui.screens.side_by_side import SideBySideScreen
from itaudit.tui.screens.stepper import StepperScreen
from itaudit.tui.stepping import Stepping
from itaudit.tui.table_text import table_lines
from itaudit.tui.widgets.curves import CurvesPlot
from itaudit.tui.widgets.tables_text import TablesText
from tests.tui import make_experiment
from tests.tui.harness import HOSTILE, NOW, Clock, Harness, screen_text, until

SIZES = [(80, 24), (160, 50)]


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that is left is told as of one moment."""
    monkeypatch.setattr("itaudit.experiments.progress.time", SimpleNamespace(time=Clock(NOW + 90)))


@pytest.fixture
def ladder(tmp_path: Path, built_run: Run) -> Experiment:
    return make_experiment.ladder(tmp_path, built_run)


def app_on(experiment: Experiment) -> Harness:
    return Harness(lambda: ExperimentScreen(experiment, clock=Clock(NOW + 90)))


def shown(pilot: Pilot[Any]) -> str:
    return " ".join(screen_text(pilot.app).split())


def screen_of(pilot: Pilot[Any]) -> ExperimentScreen:
    assert isinstance(pilot.app.screen, ExperimentScreen)
    return pilot.app.screen


async def counted(pilot: Pilot[Any]) -> None:
    """Waits for the tables."""
    screen = screen_of(pilot)
    await until(pilot, lambda: bool(screen._told.tables) and not screen._told.busy, 60)
    await pilot.pause()


async def laid_out(pilot: Pilot[Any]) -> None:
    """Waits for the tables of the page to be laid out."""
    await until(pilot, lambda: not screen_of(pilot).query_one(TablesText).busy)
    await pilot.pause()


async def test_each_cell_has_its_state_and_its_figure(ladder: Experiment, built_run: Run) -> None:
    kl = {label: f"{built_run.summary(label).kl_mean:.3f}" for label in ("lft", "sft")}
    async with app_on(ladder).run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        lines = screen_text(pilot.app).splitlines()
        row = {label: next(one for one in lines if f" {label}  " in one and "✓" in one).split() for label in kl}
        for label in ("lft", "sft"):
            words = row[label]
            assert words.count("✓") == 2 and words.count(kl[label]) == 2
        # 80 is being tuned; 160 failed when its LFT was tuned and its SFT was not.
        assert "▶" in row["sft"] and "tune" in row["sft"] and "50" in row["sft"] and "✗" in row["sft"]
        assert "cells 4/8" in shown(pilot) and "1 failed" in shown(pilot) and "running" in shown(pilot)


async def test_the_cell_under_the_cursor_tells_its_figures_with_intervals(ladder: Experiment) -> None:
    async with app_on(ladder).run_test(size=(100, 40)) as pilot:
        await counted(pilot)
        await pilot.press("j")
        await pilot.pause()
        row = next(
            row for row in screen_of(pilot)._told.tables["methods"].rows if (row["size"], row["model"]) == (40, "sft")
        )
        told = row["kl"]
        assert f"KL (nats) {told.value:.3f} ({told.low:.3f} to {told.high:.3f})" in shown(pilot)  # type: ignore[union-attr]
        assert "further from the base" in shown(pilot)
        await pilot.press("l", "l")
        await pilot.pause()
        assert "out of memory; set models.sft.micro_batch_size = 1" in shown(pilot)


async def test_no_figure_of_a_cell_is_cut_off_at_40_columns(ladder: Experiment) -> None:
    async with app_on(ladder).run_test(size=(40, 30)) as pilot:
        await counted(pilot)
        await pilot.press("j")
        await pilot.pause()
        methods = screen_of(pilot)._told.tables["methods"]
        row = next(row for row in methods.rows if (row["size"], row["model"]) == (40, "sft"))
        for key in ("kl", "unshifted"):
            column = next(column for column in methods.columns if column.key == key)
            assert table_figure(row[key], column) in shown(pilot)
        assert "…" not in screen_text(pilot.app).split(" · sft · ")[1]
        heads = next(line for line in screen_text(pilot.app).splitlines() if line.strip().startswith("instances"))
        assert "40" in heads and "80" in heads, "two columns have room"


async def test_m_shows_other_figures(ladder: Experiment, built_run: Run) -> None:
    async with app_on(ladder).run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("m")
        await pilot.pause()
        assert f"{100 * built_run.summary('sft').shifted:.1f} %" in shown(pilot) and "share shifted" in shown(pilot)
        for _ in METRICS[1:]:
            await pilot.press("m")
        await pilot.pause()
        assert "mean KL (nats) in cells" in shown(pilot)


async def test_enter_opens_the_cell_and_escape_leads_back(ladder: Experiment) -> None:
    app = ItauditApp(ladder.path, ladder.path.parent)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("j", "l", "l", "l", "enter")
        await until(pilot, lambda: isinstance(app.screen, StepperScreen))
        assert isinstance(app.screen, StepperScreen)
        assert (app.screen.stepping.run.name, app.screen.stepping.label) == ("n320", "sft")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ExperimentScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomeScreen))


async def test_a_cell_opens_at_the_prompt_that_is_worst_for_its_own_model(ladder: Experiment) -> None:
    app = ItauditApp(ladder.path, ladder.path.parent)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, StepperScreen))
        assert isinstance(app.screen, StepperScreen)
        stepping = app.screen.stepping
        last = Stepping(stepping.run)
        assert stepping.label == "lft" and last.prompt_id != stepping.rows[0].prompt.id, "the orders differ"
        assert stepping.place == 0


async def test_a_cell_that_is_not_begun_says_so(ladder: Experiment) -> None:
    shutil.rmtree(ladder.runs_path / "n40")
    async with app_on(ladder).run_test(size=(100, 30)) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert "not begun yet" in shown(pilot) and pilot.app.went == []  # type: ignore[attr-defined]
        await pilot.press("b")
        await pilot.pause()
        assert "nothing to show side by side" in shown(pilot)


async def test_space_takes_cells_and_b_shows_them_side_by_side(ladder: Experiment) -> None:
    async with app_on(ladder).run_test(size=(160, 40)) as pilot:
        await pilot.press("j", "space", "l", "l", "l", "space", "b")
        await until(pilot, lambda: isinstance(pilot.app.screen, SideBySideScreen))
        screen = pilot.app.screen
        assert isinstance(screen, SideBySideScreen) and screen.beside.names == ("sft 40", "sft 320")
        await pilot.press("tab", "tab", "tab")
        await pilot.pause()
        assert "data.limit" not in shown(pilot)


async def test_b_without_taken_cells_shows_the_run_with_its_base_model(ladder: Experiment) -> None:
    async with app_on(ladder).run_test(size=(160, 40)) as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, SideBySideScreen))
        screen = pilot.app.screen
        assert isinstance(screen, SideBySideScreen) and screen.beside.names == ("base", "lft", "sft")


async def test_pages_show_methods_and_the_ladder_beside_published_figures(ladder: Experiment) -> None:
    async with app_on(ladder).run_test(size=(160, 50)) as pilot:
        await counted(pilot)
        await pilot.press("tab")
        await until(pilot, lambda: "Each model against lft" in shown(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: "lft, published" in shown(pilot))
        curves = {curve.name: curve for curve in screen_of(pilot).query_one(CurvesPlot).curves}
        assert list(curves) == ["lft", "sft", "lft, published", "sft, published"]
        assert len(curves["sft"].xs) == 2 and all(
            low is not None and high is not None and low <= kl <= high
            for low, kl, high in zip(curves["sft"].lows, curves["sft"].ys, curves["sft"].highs, strict=True)
        )
        assert curves["sft, published"].ys == (0.53, 0.62, 0.78, 0.76)
        assert "52,000" in shown(pilot)
        # Whatever else was evaluated has pages of its own.
        for _ in range(8):
            if screen_of(pilot).page != "cells":
                await pilot.press("tab")
        await pilot.pause()
        assert "mean KL (nats) in cells" in shown(pilot)


async def test_tables_are_laid_out_once_however_often_the_screen_is_drawn(
    ladder: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counting(table: Table, width: int) -> list[Content]:
        made.append(table.name)
        return table_lines(table, width)

    monkeypatch.setattr("itaudit.tui.widgets.tables_text.table_lines", counting)
    async with app_on(ladder).run_test(size=(100, 40)) as pilot:
        await counted(pilot)
        await pilot.press("tab")
        await laid_out(pilot)
        assert "How far each model moved" in shown(pilot)
        before = len(made)
        for _ in range(3):
            screen_of(pilot).draw()
        await pilot.pause()
        assert before and len(made) == before
        await pilot.resize_terminal(60, 40)
        await until(pilot, lambda: len(made) > before)
        await laid_out(pilot)
        assert "How far each model moved" in shown(pilot)


async def test_keys_are_answered_while_long_tables_are_laid_out(
    ladder: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()

    def slowly(table: Table, width: int) -> list[Content]:
        waiting.wait(20)
        return table_lines(table, width)

    monkeypatch.setattr("itaudit.tui.widgets.tables_text.table_lines", slowly)
    async with app_on(ladder).run_test(size=(100, 40)) as pilot:
        await counted(pilot)
        await pilot.press("tab")
        await pilot.pause()
        assert "laying out 2 tables …" in shown(pilot)
        await pilot.press("shift+tab")
        await pilot.pause()
        assert "mean KL (nats) in cells" in shown(pilot)
        await pilot.press("tab")
        waiting.set()
        await laid_out(pilot)
        assert "How far each model moved" in shown(pilot) and "laying out" not in shown(pilot)


async def test_cells_that_are_done_meanwhile_appear_and_are_counted(ladder: Experiment, built_run: Run) -> None:
    async with app_on(ladder).run_test(size=(100, 30)) as pilot:
        await counted(pilot)
        shutil.rmtree(ladder.runs_path / "n80")
        make_experiment.done(ladder, "n80", built_run)
        await until(pilot, lambda: "cells 6/8" in shown(pilot))
        screen = screen_of(pilot)
        await until(pilot, lambda: any(row.get("size") == 80 for row in screen._told.tables["methods"].rows), 60)


async def test_c_asks_before_it_cancels(ladder: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    # This process stands in for the worker, and had better not be ended.
    monkeypatch.setattr("itaudit.runs.jobs.os", SimpleNamespace(kill=lambda _pid, number: asked.append(number)))
    async with app_on(ladder).run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        await pilot.pause()
        assert "Cancel the experiment?" in shown(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert "Cancel the experiment?" not in shown(pilot) and asked == []
        await pilot.press("c", "c")
        await pilot.pause()
        assert asked == [signal.SIGTERM] and "cancelling" in shown(pilot)
        await pilot.press("R")
        await pilot.pause()
        assert "Nothing to resume" in shown(pilot)


async def test_R_starts_the_worker(ladder: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    make_experiment.worker(ladder, "cancelled")
    started = []

    def start(experiment: Experiment) -> int:
        if started:
            raise UserError(f"{experiment.path}: can't start: no space left on device")
        started.append(experiment.path)
        return 4711

    monkeypatch.setattr(jobs, "start", start)
    async with app_on(ladder).run_test(size=(100, 30)) as pilot:
        await pilot.press("c")
        await pilot.pause()
        assert "Nothing to cancel: the job is cancelled" in shown(pilot)
        await pilot.press("R")
        await pilot.pause()
        assert started == [ladder.path] and "Worker started (pid 4711)" in shown(pilot)
        await pilot.press("R")
        await pilot.pause()
        assert "no space left on device" in shown(pilot)


async def test_a_worker_that_died_is_told(ladder: Experiment) -> None:
    status = ladder.status()
    assert status is not None
    ladder.status_path.write_bytes(ladder.status_path.read_bytes().replace(str(status.pid_started).encode(), b"1.0"))
    async with app_on(ladder).run_test(size=(140, 30)) as pilot:
        await pilot.pause()
        assert "died without a word" in shown(pilot)


@pytest.mark.parametrize("size", [(80, 24), (40, 20)])
async def test_why_an_experiment_failed_stands_there_whole_and_hides_no_count(
    ladder: Experiment, size: tuple[int, int]
) -> None:
    status = ladder.status()
    assert status is not None
    ladder.status_path.write_bytes(ladder.status_path.read_bytes().replace(str(status.pid_started).encode(), b"1.0"))
    async with app_on(ladder).run_test(size=size) as pilot:
        await pilot.pause()
        text = shown(pilot)
        assert "✗ failed cells 4/8" in text
        assert "the worker died without a word; the log may say why, and resuming goes on where it stopped" in text


async def test_a_run_that_somebody_broke_hides_no_other(ladder: Experiment) -> None:
    (ladder.runs_path / "n320" / "recipe.toml").write_text("name = ")
    async with app_on(ladder).run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert shown(pilot).count("✗ unreadable") == 2 and "cells 4/8" in shown(pilot)
        assert any("recipe.toml: not a TOML file" in note.message for note in pilot.app._notifications)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_torn_table_is_told_by_its_file_and_the_others_are_counted(
    ladder: Experiment, size: tuple[int, int]
) -> None:
    torn = ladder.runs_path / "n320" / "scores" / "sft.arrow"
    torn.write_bytes(torn.read_bytes()[:4000])
    async with app_on(ladder).run_test(size=size) as pilot:
        await counted(pilot)
        methods = screen_of(pilot)._told.tables["methods"]
        assert [(row["size"], row["model"]) for row in methods.rows] == [(40, "lft"), (40, "sft"), (320, "lft")]
        assert shown(pilot).count("✗ unreadable") == 1
        # The cell tells why, and nothing of the model beside it.
        await pilot.press("j", "l", "l", "l")
        await pilot.pause()
        told = screen_text(pilot.app).replace("\n", "").replace(" ", "")
        assert "scores/sft.arrow:notanArrowtable" in told and "makesitanew" in told
        assert "fromthebase" not in told
        await pilot.press("tab")
        await pilot.pause()
        told = screen_text(pilot.app).replace("\n", "").replace(" ", "")
        assert "n320sftisleftout" in told and "scores/sft.arrow" in told
        assert "Howfareachmodelmoved" in told


def test_variants_and_seeds_are_rows_where_sizes_are_columns(tmp_path: Path) -> None:
    sizes = matrix_of(make_experiment.plan(tmp_path, "both", sizes=[160, 40], seeds=[0, 1]).spec)
    assert sizes.columns == ("40", "160")
    assert [row.name for row in sizes.rows] == ["lft seed 0", "lft seed 1", "sft seed 0", "sft seed 1"]
    first = sizes.rows[0].spots[0]
    assert first is not None and (first.planned.size, first.planned.seed, first.label) == (40, 0, "lft")
    models = matrix_of(make_experiment.plan(tmp_path, "models", sizes=[], seeds=[0, 1]).spec)
    assert models.columns == ("lft", "sft") and [row.name for row in models.rows] == ["seed 0", "seed 1"]


async def test_more_columns_than_fit_follow_the_cursor(tmp_path: Path) -> None:
    experiment = make_experiment.plan(tmp_path, sizes=list(range(100, 1300, 100)))
    async with app_on(experiment).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "1,200" not in shown(pilot) and "not started" in shown(pilot)
        await pilot.press(*["l"] * 11)
        await pilot.pause()
        assert "1,200" in shown(pilot) and "n1200" in shown(pilot)


async def test_home_lists_experiments_and_opens_them(ladder: Experiment) -> None:
    app = Harness(lambda: HomeScreen(ladder.path.parent, clock=Clock(NOW + 90)))
    async with app.run_test(size=(100, 24)) as pilot:
        await app.workers.wait_for_complete()
        await until(pilot, lambda: "cells 4/8" in shown(pilot))
        text = shown(pilot)
        assert "1 experiment" in text and "ladder" in text and "cells 4/8" in text and "1 failed" in text
        await pilot.press("enter")
        assert app.went == [("run", ladder.path)]
        await pilot.press("c")
        await pilot.pause()
        assert "Cancel ladder?" in shown(pilot)


async def test_a_broken_experiment_is_told_at_home(ladder: Experiment) -> None:
    ladder.spec_path.write_text(f'[experiment]\nsizes = "{HOSTILE.encode("unicode_escape").decode()}"')
    app = Harness(lambda: HomeScreen(ladder.path.parent, clock=Clock(NOW + 90)))
    async with app.run_test(size=(120, 24)) as pilot:
        await app.workers.wait_for_complete()
        await until(pilot, lambda: "experiment.toml" in shown(pilot))
        await pilot.press("enter")
        await pilot.pause()
        assert app.went == [] and "\x1b" not in screen_text(app)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_experiment_at_work(ladder: Experiment, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await counted(pilot)
        await pilot.press("j", "l")
        await pilot.pause()

    assert snap_compare(app_on(ladder), terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_ladder_of_sizes(ladder: Experiment, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await counted(pilot)
        await pilot.press("tab", "tab")
        await laid_out(pilot)
        await pilot.pause()

    assert snap_compare(app_on(ladder), terminal_size=size, run_before=before)
