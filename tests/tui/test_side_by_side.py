"""Models side by side under a pilot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from itaudit.runs.cells import cells_of
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.beside import PARTING_MARK, Beside, cells_near, first_cells, told_apart
from itaudit.tui.screens.side_by_side import SideBySideScreen
from itaudit.tui.screens.stepper import StepperScreen
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.response_view import ResponseView
from tests.tui import make_experiment
from tests.tui.harness import Harness, screen_text, until

SIZES = [(80, 24), (160, 50)]


@asynccontextmanager
async def beside(run: Run, size: tuple[int, int] = (120, 40)) -> AsyncIterator[tuple[Pilot[None], SideBySideScreen]]:
    """What `b` opens on a run's responses."""
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test(size=size) as pilot:
        app.screen.stepping.prompt_id = "zamboni"  # type: ignore[attr-defined]  # the stepper
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, SideBySideScreen))
        await pilot.pause()
        assert isinstance(app.screen, SideBySideScreen)
        yield pilot, app.screen


def shown(pilot: Pilot[Any]) -> str:
    return " ".join(screen_text(pilot.app).split())


def columns(pilot: Pilot[Any]) -> list[str]:
    """The headings of the models in sight."""
    return [str(view.border_title) for view in pilot.app.screen.query(ResponseView) if view.display]


async def test_all_models_step_together_and_d_goes_to_where_they_part(run: Run) -> None:
    async with beside(run) as (pilot, screen):
        assert len(columns(pilot)) == 3 and screen.beside.prompt_id == "zamboni"
        text = shown(pilot)
        assert "part at token 6: base = lft · sft" in text and f"{PARTING_MARK} 6" in text
        await pilot.press("g", "l", "l")
        assert "token 3 of" in shown(pilot)
        assert [line.split()[1:4] for line in position_lines(pilot)] == [["␣was", "unshifted", "0"]] * 3
        await pilot.press("d")
        assert [line.split()[1] for line in position_lines(pilot)] == ["␣Frank", "␣Frank", "␣the"]
        await pilot.press("d")
        assert [line.split()[1] for line in position_lines(pilot)][:2] == [".", ","]
        await pilot.press("d")
        assert screen.beside.position == 5


def position_lines(pilot: Pilot[Any]) -> list[str]:
    """What each model says at the position."""
    content = pilot.app.screen.query_one("#position").visual  # type: ignore[attr-defined]
    lines = str(content).replace("▸", " ").splitlines()
    return [line.strip() for line in lines if line.strip().split(" ")[0] in ("base", "lft", "sft")][:3]


async def test_n_stops_where_any_model_was_tuned_to_say_its_token(run: Run) -> None:
    async with beside(run) as (pilot, screen):
        stops = set()
        await pilot.press("g")
        for _ in range(60):
            before = screen.beside.position
            await pilot.press("n")
            if screen.beside.position == before:
                break
            stops.add(screen.beside.position)
        scores = [run.token_scores(label, "zamboni") for label in run.labels]
        wanted = {n for one in scores if one for n, rank in enumerate(one.rank_base) if rank and n}
        assert stops == wanted and len(stops) > 3


async def test_below_100_columns_one_model_is_shown_and_keys_lead_to_the_others(run: Run) -> None:
    async with beside(run, (80, 24)) as (pilot, _):
        assert len(columns(pilot)) == 1 and "3 sft" in columns(pilot)[0]
        await pilot.press("1")
        await pilot.pause()
        assert len(columns(pilot)) == 1 and "1 base" in columns(pilot)[0]
        # All of them are compared all the same.
        assert len(position_lines(pilot)) == 3


async def test_rank_and_kl_have_room_in_40_columns(run: Run) -> None:
    async with beside(run, (40, 20)) as (pilot, screen):
        await pilot.press("g", "d", "2")
        await pilot.pause()
        told = str(pilot.app.screen.query_one("#position").visual).splitlines()  # type: ignore[attr-defined]
        letters = {"unshifted": "·", "marginal": "M", "shifted": "S"}
        for number, label in enumerate(run.labels):
            scores, answer = run.token_scores(label, "zamboni"), screen.beside.answers[number]
            position = screen.beside.position
            assert scores is not None
            kl = [] if scores.kl is None else [f"{scores.kl[position]:.3f}"]
            figures = [letters[answer.positions[position].shift or "unshifted"], str(scores.rank_base[position]), *kl]
            assert told[2 + number].replace("▸", " ").split()[-len(figures) :] == figures
        assert all(len(line) <= 38 for line in told) and "▸2 lft" in told[3]
        # What there is no room for beside all models is told of the one that is looked at.
        assert told[5].startswith("likeliest  ␣Frank") and told[6].startswith("base says  ")


async def test_where_there_are_few_rows_one_line_tells_of_the_token(run: Run) -> None:
    async with beside(run, (60, 12)) as (pilot, screen):
        await pilot.press("g", "d")
        await pilot.pause()
        scores = run.token_scores("sft", "zamboni")
        assert scores is not None and scores.kl is not None
        at = screen.beside.position
        assert f"{at + 1}/{screen.beside.longest} ␣the" in shown(pilot)
        assert f"rank {scores.rank_base[at]} KL {scores.kl[at]:.3f}" in shown(pilot)


