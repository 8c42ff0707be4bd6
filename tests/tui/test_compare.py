"""Two runs side by side under a pilot."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from itaudit.runs.marks import Mark
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.comparing import Comparing
from itaudit.tui.screens.compare import CompareScreen, Pane, PartnersScreen
from tests.tui import make_run, mended
from tests.tui.harness import screen_text, until

OLD = make_run.SFT_ANSWERS


@pytest.fixture
def parent(tmp_path: Path) -> Run:
    return mended.make_parent(tmp_path)


def mark(run: Run, prompt_id: str, text: str, label: str = "hallucinated") -> None:
    start = OLD[prompt_id].index(text)
    run.mark(Mark("sft", prompt_id, start, start + len(text), text, label))


@asynccontextmanager
async def beside(
    run: Run, size: tuple[int, int] = (120, 40), *, prompt_id: str | None = None
) -> AsyncIterator[tuple[Pilot[None], Comparing]]:
    """The screen that C opens on a run's responses."""
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test(size=size) as pilot:
        stepping = app.screen.stepping  # type: ignore[attr-defined]  # the stepper
        stepping.prompt_id = prompt_id or stepping.prompt_id
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await until(pilot, lambda: screen.changes is not None or bool(screen._problem))
        await pilot.pause()
        yield pilot, screen.comparing


def shown(pilot: Pilot[None]) -> str:
    return " ".join(screen_text(pilot.app).split())


def pane(pilot: Pilot[None], name: str) -> str:
    """All of a panel's text, in sight or not."""
    return pilot.app.screen.query_one(f"#{name}", Pane)._content.plain


def messages(pilot: Pilot[None]) -> list[str]:
    return [notification.message for notification in pilot.app._notifications]


@pytest.mark.parametrize("which", ["parent", "child"])
async def test_c_shows_both_runs_from_either(parent: Run, which: str) -> None:
    child = mended.make_child(parent)
    async with beside(parent if which == "parent" else child, prompt_id="zamboni") as (pilot, comparing):
        assert (comparing.old.name, comparing.new.name) == ("dolly-12", "dolly-12-mended")
        assert comparing.prompt_id == "zamboni"
        text = shown(pilot)
        assert "dolly-12 ▸ dolly-12-mended sft 3 of 7 answers changed" in text
        assert "“Luigi” (re-tuned from here): gone" in text
        assert "edits 2, of the span's sources 2" in text
        part = pane(pilot, "parting")
        assert "They part at position 9" in part and "dolly-12-mended" in part
        # What the one says is told by what is known of it in the other.
        assert "“␣and” of dolly-12:" in part and "“␣Frank” of dolly-12-mended:" in part
        assert "deleted: not tuned on any more" in pane(pilot, "edits")
        assert "#0 · source 1 of the span" in pane(pilot, "edits")


async def test_n_walks_the_marks_of_all_prompts_and_tells_what_became_of_them(parent: Run) -> None:
    mark(parent, "zamboni", "Italian engineer")
    mark(parent, "zamboni", "Luigi Zamboni")
    mark(parent, "coa", "hormone")
    mark(parent, "bulb", "eight minutes")
    mark(parent, "bulb", "Loosen the bulb", "style")
    child = mended.make_child(parent)
    async with beside(child, prompt_id="zamboni") as (pilot, comparing):
        assert "marks 4: gone 1, changed 1, still said 2" in shown(pilot)
        seen = []
        await pilot.press("N", "N", "N", "N")
        for _ in range(4):
            fate = comparing.fate
            assert comparing.spot is not None and fate is not None
            seen.append((comparing.prompt_id, comparing.spot.text, fate.fate))
            await pilot.press("n")
        assert sorted(seen) == [
            ("bulb", "eight minutes", "gone"),
            ("coa", "hormone", "still said"),
            ("zamboni", "Italian engineer", "still said"),
            ("zamboni", "Luigi Zamboni", "changed"),
        ]
        # Prompts whose answers changed come first, and n follows them.
        assert seen[-1][0] == "coa"
        await pilot.press("n")
        assert any("no flagged span after this one" in message for message in messages(pilot))


async def test_j_and_k_go_through_the_changed_answers_first(parent: Run) -> None:
    child = mended.make_child(parent)
    async with beside(child) as (pilot, comparing):
        await pilot.press(*"kkkkkkk")
        seen = []
        for _ in range(7):
            seen.append(comparing.prompt_id)
            await pilot.press("j")
        assert set(seen[:3]) == {"zamboni", "bulb", "hostile"} and len(set(seen)) == 7
        assert comparing.prompt_id == seen[-1] and "unchanged" in shown(pilot)
        assert "Token for token the same." in shown(pilot)


async def test_answers_are_shown_as_they_arrive(parent: Run) -> None:
    mark(parent, "coa", "hormone")
    child = mended.make_child(parent, answered=False)
    async with beside(parent, prompt_id="zamboni") as (pilot, comparing):
        text = shown(pilot)
        assert "(not answered yet)" in text and "0 of 7 answers changed, 7 to come" in text
        assert "to come 2" in text and "Luigi✗" not in text and "Luigi" in text
        mended.finish(child, parent.path.parent.parent)
        await until(pilot, lambda: "3 of 7 answers changed" in shown(pilot))
        assert "gone 1, changed 0, still said 1" in shown(pilot)
        assert comparing.prompt_id == "zamboni"


