"""Browsing a dataset: rows that stream in, filter, sort, facets, columns, and instances with edits."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input, Static

from itaudit.data.cache import Cached
from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.tui import ranking as ranking_module
from itaudit.tui.config import read_config
from itaudit.tui.screens.columns import ColumnsScreen
from itaudit.tui.screens.dataset import DatasetScreen
from itaudit.tui.screens.facets import FacetsScreen
from itaudit.tui.screens.sort import SortScreen
from itaudit.tui.screens.statistics import StatisticsScreen
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.reading_pane import ReadingPane
from tests.tui.harness import HOSTILE, Clock, Harness, screen_text, until

ROWS: list[dict[str, Any]] = [
    {
        "instruction": f"Question {number} about {'frogs' if number % 3 else 'toads'}",
        "input": "",
        "output": "word " * (number * 7 % 60) + "end",
        "category": ("open_qa", "closed qa", "list")[number % 3],
    }
    for number in range(60)
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "data.jsonl", ROWS)


@pytest.fixture
def dataset(path: Path) -> Dataset:
    return load(path)


def app_on(source: Dataset | Path | Cached, **kwargs: Any) -> Harness:
    return Harness(lambda: DatasetScreen(source, clock=Clock(), **kwargs))


def screen_of(app: Harness) -> DatasetScreen:
    assert isinstance(app.screen, DatasetScreen)
    return app.screen


async def ready(app: Harness, pilot: Any) -> DatasetScreen:
    """Waits for the rows and what is measured of them, and for what is being selected or searched."""
    screen = screen_of(app)
    await until(pilot, lambda: screen.complete and screen.measures is not None)
    await until(pilot, lambda: not screen.selecting and not screen.searching)
    await pilot.pause()
    return screen


def listed(app: Harness) -> list[int]:
    return [int(position) for position in screen_of(app).view]


def words_of(number: int) -> int:
    return number * 7 % 60 + 1


async def filtered(app: Harness, pilot: Any, text: str) -> None:
    await pilot.press("f")
    app.screen.query_one(Input).value = text
    await pilot.press("enter")
    await ready(app, pilot)


async def test_a_filter_lists_what_it_selects_and_escape_lists_all_again(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await filtered(app, pilot, "words>40 category:open_qa")
        wanted = [n for n in range(60) if words_of(n) > 40 and n % 3 == 0]
        assert listed(app) == wanted
        assert screen.selection_text == "words>40 category:open_qa"
        assert f"of {len(wanted)} · filter: words>40" in screen_text(app)
        await pilot.press("escape")
        await ready(app, pilot)
        assert listed(app) == list(range(60))


async def test_a_filter_is_tried_as_it_is_typed_and_its_count_is_told(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("j", "j", "f", *"toads")
        await until(pilot, lambda: "20 of 60 instances" in screen_text(app))
        assert listed(app) == list(range(0, 60, 3))
        await pilot.press("escape")
        await ready(app, pilot)
        assert listed(app) == list(range(60))
        assert screen_of(app).position() == 2, "the cursor is back where it was"


@pytest.mark.parametrize("text", ["words>", "nothere:3", "/(/", 'category:"open'])
async def test_a_wrong_filter_is_told_in_place_and_its_text_stays(dataset: Dataset, text: str) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(app, pilot)
        await filtered(app, pilot, text)
        shown = screen_text(app)
        assert "filter" in shown or "searched for" in shown
        assert "Traceback" not in shown
        assert listed(app) == list(range(60))
        if app.screen.query_one(PromptLine).question:
            assert app.screen.query_one(Input).value == text
            await pilot.press("x")
            assert app.screen.query_one(Input).value == f"{text}x", "typing goes on at the end"


async def test_a_filter_that_nothing_passes_says_so(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(app, pilot)
        await filtered(app, pilot, "words>10000")
        assert "No instance passes the filter" in screen_text(app)
        assert screen_of(app).position() is None
        await pilot.press("j", "n", "y", "equals_sign", "enter", "escape")
        await ready(app, pilot)
        assert listed(app) == list(range(60))


async def test_the_cursor_stays_on_its_instance_through_a_filter(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        screen.stand_on(30)
        await filtered(app, pilot, "category:open_qa")
        assert screen.position() == 30
        await filtered(app, pilot, "category:list")
        assert screen.position() == 32, "the next one after where it was"


async def test_a_sort_goes_to_its_top_and_is_undone_by_the_dataset_s_order(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await pilot.press("o")
        await pilot.pause()
        assert isinstance(app.screen, SortScreen)
        assert "words ↓ largest first" in screen_text(app)
        await pilot.press("j", "enter")
        await ready(app, pilot)
        assert listed(app) == sorted(range(60), key=lambda n: (-words_of(n), n))
        assert screen.query_one(LineList).cursor == 0
        assert "words↓" in screen_text(app)
        screen.stand_on(7)
        await pilot.press("o", "home", "enter")
        await ready(app, pilot)
        assert listed(app) == list(range(60))


async def test_matches_are_gone_through_in_the_order_of_the_list(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        screen.select(sort="-words")
        await ready(app, pilot)
        await pilot.press("slash", *"toads")
        await ready(app, pilot)
        await pilot.press("enter", "home", "N")
        order = [n for n in listed(app) if n % 3 == 0]
        assert screen.position() == order[-1]
        await pilot.press("n", "n")
        assert screen.position() == order[1]


async def test_matches_outside_the_filter_are_counted_and_passed_over(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(app, pilot)
        await filtered(app, pilot, "row:0-9")
        await pilot.press("slash", *"toads", "enter")
        await ready(app, pilot)
        await pilot.press("n")
        assert "of 4 matches for 'toads'; 16 more outside the filter" in screen_text(app)


async def test_a_regular_expression_is_searched_and_a_broken_one_is_told(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await pilot.press("slash")
        app.screen.query_one(Input).value = "/question (7|11) about/"
        await ready(app, pilot)
        await pilot.press("enter")
        assert np.flatnonzero(screen.found).tolist() == [7, 11]
        assert "1 of 2 matches for /question (7|11) about/" in screen_text(app)
        await pilot.press("slash")
        app.screen.query_one(Input).value = "/(/"
        await pilot.pause()
        assert "can't be searched for" in screen_text(app)


async def test_facets_count_what_is_listed_and_narrow_the_filter(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        await filtered(app, pilot, "row:0-9")
        await pilot.press("F")
        await until(pilot, lambda: "facets of what is listed: 10" in screen_text(app))
        assert isinstance(app.screen, FacetsScreen)
        counts = {facet.text: facet.count for facet in app.screen.facets if facet.term.startswith("category")}
        assert counts == {"open_qa": 4, "closed qa": 3, "list": 3}
        await pilot.press("j", "enter")
        await ready(app, pilot)
        assert screen_of(app).selection_text == 'row:0-9 category:"closed qa"'
        assert listed(app) == [1, 4, 7]
        await pilot.press("F")
        await until(pilot, lambda: "facets of what is listed: 3" in screen_text(app))
        await pilot.press("minus")
        await ready(app, pilot)
        assert listed(app) == []


async def test_chosen_columns_are_shown_in_their_order_and_kept(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(160, 40)) as pilot:
        await ready(app, pilot)
        assert "category" in screen_text(app).splitlines()[1]
        await pilot.press("c")
        await pilot.pause()
        assert isinstance(app.screen, ColumnsScreen)
        names = app.screen.names
        for _ in range(names.index("category")):
            await pilot.press("j")
        await pilot.press("space")
        for _ in range(names.index("chars") - names.index("category")):
            await pilot.press("j")
        await pilot.press("enter", "escape")
        await pilot.pause()
        header = screen_text(app).splitlines()[1]
        assert "category" not in header and "chars" in header
        assert "category" not in str(read_config()["columns"]) and "chars" in str(read_config()["columns"])


async def test_lines_are_aligned_and_give_up_columns_where_it_is_narrow(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        lines = screen_text(app).splitlines()
        assert lines[2].index("Question 0") == lines[3].index("Question 1") == lines[1].index("instruction")
        await pilot.resize_terminal(40, 24)
        await pilot.pause()
        lines = screen_text(app).splitlines()
        assert "category" not in lines[1] and "Question 0" in lines[2]
        assert all(len(line) <= 40 for line in lines)


async def test_edited_deleted_and_tagged_instances_have_marks(path: Path) -> None:
    data = load(path)
    edited = EditedDataset(data, Overlay.of(data.path))
    edited.edit(0, {"response": "short"}, by="extractive")
    edited.edit(1, {"deleted": True}, by="hand")
    edited.edit(2, {"tags": ["odd"], "note": "look"}, by="hand")
    app = app_on(path)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        lines = screen_text(app).splitlines()
        assert "0~" in lines[2] and "1✗" in lines[3] and "2 #" in lines[4]
        assert "     1 open_qa" in lines[2], "an edited response is counted anew"
        assert "edited by extractive" in screen_text(app) and "short" in screen_text(app)
        await pilot.press("equals_sign")
        await pilot.pause()
        assert "as it was · = difference" in screen_text(app)
        await pilot.press("equals_sign")
        await pilot.pause()
        assert "what changed · = edited" in screen_text(app) and "endshort" in screen_text(app)
        await pilot.press("j", "j", "equals_sign")
        await pilot.pause()
        assert "Nothing in this instance was changed" in screen_text(app) and "# odd" in screen_text(app)


async def test_a_change_runs_the_filter_again_and_the_search(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await ready(app, pilot)
        assert screen.edited is not None
        await pilot.press("slash", *"toads", "enter")
        await filtered(app, pilot, "-edited")
        screen.stand_on(2)
        screen.edited.edit(1, {"instruction": "toads now"}, by="hand")
        screen.changed({1})
        await ready(app, pilot)
        assert listed(app) == [0, *range(2, 60)]
        assert screen.position() == 2
        assert screen.found[1], "what was edited is searched again"


async def test_going_to_a_row_that_the_filter_leaves_out_offers_to_show_all(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await filtered(app, pilot, "category:list")
        await pilot.press("g", "1", "2", "enter")
        await pilot.pause()
        assert "Row 12 is not in this list" in screen_text(app)
        await pilot.press("escape")
        assert screen.selection_text == "category:list"
        await pilot.press("g", "1", "2", "enter")
        await pilot.pause()
        await pilot.press("enter")
        await ready(app, pilot)
        assert screen.selection_text == "" and screen.position() == 12


async def test_rows_stream_in_while_one_browses(tmp_path: Path) -> None:
    rows = [{"instruction": f"number {n}", "input": "", "output": "x " * (n % 50)} for n in range(20_000)]
    app = app_on(written(tmp_path / "many.jsonl", rows))
    async with app.run_test(size=(120, 30)) as pilot:
        screen = screen_of(app)
        await until(pilot, lambda: screen.edited is not None)
        await pilot.press("j", "j")
        assert screen.position() == 2
        await filtered_while_streaming(pilot, app, "words>48")
        await ready(app, pilot)
        await until(pilot, lambda: len(screen.view) == 400)
        assert [int(p) % 50 for p in screen.view] == [49] * 400
        await pilot.press("slash", *"number 19999")
        await ready(app, pilot)
        await pilot.press("enter", "n")
        assert screen.position() == 19_999


async def filtered_while_streaming(pilot: Any, app: Harness, text: str) -> None:
    await pilot.press("f")
    app.screen.query_one(Input).value = text
    await pilot.press("enter")
    await pilot.pause()


async def test_a_row_that_is_not_read_yet_is_gone_to_when_it_comes(tmp_path: Path) -> None:
    rows = [{"instruction": f"number {n}", "input": "", "output": "x"} for n in range(5000)]
    app = app_on(written(tmp_path / "many.jsonl", rows), index=4321)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await until(pilot, lambda: screen.position() == 4321)


@pytest.mark.parametrize("rows", [[{"x": 1}] * 3, []], ids=["of no format", "empty"])
async def test_a_source_without_instances_is_told(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = written(tmp_path / "none.jsonl", rows)
    app = app_on(path)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "Reading" not in screen_text(app))
        shown = screen_text(app)
        assert "none.jsonl" in shown and "Traceback" not in shown
        await pilot.press("slash", "f", "o", "F", "c", "B", "g", "n", "exclamation_mark", "y", "equals_sign", "tab")
        await pilot.pause()
        assert "Traceback" not in screen_text(app)


async def test_all_rows_rejected_is_an_empty_list_with_reasons(tmp_path: Path) -> None:
    good = [{"instruction": "a", "input": "", "output": "b"}]
    data = load(written(tmp_path / "r.jsonl", [*good, {"instruction": None, "output": 3}]))
    app = app_on(data[1:])
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(app, pilot)
        assert "no instances; ! says why" in screen_text(app)
        await pilot.press("j", "G", "n", "y", "equals_sign", "F")
        await until(pilot, lambda: isinstance(app.screen, FacetsScreen))
        await pilot.press("escape", "exclamation_mark")
        await until(pilot, lambda: "rejected rows" in screen_text(app))


async def test_hostile_columns_and_filters_do_nothing(tmp_path: Path) -> None:
    rows = [{"instruction": HOSTILE, "input": "", "output": HOSTILE, HOSTILE: HOSTILE, "cat\x1b": HOSTILE}] * 2
    app = app_on(load(written(tmp_path / "h.jsonl", rows)))
    async with app.run_test(size=(160, 50)) as pilot:
        await ready(app, pilot)
        for key in ("c", "o", "F"):
            await pilot.press(key)
            await pilot.pause(0.2)
            assert not {"\x1b", "\x07", "\x00", "\u202e"} & set(screen_text(app))
            await pilot.press("enter")
            await pilot.press("escape") if key == "c" else None
            await pilot.pause(0.1)
        await filtered(app, pilot, HOSTILE.replace('"', ""))
        assert not {"\x1b", "\x07", "\x00", "\u202e"} & set(screen_text(app))


async def test_a_question_ranks_the_instances_and_escape_ends_it(path: Path) -> None:
    rows = [
        *ROWS[:20],
        {"instruction": "Who was Volta?", "input": "", "output": "Volta was a physicist.", "category": "x"},
    ]
    app = app_on(written(path.with_name("ask.jsonl"), rows))
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await pilot.press("B", *"physicist Volta", "enter")
        await until(pilot, lambda: screen.ranking is not None and screen.ranking.whole)
        await pilot.pause()
        shown = screen_text(app)
        assert listed(app) == [20]
        assert "BM25" in shown and "volta" in shown and "score" in shown
        await pilot.press("escape")
        await pilot.pause()
        assert listed(app) == list(range(21)) and screen.position() == 20


async def test_a_question_leaves_nothing_behind(
    path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    app = app_on(path)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await pilot.press("B", *"toads", "enter")
        await until(pilot, lambda: screen.ranking is not None and screen.ranking.whole)
        assert list(scratch.iterdir())
    assert list(scratch.iterdir()) == []


async def test_a_question_without_words_is_told(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("B", "!", "?", "enter")
        await pilot.pause()
        assert "no words" in screen_text(app)


async def test_conversations_can_be_told_apart(tmp_path: Path) -> None:
    turns = [{"role": "user" if n % 2 == 0 else "assistant", "content": f"turn {n}"} for n in range(6)]
    app = app_on(load(written(tmp_path / "chat.jsonl", [{"messages": turns}, {"messages": turns[:2]}])))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        shown = screen_text(app)
        assert "turns" in shown.splitlines()[1], "a column tells how many answers there are"
        assert all(f"turn {n}" in shown for n in range(6))
        assert "audited turn" in shown


async def test_no_key_is_lost_over_the_text(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press("tab")
        assert app.screen.query_one(ReadingPane).has_focus
        await filtered(app, pilot, "row:0-3")
        assert listed(app) == [0, 1, 2, 3] and app.screen.query_one(LineList).has_focus


async def test_help_tells_what_the_marks_say(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 70)) as pilot:
        await ready(app, pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        shown = screen_text(app)
        assert "marks" in shown and "✗" in shown and "is a duplicate" in shown and "token classes" not in shown


def test_every_key_of_the_screen_has_an_id_and_words() -> None:
    bindings = [binding for bound in DatasetScreen._merged_bindings.key_to_bindings.values() for binding in bound]
    own = [binding for binding in bindings if (binding.id or "").startswith("dataset.")]
    assert len(own) > 20
    assert all(binding.description for binding in own)
    unsafe = {"ctrl+m", "ctrl+i", "ctrl+h", "ctrl+j", "ctrl+s", "ctrl+q"}
    assert not unsafe & DatasetScreen._merged_bindings.key_to_bindings.keys()


def test_quitting_while_rows_stream_in_is_immediate(tmp_path: Path) -> None:
    rows = [{"instruction": f"number {n}", "input": "", "output": "word " * 200} for n in range(60_000)]
    path = written(tmp_path / "large.jsonl", rows)
    script = (
        "import asyncio, sys, time\n"
        "from pathlib import Path\n"
        "from itaudit.data.cache import Cached\n"
        "from itaudit.tui.app import ItauditApp\n"
        "async def main():\n"
        "    app = ItauditApp(Path(sys.argv[1]), Path('runs'), source=Cached.open(sys.argv[1]))\n"
        "    async with app.run_test() as pilot:\n"
        "        while app.screen.edited is None: await pilot.pause(0.02)\n"
        "        await pilot.press('slash', *'zzz')\n"
        "        globals()['t'] = time.monotonic()\n"
        "        app.exit()\n"
        "began = time.monotonic()\n"
        "asyncio.run(main())\n"
        "print(t - began, time.monotonic() - t, flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=300, env=dict(os.environ)
    )
    assert ended.returncode == 0, ended.stderr
    opening, quitting = map(float, ended.stdout.split())
    # A machine that is slow opens slowly, too.
    assert quitting < max(1.5, opening)


async def test_a_file_that_vanishes_while_it_is_read_leaves_what_was_read(tmp_path: Path) -> None:
    rows = [{"instruction": f"number {n}", "input": "", "output": "word " * 100} for n in range(60_000)]
    path = written(tmp_path / "large.jsonl", rows)
    app = app_on(path)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = screen_of(app)
        await until(pilot, lambda: screen.edited is not None)
        path.unlink()
        await until(pilot, lambda: screen.complete)
        assert len(screen.view) > 0 and "Traceback" not in screen_text(app)
        await pilot.press("j", "end", "home")
        assert screen.position() == 0


async def test_duplicates_are_listed_group_by_group(tmp_path: Path) -> None:
    rows = [
        {"instruction": f"What is {n}?", "input": "", "output": f"{n} is a number of the kind {n}"} for n in range(9)
    ]
    rows.append(rows[2])
    rows.append({"instruction": "What is 5?", "input": "", "output": "5 is a number of the kind 5 indeed"})
    app = app_on(written(tmp_path / "copies.jsonl", rows))
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await pilot.press("D", *"0.5", "enter")
        await until(pilot, lambda: screen.grouped_known)
        await ready(app, pilot)
        shown = screen_text(app)
        assert listed(app) == [2, 9, 5, 10]
        assert "2 copies in 2 groups, 1 of them exact" in shown
        assert "2  ≡" in shown and "9  =" in shown
        assert "the first is row 9" in shown
        await pilot.press("j")
        await pilot.pause()
        assert "like row 2 by 100 %" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert listed(app) == list(range(11))
        await filtered(app, pilot, "duplicate")
        assert listed(app) == [9, 10]


async def test_a_filter_for_duplicates_looks_for_them(dataset: Dataset) -> None:
    many = dataset.select([0, 1, 2, 1, 0])
    app = app_on(many)
    async with app.run_test(size=(120, 30)) as pilot:
        screen = await ready(app, pilot)
        await filtered(app, pilot, "duplicate")
        await until(pilot, lambda: screen.grouped_known)
        await ready(app, pilot)
        assert listed(app) == [3, 4]


@pytest.mark.parametrize("answer", ["2", "x", "0", "-1"])
async def test_a_wrong_threshold_is_told(dataset: Dataset, answer: str) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(120, 30)) as pilot:
        await ready(app, pilot)
        await pilot.press("D")
        app.screen.query_one(Input).value = answer
        await pilot.press("enter")
        await pilot.pause()
        assert "expected a number above 0 and up to 1" in screen_text(app)


async def test_statistics_count_what_is_listed(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        await filtered(app, pilot, "category:list")
        await pilot.press("S")
        await until(pilot, lambda: "20 instances" in screen_text(app))
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, StatisticsScreen) and screen.statistics is not None
        assert "data.jsonl, filter: category:list" in screen_text(app)
        lengths = sorted(words_of(n) for n in range(60) if n % 3 == 2)
        assert screen.statistics.lengths["words"].maximum == lengths[-1]
        shown = screen_text(app)
        assert "words of the response" in shown and "mean" in shown and "┤" in shown
        await pilot.press("2")
        await until(pilot, lambda: "how responses begin" in screen_text(app))
        assert "word word word" in screen_text(app)
        await pilot.press("5")
        await until(pilot, lambda: "category" in screen_text(app))
        assert "list" in screen_text(app) and "20 100 %" in screen_text(app)
        await pilot.press("y")
        assert json.loads(app.clipboard)["instances"] == 20
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, DatasetScreen)


async def test_statistics_of_a_dataset_in_memory(dataset: Dataset) -> None:
    app = app_on(dataset)
    async with app.run_test(size=(40, 20)) as pilot:
        await ready(app, pilot)
        await pilot.press("S")
        await until(pilot, lambda: "60 instances" in screen_text(app))
        for key in ("l", "l", "j", "k", "h", "5", "pagedown", "pageup"):
            await pilot.press(key)
        await pilot.pause()
        assert "category" in screen_text(app)


async def test_leaving_the_statistics_ends_the_counting(path: Path) -> None:
    app = app_on(path)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        await pilot.press("S")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, StatisticsScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DatasetScreen) and not screen._counting.busy)


def built(tmp_path: Path) -> Path:
    """A dataset with edits, for the pictures."""
    path = written(tmp_path / "data.jsonl", ROWS)
    data = load(path)
    edited = EditedDataset(data, Overlay.of(data.path))
    edited.edit(1, {"response": "word word, the end"}, by="extractive")
    edited.edit(2, {"deleted": True}, by="hand")
    edited.edit(4, {"tags": ["long"]}, by="hand")
    return path


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (40, 20)], ids=str)
def test_a_filtered_and_sorted_list(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        screen = await ready(pilot.app, pilot)
        screen.select('words>3 category:open_qa,list,"closed qa"', sort="words")
        await ready(pilot.app, pilot)
        screen.stand_on(1)
        await pilot.press("equals_sign", "equals_sign")
        await pilot.pause()

    assert snap_compare(app_on(built(tmp_path)), terminal_size=size, run_before=before)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=str)
def test_statistics(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await ready(pilot.app, pilot)
        await pilot.press("S")
        await until(pilot, lambda: "59 instances" in screen_text(pilot.app))
        await pilot.pause()

    assert snap_compare(app_on(built(tmp_path)), terminal_size=size, run_before=before)


def test_without_colours(tmp_path: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def before(pilot: Any) -> None:
        await ready(pilot.app, pilot)
        await pilot.press("slash", *"toads", "enter")
        await ready(pilot.app, pilot)

    assert snap_compare(app_on(built(tmp_path)), terminal_size=(80, 24), run_before=before)


async def test_a_first_answer_says_that_it_is_provisional(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking_module, "FIRST", 10)
    rows = [
        *ROWS[:20],
        {"instruction": "Who was Volta?", "input": "", "output": "A physicist of toads.", "category": "x"},
    ]
    heard: list[tuple[int, bool, list[int], str]] = []
    app = app_on(written(path.with_name("ask.jsonl"), rows))
    async with app.run_test(size=(160, 30)) as pilot:
        screen = await ready(app, pilot)
        hear = screen._ranker._heard

        def noted(ranking: ranking_module.Ranking) -> None:
            hear(ranking)
            said = str(app.screen.query_one("#said", Static).content)
            heard.append((ranking.instances, ranking.whole, sorted(ranking.scores), said))

        screen._ranker._heard = noted
        await pilot.press("B", *"toads", "enter")
        await until(pilot, lambda: bool(heard) and heard[-1][1])
    first, last = heard[0], heard[-1]
    assert first[:3] == (10, False, [0, 3, 6, 9])
    assert "provisional, 10 of 21 instances are indexed" in first[3]
    assert last[:3] == (21, True, [0, 3, 6, 9, 12, 15, 18, 20])
    assert "provisional" not in last[3]
