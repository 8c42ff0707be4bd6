"""The editor: what is changed is saved, what is not stays as it is to the byte, and no text is lost."""

import os
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import TextArea

from itaudit.tui.drafts import Draft, Drafts
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.editor import LONGEST, EditorScreen
from tests.tui.harness import HOSTILE, Harness, screen_text, until
from tests.tui.workshop import TALK, app_on, entries, mended, pressed, ready, shown, written

HARD = f"one\r\ntwo\n\ttab \x00 {HOSTILE}\r end\u2028 \x0b\x0c\x1c\x85 trailing  \n"


def editor(app: Harness) -> EditorScreen:
    assert isinstance(app.screen, EditorScreen)
    return app.screen


@pytest.mark.parametrize("leave", ["escape", "f2", "ctrl+o"])
async def test_opening_and_leaving_without_a_change_makes_no_edit(tmp_path: Path, leave: str) -> None:
    path = written(tmp_path / "a.jsonl", [{"instruction": HARD, "input": HARD, "output": HARD}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        # Each field is opened in its turn.
        await pressed(pilot, "e", "tab", "tab", "tab", "shift+tab", leave)
        await until(pilot, lambda: isinstance(app.screen, DatasetScreen))
    assert entries(path) == []


@pytest.mark.parametrize("save", [["escape", "s"], ["escape", "enter"], ["f2"], ["ctrl+o"]], ids=str)
async def test_a_change_is_saved_and_the_other_fields_stay_as_they_are(tmp_path: Path, save: list[str]) -> None:
    path = written(tmp_path / "a.jsonl", [{"instruction": HARD, "input": HARD, "output": "Sure! Paris."}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e", *(["delete"] * 6))
        text = await pressed(pilot, *save)
        assert "Saved row 0; u undoes." in text and "Sure!" not in text
    (entry,) = entries(path)
    assert entry["after"] == {"response": "Paris."} and entry["before"] == {"response": "Sure! Paris."}
    assert entry["by"] == "hand"
    instance = mended(path)[0]
    assert (instance.instruction, instance.input, instance.response) == (HARD, HARD, "Paris.")


async def test_odd_characters_survive_an_edit_elsewhere_in_their_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"instruction": "q", "input": "", "output": HARD}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "e")
        assert "hidden characters: " in text
        await pressed(pilot, "X", "ctrl+end", "Y", "f2")
    assert mended(path)[0].response == "X" + HARD + "Y"


async def test_line_ends_of_a_dataset_from_windows_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"instruction": "q", "input": "", "output": "one\r\ntwo"}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "lines end in CR LF" in await pressed(pilot, "e")
        await pressed(pilot, "ctrl+end", "enter", "3", "f2")
    assert mended(path)[0].response == "one\r\ntwo\r\n3"


async def test_a_paste_from_a_terminal_keeps_what_it_held(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"instruction": "q", "input": "", "output": "end"}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e")
        from textual.events import Paste

        area = app.screen.query_one(TextArea)
        app.post_message(Paste("a\u2028b\x0b\x1b[2J\r\nc "))
        await pilot.pause()
        assert "\x1b" not in area.text and "\u2028" not in area.text
        await pressed(pilot, "f2")
    assert mended(path)[0].response == "a\u2028b\x0b\x1b[2J\nc end"


async def test_a_text_too_long_to_edit_is_left_as_it_is(tmp_path: Path) -> None:
    long = "word " * (LONGEST // 4)
    path = written(tmp_path / "a.jsonl", [{"instruction": "q", "input": "", "output": long}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e")
        assert "too many to edit here" in await pressed(pilot, "X")
        await pressed(pilot, "shift+tab", "shift+tab", "Z", "f2")
    assert mended(path)[0].instruction == "Zq" and mended(path)[0].response == long


async def test_escape_asks_before_it_throws_anything_away(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "e", "X", "escape")
        assert "The response changed. Save?" in text and "s save" in text and "d discard" in text
        # Escape goes back to the text.
        await pressed(pilot, "escape", "Y")
        assert editor(app).query_one(TextArea).text.startswith("XY")
        await pressed(pilot, "escape", "d")
        assert isinstance(app.screen, DatasetScreen)
    assert entries(path) == [] and not list((tmp_path / "a.jsonl.workshop").glob("drafts/*"))


async def test_turns_are_edited_added_removed_and_given_roles(tmp_path: Path) -> None:
    path = written(tmp_path / "talk.jsonl", TALK)
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "e")
        assert "system user assistant instruction input [response]" in text
        # After the answer: a user turn, and the assistant's answer to it.
        await pressed(pilot, "f3", *"Why?", "f3", *"Frogs.")
        await pressed(pilot, "tab", "X")
        await pressed(pilot, "tab", "f8")
        text = await pressed(pilot, "f2")
        assert "Saved row 0" in text
    instance = mended(path)[0]
    assert [(m.role, m.content) for m in instance.messages] == [
        ("system", "XBe kind."),
        ("assistant", "An inventor."),
        ("user", "And Galvani?"),
        ("assistant", "A physician."),
        ("user", "Why?"),
        ("assistant", "Frogs."),
    ]
    assert set(entries(path)[0]["after"]) == {"history", "later"}


async def test_a_role_is_changed_and_the_edited_turn_keeps_its_own(tmp_path: Path) -> None:
    path = written(tmp_path / "talk.jsonl", TALK)
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "The role of the edited turn is settled" in await pressed(pilot, "e", "f4")
        assert "belongs to every instance" in await pressed(pilot, "f8")
        await pressed(pilot, "tab", "f4", "f2")
    assert entries(path)[0]["after"]["history"][0] == {"role": "tool", "content": "Be kind."}


async def test_an_instance_without_a_response_keeps_having_none(tmp_path: Path) -> None:
    path = written(tmp_path / "p.jsonl", [{"prompt": "Who?"}, {"prompt": "What?"}])
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e", "shift+tab", "shift+tab", "X", "f2")
        assert mended(path)[0].response is None
        await pressed(pilot, "e", *"Me.", "f2")
    assert mended(path)[0].response == "Me." and mended(path)[0].instruction == "XWho?"


async def test_what_another_workbench_wrote_meanwhile_is_not_overwritten_unasked(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e", "X")
        mended(path).edit(0, {"response": "Theirs."}, by="hand")
        text = await pressed(pilot, "f2")
        assert "changed the response too" in text
        text = await pressed(pilot, "l")
        assert "Theirs." in text and "XEngineer 0 did." in text
        await pressed(pilot, "f2", "o")
        assert isinstance(app.screen, DatasetScreen)
    assert [entry["after"]["response"] for entry in entries(path)] == ["Theirs.", "XEngineer 0 did."]
    assert entries(path)[1]["before"] == {"response": "Theirs."}


async def test_other_fields_that_changed_meanwhile_are_both_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e", "X")
        mended(path).edit(0, {"instruction": "Theirs?"}, by="hand")
        await pressed(pilot, "f2")
    instance = mended(path)[0]
    assert (instance.instruction, instance.response) == ("Theirs?", "XEngineer 0 did.")


async def test_a_failing_disk_keeps_the_text_in_the_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(400, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e", "X")
        real = os.write

        def full(descriptor: int, data: Any) -> int:
            if b'"op":"edit"' in bytes(data):
                raise OSError(28, "No space left on device")
            return real(descriptor, data)

        monkeypatch.setattr(os, "write", full)
        text = await pressed(pilot, "f2")
        assert "Not saved, your text is still here" in text and "No space left" in text
        assert editor(app).query_one(TextArea).text == "XEngineer 0 did."
        monkeypatch.setattr(os, "write", real)
        await pressed(pilot, "f2")
        assert isinstance(app.screen, DatasetScreen)
    assert len(entries(path)) == 1


async def test_a_draft_of_a_terminal_that_died_is_back(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e", "X")
        drafts = Drafts(tmp_path / "a.jsonl.workshop")
        await until(pilot, lambda: drafts.found("0") is not None)
        # The app ends here without a word.
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "e")
        assert "Your unsaved draft is back" in text and "XEngineer 0 did." in text
        await pressed(pilot, "f2")
    assert entries(path)[0]["after"] == {"response": "XEngineer 0 did."} and drafts.found("0") is None


async def test_a_draft_of_what_changed_since_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    Drafts(tmp_path / "a.jsonl.workshop").keep(Draft("0", {"response": "older"}, {"response": "mine"}, pid=2**30))
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "e")
        assert "mine" in text and "The instance was changed since." in text
        await pressed(pilot, "escape", "d")
    assert entries(path) == []


async def test_the_length_and_the_doubts_are_told_while_typing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "e", "ctrl+end", *" In 1987.")
        assert "new number: 1987" in await shown(pilot, "1987.") or await shown(pilot, "new")
        assert "words 3 → 5" in screen_text(app)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 50)], ids=str)
async def test_it_fits(tmp_path: Path, size: tuple[int, int]) -> None:
    path = written(tmp_path / "talk.jsonl", TALK * 3)
    app = app_on(path)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        text = await pressed(pilot, "e", "X")
        assert "XA physician." in text and "[response]" in text and "escape" in text
