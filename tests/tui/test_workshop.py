"""Mending from the dataset screen: delete, tags, notes, undo, simplify, and what another workbench does meanwhile."""

from pathlib import Path

import pytest
from textual.widgets import Input

from itaudit.tui.drafts import Draft, Drafts
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.simplify import SimplifyScreen
from tests.tui.harness import screen_text, until
from tests.tui.workshop import LONG, ROWS, app_on, entries, mended, pressed, ready, shown, written


async def test_an_instance_is_deleted_and_restored_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    before = path.read_bytes()
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "Deleted row 1; d restores it" in await pressed(pilot, "j", "d")
        assert mended(path).row(1).deleted and len(mended(path).dataset()) == len(ROWS) - 1
        assert "Restored row 1." in await pressed(pilot, "d")
    assert not mended(path).row(1).deleted
    assert [entry["after"] for entry in entries(path)] == [{"deleted": True}, {"deleted": False}]
    assert path.read_bytes() == before


async def test_tags_and_notes_are_kept_and_known_tags_are_completed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "Tags kept" in await pressed(pilot, "t", *"too long, hedge", "enter")
        await pressed(pilot, "j", "t", *"doubt, too l")
        await until(pilot, lambda: app.screen.query_one("#prompt").query_one(Input)._suggestion == "doubt, too long")
        await pressed(pilot, "right", "enter")
        assert "Note kept" in await pressed(pilot, "m", *"see q 3?", "enter")
        # What is asked again stands there to be changed.
        await pressed(pilot, "t")
        assert "doubt, too long" in screen_text(app)
        await pressed(pilot, "escape")
    edited = mended(path)
    assert edited.row(0).tags == ("too long", "hedge") and edited.row(1).tags == ("doubt", "too long")
    assert edited.row(1).note == "see q 3?" and len(entries(path)) == 3


async def test_a_note_of_several_lines_is_not_flattened_by_a_look_at_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    mended(path).edit(0, {"note": "one\ntwo\x1b"}, by="hand")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "m", "enter")
        assert len(entries(path)) == 1
        await pressed(pilot, "m", "end", "!", "enter")
    assert mended(path).row(0).note == "one\ntwo\x1b!"


async def test_undo_and_redo_reach_over_a_restart(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    for changes in ({"response": "First."}, {"response": "Second."}):
        mended(path).edit(0, changes, by="hand")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "u")
        assert "1 edit stands before it" in text and "First." in text
        text = await pressed(pilot, "u")
        assert "Engineer 0 did." in text
        assert "Nothing to undo" in await pressed(pilot, "u")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "First." in await pressed(pilot, "U")
    assert mended(path)[0].response == "First."


async def test_what_another_workbench_does_is_shown_within_seconds(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        mended(path).edit(0, {"response": "From elsewhere."}, by="hand")
        await shown(pilot, "From elsewhere.")
        # And nothing of it is lost by an edit made here.
        await pressed(pilot, "d")
    edited = mended(path)
    assert edited[0].response == "From elsewhere." and edited.row(0).deleted


async def test_edits_that_cannot_be_written_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        real = os.write

        def full(descriptor: int, data: bytes) -> int:
            if b'"op":"edit"' in bytes(data):
                raise OSError(28, "No space left on device")
            return real(descriptor, data)

        monkeypatch.setattr(os, "write", full)
        assert "No space left on device" in await pressed(pilot, "d")
    assert not mended(path).row(0).deleted


async def test_a_response_is_simplified_accepted_and_undone(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s")
        text = await shown(pilot, "nothing to confirm")
        assert "1 [extractive]" in text and "words " in text and "grade " in text
        assert "Accepted for row 1" in await pressed(pilot, "a")
        response = mended(path)[1].response
        assert response is not None and len(response) < len(LONG) and "1949" in response and "help" not in response
        assert response in " ".join(screen_text(app).split()) or "Certainly" not in screen_text(app)
        await pressed(pilot, "u")
    assert mended(path)[1].response == LONG
    entry = entries(path)[0]
    assert entry["by"] == "extractive" and entry["checks"]["passes"] and entry["checks"]["before"]["words"] > 80


async def test_a_difference_is_told_by_marks_where_there_are_no_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s")
        assert "[-Certainly! I'd be happy to help you with that." in await shown(pilot, "nothing to confirm")


async def test_a_proposal_is_rejected_or_left_without_a_trace(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s")
        # The extractive engine would propose the same again.
        assert "s again" not in await shown(pilot, "nothing to confirm")
        assert "Rejected" in await pressed(pilot, "r")
        await pressed(pilot, "s")
        await shown(pilot, "nothing to confirm")
        await pressed(pilot, "escape")
        assert isinstance(app.screen, DatasetScreen)
    assert entries(path) == []


async def test_a_proposal_is_edited_then_accepted_and_its_checks_are_those_of_the_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s")
        await shown(pilot, "nothing to confirm")
        await pressed(pilot, "e", "ctrl+end", *" In 2031.", "f2")
        await until(pilot, lambda: isinstance(app.screen, DatasetScreen))
    (entry,) = entries(path)
    assert entry["by"] == "hand" and entry["checks"]["proposed_by"] == "extractive"
    assert entry["after"]["response"].endswith(" In 2031.") and "new number: 2031" in entry["checks"]["reasons"]


async def test_a_response_that_changed_while_a_proposal_stood_there_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What others write is met when the proposal is accepted, and not before.
    monkeypatch.setattr("itaudit.tui.workshop_actions.REFRESH_SECONDS", 600.0)
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s")
        await shown(pilot, "nothing to confirm")
        mended(path).edit(1, {"response": "Theirs."}, by="hand")
        assert "was changed by another workbench meanwhile" in await pressed(pilot, "a")
        assert "the response changed since it was proposed" in await pressed(pilot, "a")
    assert mended(path)[1].response == "Theirs."


async def test_a_response_that_holds_nothing_to_leave_out_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "s")
        await shown(pilot, "finds nothing to leave out")
        assert "nothing to accept" in await pressed(pilot, "a")
        assert isinstance(app.screen, SimplifyScreen)


async def test_an_instance_without_a_response_has_nothing_to_simplify(tmp_path: Path) -> None:
    path = written(tmp_path / "p.jsonl", [{"prompt": "Who?"}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "no response to simplify" in await pressed(pilot, "s")


async def test_wrong_settings_are_told_and_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text('[simplify]\nengine = "magic"\n')
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        for key in ("s", "b"):
            assert "simplify.engine" in await pressed(pilot, key)
            assert isinstance(app.screen, DatasetScreen)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 50)], ids=str)
async def test_a_proposal_fits(tmp_path: Path, size: tuple[int, int]) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s")
        text = await shown(pilot, "words ")
        assert "a accept" in text and "simplify" in text


@pytest.mark.parametrize(("key", "text"), [("d", "An older draft."), ("p", "Frank Zamboni")])
async def test_a_draft_and_a_proposal_of_the_same_instance_are_chosen_between(
    tmp_path: Path, key: str, text: str
) -> None:
    path = written(tmp_path / "a.jsonl")
    draft = Draft("1", {"response": LONG}, {"response": "An older draft."}, pid=2**30, started=0.0)
    Drafts(tmp_path / "a.jsonl.workshop").keep(draft)
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "j", "s")
        await shown(pilot, "nothing to confirm")
        assert "There is an unsaved draft of this instance" in await pressed(pilot, "e")
        await pressed(pilot, key)
        await shown(pilot, text)
        await pressed(pilot, "f2")
        await until(pilot, lambda: bool(entries(path)))
    assert text in entries(path)[0]["after"]["response"]