async def test_f_changes_between_marks_and_all_flags(parent: Run) -> None:
    mark(parent, "coa", "hormone")
    start = OLD["bulb"].index("eight")
    parent.detections("signal", "sft").append(
        [
            {
                "order": 1,
                "prompt_id": "bulb",
                "candidates": [{"start": start, "end": start + 5, "text": "eight", "score": 0.9, "reason": "rank 11"}],
                "problem": "",
                "seconds": 0.1,
            }
        ]
    )
    child = mended.make_child(parent)
    async with beside(child) as (pilot, comparing):
        assert len(comparing.spots) == 2
        await pilot.press("f")
        assert len(comparing.spots) == 3
        assert "“eight” (signal)" in {f"“{s.text}” ({s.label})" for s in comparing.spots}
        await pilot.press("f")
        assert len(comparing.spots) == 2


async def test_keys_open_either_run_and_the_job(parent: Run) -> None:
    child = mended.make_child(parent)
    async with beside(child) as (pilot, _):
        screen = pilot.app.screen
        for key, run in (("enter", child), ("o", parent)):
            await pilot.press(key)
            await until(pilot, lambda: pilot.app.screen is not screen)
            assert pilot.app.screen.stepping.run.path == run.path  # type: ignore[attr-defined]  # the stepper
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("L")
        await until(pilot, lambda: pilot.app.screen is not screen)


async def test_a_run_alone_says_so(parent: Run) -> None:
    app = ItauditApp(parent.path, parent.path.parent)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = app.screen
        await pilot.press("C")
        await pilot.pause()
        assert app.screen is screen and any("dolly-12 stands alone" in message for message in messages(pilot))


async def test_a_parent_that_is_gone_is_one_line(parent: Run) -> None:
    child = mended.make_child(parent)
    shutil.rmtree(parent.path)
    app = ItauditApp(child.path, child.path.parent)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("C")
        await pilot.pause()
        assert any("is gone" in message for message in messages(pilot))


async def test_several_re_tunes_are_asked_about(parent: Run) -> None:
    mended.make_child(parent)
    second = mended.make_child(parent)
    app = ItauditApp(parent.path, parent.path.parent)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, PartnersScreen))
        text = screen_text(app)
        assert "dolly-12-mended-2" in text and "made from it, 2 edited" in text
        names = [new.name for _, new in app.screen.pairs]  # type: ignore[attr-defined]  # PartnersScreen
        await pilot.press(*["j"] * names.index(second.name), "enter")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert app.screen.comparing.new.path == second.path  # type: ignore[attr-defined]  # CompareScreen


async def test_c_compares_from_the_list_of_runs(parent: Run) -> None:
    mended.make_child(parent)
    app = ItauditApp(None, parent.path.parent)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "dolly-12-mended" in screen_text(app))
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))


@pytest.mark.parametrize("size", [(40, 24), (40, 12), (20, 6), (80, 24), (160, 50), (66, 18)])
async def test_hostile_text_in_any_terminal(parent: Run, size: tuple[int, int]) -> None:
    mark(parent, "hostile", "[INST] \u202eevil")
    child = mended.make_child(parent)
    async with beside(child, size, prompt_id="hostile") as (pilot, comparing):
        assert comparing.prompt_id == "hostile"
        for key in ("tab", "tab", "tab", "J", "K", "n", "N", "j", "k", "tab", "J", "shift+tab"):
            await pilot.press(key)
            await pilot.pause()
            text = screen_text(pilot.app)
            assert not any(character in text for character in "\x1b\x00\u202e\u200b\x07")


async def test_every_panel_can_be_seen_where_one_fills_the_screen(parent: Run) -> None:
    child = mended.make_child(parent)
    async with beside(child, (50, 14), prompt_id="zamboni") as (pilot, _):
        seen = []
        for _ in range(4):
            await pilot.press("tab")
            await pilot.pause()
            seen.append(shown(pilot))
        words = ("dolly-12 · KL", "dolly-12-mended · KL", "They part at", "#0 · source 1")
        assert sorted(sum(word in text for word in words) for text in seen) == [1, 1, 1, 1], seen
        assert all(any(word in text for text in seen) for word in words), seen


async def test_edits_that_can_t_be_read_any_more_hide_nothing_else(parent: Run) -> None:
    child = mended.make_child(parent)
    mended.source(parent).unlink()
    async with beside(child, prompt_id="zamboni") as (pilot, _):
        assert "instances.jsonl" in shown(pilot) and "“Luigi” (re-tuned from here): gone" in shown(pilot)


async def test_without_colours_what_changed_is_bracketed(parent: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    child = mended.make_child(parent)
    async with beside(child, (160, 50), prompt_id="zamboni") as (pilot, _):
        text = shown(pilot)
        assert "{+Frank" in text and "[-" in text
