"""The dataset screen: any number of instances, read, searched and jumped through."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from itaudit.data.dataset import Dataset
from itaudit.data.load import load
from itaudit.data.searching import Pattern
from itaudit.trace.types import Evidence
from itaudit.tui import dataset_searching
from itaudit.tui.instance_text import SHOWN, instance_json, instance_text
from itaudit.tui.listing import Positions
from itaudit.tui.recent import recent_datasets
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.rejected import RejectedScreen
from itaudit.tui.searching import matching_positions, parse_pattern
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.reading_pane import ReadingPane
from tests.pace import slowness
from tests.tui.harness import HOSTILE, NOW, Clock, Harness, screen_text, until

SIZES = [(80, 24), (160, 50)]

ROWS: list[dict[str, Any]] = [
    {
        "instruction": f"Who invented thing number {number}?",
        "input": "",
        "output": f"The engineer Nr. {number} did, in {1800 + number}.",
        "category": "open_qa",
    }
    for number in range(60)
]
ROWS[7] = {
    "instruction": "Who was Luigi Galvani?",
    "input": "",
    "output": "The physician Luigi Galvani.",
    "category": "x",
}
ROWS[20] = {
    "instruction": "Summarise",
    "input": "A long passage about frogs.",
    "output": "Frogs.",
    "category": "galvanic",
}
ROWS[30] = {"instruction": "no answer", "input": ""}

CHAT = [
    {
        "id": "talk-1",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Who was Volta?"},
            {"role": "assistant", "content": "An inventor."},
            {"role": "user", "content": "And Galvani?"},
            {"role": "assistant", "content": "A physician."},
        ],
    },
    {
        "id": "talk-2",
        "messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello to you"}],
    },
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return load(written(tmp_path / "alpaca.jsonl", ROWS))


def app_on(dataset: Dataset | Path, **kwargs: Any) -> Harness:
    return Harness(lambda: DatasetScreen(dataset, clock=Clock(), **kwargs))


def standing_on(app: Harness) -> int:
    """The source row under the cursor."""
    screen = app.screen
    assert isinstance(screen, DatasetScreen) and screen.edited is not None
    position = screen.position()
    assert position is not None
    return screen.edited[position].index


async def searched(app: Harness, pilot: Any) -> None:
    """Waits until a search, a filter or a sort is done."""
    screen = app.screen
    assert isinstance(screen, DatasetScreen)
    await until(pilot, lambda: not screen.searching and not screen.selecting and screen.measures is not None)
    await pilot.pause()


async def measured(pilot: Any) -> None:
    """Waits for the columns that are counted a moment after the rows are shown."""
    await searched(pilot.app, pilot)


EVIDENCE = [Evidence("response", 14, 27, "Luigi Galvani")]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_source_with_its_evidence(dataset: Dataset, snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(app_on(dataset, index=7, highlights=EVIDENCE), terminal_size=size, run_before=measured)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_search(dataset: Dataset, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await measured(pilot)
        await pilot.press("slash", *"galvan")
        await searched(pilot.app, pilot)
        await pilot.press("enter")
        await pilot.pause()

    assert snap_compare(app_on(dataset), terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_conversation(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    chat = load(written(tmp_path / "chat.jsonl", CHAT))
    app = app_on(chat, highlights=[Evidence("history[2]", 0, 2, "An")], index=0)
    assert snap_compare(app, terminal_size=size, run_before=measured)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_rejected_rows(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    rows = [*ROWS[:5], {"instruction": None, "output": 3}, {"instruction": "x"}, {"output": "y"}]

    async def before(pilot: Any) -> None:
        await measured(pilot)
        await pilot.press("!")
        await pilot.pause()

    assert snap_compare(app_on(load(written(tmp_path / "odd.jsonl", rows))), terminal_size=size, run_before=before)


async def test_the_source_row_is_stood_on_and_its_evidence_is_highlighted(dataset: Dataset) -> None:
    app = app_on(dataset, index=7, highlights=EVIDENCE)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        assert standing_on(app) == 7
        styled = [
            segment.text
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style and segment.style.underline and segment.style.bold
        ]
        assert "".join(styled).strip() == "Luigi Galvani"
        await pilot.press("j")
        await pilot.pause()
        assert "The engineer Nr. 8 did" in screen_text(app)


async def test_evidence_that_lies_far_down_is_scrolled_to(tmp_path: Path) -> None:
    text = "word " * 3000 + "the needle" + " word" * 3000
    start = text.index("the needle")
    data = load(written(tmp_path / "long.jsonl", [{"instruction": "Long", "input": "", "output": text}]))
    app = app_on(data, index=0, highlights=[Evidence("response", start, start + 10, "the needle")])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "the needle" in screen_text(app)


async def test_an_index_that_was_left_out_is_said(dataset: Dataset) -> None:
    app = app_on(dataset, index=30)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert ("Row 30 is not in this dataset" in screen_text(app)) == (30 in [r.index for r in dataset.rejected])


async def test_moving_by_every_key(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("j", "j", "down", "k", "up", "j")
        assert standing_on(app) == 2
        await pilot.press("end")
        assert standing_on(app) == 59
        await pilot.press("j")
        assert standing_on(app) == 59
        await pilot.press("home")
        assert standing_on(app) == 0
        await pilot.press("pagedown")
        assert 0 < app.screen.query_one(LineList).cursor < 10
        await pilot.press("pageup")
        assert standing_on(app) == 0


async def test_search_goes_to_the_first_match_as_one_types_and_n_goes_on(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("slash", *"GALVAN")
        await searched(app, pilot)
        assert standing_on(app) == 7
        await pilot.press("enter")
        await pilot.pause()
        assert "1 of 2 matches for 'GALVAN'" in screen_text(app)
        await pilot.press("n")
        assert standing_on(app) == 20, "an extra column counts"
        await pilot.press("n")
        assert standing_on(app) == 7, "after the last match comes the first"
        await pilot.press("N")
        assert standing_on(app) == 20
        await pilot.press("escape", "n")
        await pilot.pause()
        assert "Nothing is searched for" in screen_text(app)


async def test_a_search_that_is_closed_goes_back_to_where_it_began(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test() as pilot:
        await pilot.press("j", "j", "slash", *"frogs")
        await searched(app, pilot)
        assert standing_on(app) == 20
        await pilot.press("escape")
        await pilot.pause()
        assert standing_on(app) == 2
        assert isinstance(app.focused, LineList)


async def test_what_is_found_later_does_not_move_the_cursor(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    more = threading.Event()

    def slow(*_: object, **__: object) -> Iterator[tuple[int, Positions]]:
        yield 10, np.array([7])
        more.wait(60)
        yield len(dataset), np.array([20])

    monkeypatch.setattr(dataset_searching, "matching_positions", slow)
    app = app_on(dataset)
    async with app.run_test() as pilot:
        await pilot.press("slash", "x")
        await until(pilot, lambda: standing_on(app) == 7)
        await pilot.press("enter", "j", "j")
        more.set()
        await searched(app, pilot)
        assert standing_on(app) == 9
        await pilot.press("n")
        assert app.screen.query_one(LineList).cursor == 20


async def test_a_search_without_matches_says_so(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test() as pilot:
        await pilot.press("slash", *"zzz")
        await searched(app, pilot)
        await pilot.press("enter", "n")
        await pilot.pause()
        assert "0 matches for 'zzz'" in screen_text(app)
        assert standing_on(app) == 0


async def test_quitting_does_not_wait_for_a_search(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = threading.Event()

    def slow(*_: object, **__: object) -> Iterator[tuple[int, Positions]]:
        for position in range(6000):
            slices.set()
            time.sleep(0.02)
            yield position, np.array([], dtype=np.int64)

    monkeypatch.setattr(dataset_searching, "matching_positions", slow)
    app = app_on(dataset)
    async with app.run_test() as pilot:
        await pilot.press("slash", "a")
        assert slices.wait(60)
        started = time.monotonic()
        app.exit()
    # The search would go on for two minutes.
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(("answer", "row"), [("12", 12), ("#40", 40), ("0", 0)])
async def test_g_jumps_to_a_row(dataset: Dataset, answer: str, row: int) -> None:
    app = app_on(dataset)
    async with app.run_test() as pilot:
        await pilot.press("j", "g", *answer, "enter")
        await pilot.pause()
        assert standing_on(app) == row


async def test_g_jumps_to_an_id_and_says_what_is_not_there(tmp_path: Path) -> None:
    app = app_on(load(written(tmp_path / "chat.jsonl", [*CHAT, {"id": "bad", "messages": 3}])))
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("g", *"talk-2", "enter")
        await pilot.pause()
        assert standing_on(app) == 1
        await pilot.press("g", "9", "9", "enter")
        await pilot.pause()
        assert "There is no row and no id '99'" in screen_text(app)
        await pilot.press("g", "2", "enter")
        await pilot.pause()
        assert "Row 2 was rejected" in screen_text(app)


async def test_rejected_rows_are_listed_with_their_reasons(tmp_path: Path) -> None:
    data = load(written(tmp_path / "odd.jsonl", [*ROWS[:3], {"instruction": None, "output": HOSTILE}]))
    assert [each.index for each in data.rejected] == [3]
    app = app_on(data)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert isinstance(app.screen, RejectedScreen)
        assert data.rejected[0].reason[:40] in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, DatasetScreen)


async def test_no_rejected_rows_is_said(tmp_path: Path) -> None:
    app = app_on(load(written(tmp_path / "fine.jsonl", ROWS[:3])))
    async with app.run_test() as pilot:
        await pilot.press("exclamation_mark")
        await pilot.pause()
        assert "No row was rejected." in screen_text(app)


async def test_an_instance_is_copied_to_the_clipboard_and_a_file(tmp_path: Path) -> None:
    data = load(written(tmp_path / "h.jsonl", [{"instruction": HOSTILE, "input": "", "output": "b", "extra": [1]}]))
    app = app_on(data)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("y")
        await pilot.pause()
        assert "Copied row 0" in screen_text(app)
        copied = json.loads(app.clipboard)
        assert (copied["instruction"], copied["response"], copied["extra"]) == (HOSTILE, "b", {"extra": [1]})
        files = [path for path in Path(os.environ["ITAUDIT_STATE_DIR"]).iterdir() if path.read_text() == app.clipboard]
        assert len(files) == 1


async def test_a_path_is_loaded_and_remembered(tmp_path: Path) -> None:
    path = written(tmp_path / "alpaca.jsonl", ROWS[:9])
    app = app_on(path, index=7)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.screen.query_one(LineList).count > 0)
        await pilot.pause()
        assert standing_on(app) == 7
        # It is remembered once all of it is read, which may take a moment longer than its first rows.
        await until(pilot, lambda: bool(recent_datasets()))
        assert [(each.path, each.instances, each.opened) for each in recent_datasets()] == [(str(path), 9, NOW)]


async def test_a_path_that_can_t_be_loaded_is_one_line_and_one_can_go_back(tmp_path: Path) -> None:
    path = tmp_path / "broken\x1b.json"
    path.write_text('[{"instruction": "a", "outp')
    app = app_on(path)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "Reading" not in screen_text(app))
        shown = screen_text(app)
        assert "broken␛.json" in shown and "Traceback" not in shown
        assert recent_datasets() == []
        await pilot.press("slash", "n", "g", "exclamation_mark", "y", "tab", "escape")
        await pilot.pause()
        assert not isinstance(app.screen, DatasetScreen)


async def test_the_text_takes_the_focus_and_scrolls(tmp_path: Path) -> None:
    data = load(written(tmp_path / "l.jsonl", [{"instruction": "a", "input": "", "output": "line\n" * 90}] * 2))
    app = app_on(data)
    async with app.run_test(size=(80, 24)) as pilot:
        reading = app.screen.query_one(ReadingPane)
        await pilot.press("enter", "j", "j")
        await pilot.pause()
        assert reading.has_focus and reading.scroll_offset.y == 2 and standing_on(app) == 0
        await pilot.press("escape", "J")
        await pilot.pause()
        assert not reading.has_focus and reading.scroll_offset.y == 5
        await pilot.press("j")
        await pilot.pause()
        assert standing_on(app) == 1 and reading.scroll_offset.y == 0


async def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path) -> None:
    row = {"instruction": HOSTILE, "input": HOSTILE, "output": HOSTILE, HOSTILE: HOSTILE}
    app = app_on(load(written(tmp_path / "h.jsonl", [row])), index=0, highlights=[Evidence("response", 8, 20, "")])
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("slash")
        app.screen.query_one(Input).value = "owned"
        await searched(app, pilot)
        shown = screen_text(app)
        assert shown.count("␛[2J␛]0;owned␇[/bold][INST]") >= 4
        assert not {"\x1b", "\x07", "\x00", "\u202e", "\u200b"} & set(shown)


async def test_it_survives_any_size(dataset: Dataset) -> None:
    app = app_on(dataset, index=7, highlights=EVIDENCE)
    async with app.run_test(size=(160, 50)) as pilot:
        for width, height in ((20, 8), (8, 3), (1, 1), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.press("j", "tab", "tab", "slash", "escape")
            await pilot.pause()
        assert "alpaca.jsonl" in screen_text(app)


async def test_where_there_is_room_for_one_panel_enter_and_escape_change_it(dataset: Dataset) -> None:
    app = app_on(dataset, index=7)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert "physician" not in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert "physician" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "physician" not in screen_text(app)


async def test_a_hundred_thousand_instances_mount_at_once(dataset: Dataset) -> None:
    many = dataset.select([position % len(dataset) for position in range(100_000)])
    app = app_on(many)
    started = time.process_time()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("end")
        await pilot.pause()
        assert app.screen.query_one(LineList).cursor == 99_999
        assert "100,000 of 100,000" in screen_text(app)
        assert time.process_time() - started < 2.0 * slowness()


def test_search_reads_every_text_of_an_instance(tmp_path: Path, dataset: Dataset) -> None:
    chat = load(written(tmp_path / "chat.jsonl", CHAT))

    def found(data: Dataset, text: str) -> list[int]:
        pattern = parse_pattern(text)
        if pattern is None:
            return []
        steps = matching_positions(data, pattern, slice_size=7, pace=0)
        return [int(each) for _, positions in steps for each in positions]

    assert found(chat, "be KIND") == found(chat, "an inventor") == found(chat, "a physician") == [0]
    assert found(chat, "talk-2") == [1]
    assert found(dataset, "frogs") == [20]
    assert found(dataset, "open_qa") == [n for n, row in enumerate(dataset) if row.extra.get("category") == "open_qa"]
    assert found(dataset, ".*") == [], "a search is for a text, not for a pattern"
    assert found(dataset, "") == []


def test_search_finds_what_stands_in_a_shared_task_definition(shared_data: Path) -> None:
    folder = shared_data / "superni"
    tasks = load(next(path for path in sorted(folder.iterdir()) if path.suffix == ".json"))
    definition = tasks[0].instruction
    (reached, positions), *_ = matching_positions(tasks, Pattern(definition[:30]))
    assert reached > 0 and positions[0] == 0


def test_offsets_of_evidence_survive_in_a_field_that_is_cut(tmp_path: Path) -> None:
    text = "x" * (3 * SHOWN) + "NEEDLE" + "y" * (3 * SHOWN)
    data = load(written(tmp_path / "l.jsonl", [{"instruction": "a", "input": "", "output": text}]))
    start = 3 * SHOWN
    shown = instance_text(data[0], [Evidence("response", start, start + 6, "NEEDLE")])
    assert shown.focus is not None
    assert shown.content.plain[shown.focus :].startswith("NEEDLE")
    assert len(shown.content) < 2 * SHOWN


def test_evidence_comes_before_matches_as_what_is_scrolled_to(dataset: Dataset) -> None:
    shown = instance_text(dataset[dataset.position(7)], EVIDENCE, [Pattern("Who")])
    assert shown.focus is not None and shown.content.plain[shown.focus :].startswith("Luigi Galvani.")


def test_an_instance_as_json_keeps_every_text(tmp_path: Path) -> None:
    chat = load(written(tmp_path / "chat.jsonl", CHAT))
    copied = json.loads(instance_json(chat[0]))
    assert [turn["content"] for turn in copied["history"]] == ["Be kind.", "Who was Volta?", "An inventor."]
    assert (copied["id"], copied["response"]) == ("talk-1", "A physician.")