async def test_pages_show_positions_figures_and_recipes(run: Run) -> None:
    async with beside(run) as (pilot, screen):
        await pilot.press("tab")
        plots = screen.query_one("#plots")
        await until(pilot, lambda: bool(plots.counted))  # type: ignore[attr-defined]
        await pilot.pause()
        assert "KL (nats) by position" in shown(pilot) and "share unshifted" in shown(pilot)
        # The foot tells what the keys do here.
        assert "h/l figure" in shown(pilot) and "j/k" not in shown(pilot)
        await pilot.press("tab")
        await until(pilot, lambda: "KL against lft" in shown(pilot), 60)
        sft = run.summary("sft").kl_mean
        assert f"{sft:.3f}" in shown(pilot) and " to " in shown(pilot)
        await pilot.press("tab")
        await until(pilot, lambda: "model.method – lft sft" in shown(pilot))
        assert "learning_rate" not in shown(pilot)
        await pilot.press("tab")
        assert screen.page == "answers"


async def test_a_takes_other_models_and_leaves_some(built_run: Run, tmp_path: Path) -> None:
    experiment = make_experiment.plan(tmp_path)
    first = make_experiment.done(experiment, "n40", built_run)
    make_experiment.done(experiment, "n320", built_run)
    async with beside(first) as (pilot, screen):
        await pilot.press("a")
        await pilot.pause()
        lines = pilot.app.screen.query_one(LineList)
        # Leaves the base model and takes both tuned ones of the other size.
        await pilot.press("space", *["j"] * 4, "space", "j", "space", "enter")
        await pilot.pause()
        assert lines.count == 6
        assert screen.beside.names == ("lft 40", "sft 40", "lft 320", "sft 320")
        assert len(columns(pilot)) == 4 and "ladder 2 runs" in shown(pilot)


async def test_enter_opens_the_model_at_this_prompt(run: Run) -> None:
    async with beside(run) as (pilot, screen):
        await pilot.press("j", "2", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, StepperScreen))
        stepper = pilot.app.screen
        assert isinstance(stepper, StepperScreen)
        assert (stepper.stepping.label, stepper.stepping.prompt_id) == ("lft", screen.beside.prompt_id)
        assert screen.beside.prompt_id != "zamboni"


async def test_x_exports_what_stands_side_by_side(run: Run) -> None:
    async with beside(run) as (pilot, _):
        await pilot.press("x")
        await until(pilot, lambda: bool(list(run.path.glob("exports/*.side-by-side.md"))))
        text = next(run.path.glob("exports/*.side-by-side.md")).read_text(encoding="utf-8")
        assert "part at token 6: base = lft · sft" in text
        assert all(f"## {label} " in text for label in run.labels) and "Luigi Zamboni" in text


async def test_hostile_answers_stay_text(run: Run) -> None:
    async with beside(run) as (pilot, screen):
        screen.beside.prompt_id = "hostile"
        screen.beside._forget("answers", "partings")
        screen.draw()
        await pilot.press("l", "l")
        text = screen_text(pilot.app)
        assert "\x1b" not in text and "\u202e" not in text and "[/bold]" in text


async def test_answers_are_shown_as_they_arrive(run: Run) -> None:
    tables = [run.path / kind / "sft.arrow" for kind in ("responses", "scores")]
    for table in tables:
        table.rename(table.with_suffix(".later"))
    async with beside(run) as (pilot, screen):
        assert "not answered yet" in shown(pilot)
        for table in tables:
            table.with_suffix(".later").rename(table)
        await until(pilot, lambda: "not answered yet" not in shown(pilot))
        assert screen.beside.prompt_id == "zamboni"


@pytest.mark.parametrize("order", ["KL", "first to part"])
async def test_prompts_are_ordered_by_what_is_asked_for(run: Run, order: str) -> None:
    side = Beside(cells_of(run))
    while side.order != order:
        side.next_order()
    ids = [prompt.id for prompt in side.prompts]
    if order == "KL":
        shifts = run.prompt_shifts("sft")
        assert ids == sorted(ids, key=lambda one: -(shifts[one].kl_mean or 0))
    else:
        firsts = [side.compared.partings(one).first for one in ids]
        known = [one for one in firsts if one is not None]
        assert known == sorted(known) and None not in firsts[: len(known)] and known


def test_models_of_the_runs_nearby_may_stand_beside(run: Run, built_run: Run, tmp_path: Path) -> None:
    assert [(cell.run.name, cell.label) for cell in cells_near(run)] == [(run.name, label) for label in run.labels]
    experiment = make_experiment.plan(tmp_path / "other")
    member = make_experiment.done(experiment, "n40", built_run)
    make_experiment.done(experiment, "n80", built_run)
    assert {(cell.size, cell.label) for cell in cells_near(member)} == {
        (size, label) for size in (40, 80) for label in ("base", "lft", "sft")
    }


def test_two_runs_of_one_recipe_are_not_pooled_in_figures(run: Run, built_run: Run) -> None:
    cells = [*first_cells(run)[1:2], *first_cells(built_run)[1:2]]
    assert [cell.variant for cell in told_apart(cells)] == [run.name, built_run.name]


@pytest.mark.parametrize("size", [*SIZES, (40, 20)], ids=str)
def test_models_side_by_side(built_run: Run, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await pilot.press("d")
        await pilot.pause()

    app = Harness(lambda: SideBySideScreen(Beside(cells_of(built_run), "zamboni")))
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shift_by_position(built_run: Run, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await pilot.press("tab")
        plots = pilot.app.screen.query_one("#plots")
        await until(pilot, lambda: bool(plots.counted))  # type: ignore[attr-defined]
        await pilot.pause()

    app = Harness(lambda: SideBySideScreen(Beside(cells_of(built_run), "zamboni")))
    assert snap_compare(app, terminal_size=size, run_before=before)


def test_side_by_side_without_colours(built_run: Run, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def before(pilot: Pilot[Any]) -> None:
        await pilot.press("d")
        await pilot.pause()

    app = Harness(lambda: SideBySideScreen(Beside(cells_of(built_run), "zamboni")))
    assert snap_compare(app, terminal_size=(120, 30), run_before=before)
