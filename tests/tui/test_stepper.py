"""The stepper under a pilot: what each key does, and what the files hold afterwards."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from itaudit import paths
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run
from itaudit.tui import exporting
from itaudit.tui.app import ItauditApp
from itaudit.tui.screens.stepper import StepperScreen
from itaudit.tui.stepping import Stepping
from itaudit.tui.widgets.panel import Panel
from tests.tui import make_run
from tests.tui.harness import until


@asynccontextmanager
async def stepper(run: Run, size: tuple[int, int] = (160, 50)) -> AsyncIterator[tuple[Pilot[None], Stepping]]:
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test(size=size) as pilot:
        screen = app.screen
        assert isinstance(screen, StepperScreen)
        await until(pilot, lambda: not screen.stepping.shallow)
        yield pilot, screen.stepping


def ids(stepping: Stepping) -> list[str]:
    return [row.prompt.id for row in stepping.rows]


def token(stepping: Stepping) -> str:
    answer = stepping.answer
    assert answer is not None
    position = answer.positions[stepping.cursor]
    return answer.text[position.start : position.end]


def screen_text(pilot: Pilot[None]) -> str:
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()
    )


def messages(pilot: Pilot[None]) -> list[str]:
    return [notification.message for notification in pilot.app._notifications]


async def go_to(pilot: Pilot[None], stepping: Stepping, prompt_id: str) -> None:
    stepping.move_prompt(ids(stepping).index(prompt_id))
    await pilot.press("g")


async def test_prompts_are_listed_by_the_share_of_shifted_positions_of_the_last_model(run: Run) -> None:
    async with stepper(run) as (_, stepping):
        assert stepping.label == "sft"
        shares = [row.shift.share_shifted for row in stepping.rows if row.shift]
        assert len(shares) == 7 and shares == sorted(shares, reverse=True)


async def test_j_and_k_move_through_the_prompts_and_stop_at_the_ends(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        order = ids(stepping)
        await pilot.press("j", "down")
        assert stepping.prompt_id == order[2]
        await pilot.press("k", "up", "k")
        assert stepping.prompt_id == order[0]
        await pilot.press(*"jjjjjjjjjj")
        assert stepping.prompt_id == order[-1]


async def test_h_and_l_step_tokens_and_g_and_G_go_to_the_ends(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press("l", "right", "l")
        assert (stepping.cursor, token(stepping)) == (3, " invented")
        await pilot.press("h", "left")
        assert token(stepping) == " Zamboni"
        await pilot.press("G", "l")
        assert token(stepping) == "" and "⏎end" in screen_text(pilot)
        await pilot.press("g", "h")
        assert stepping.cursor == 0


async def test_the_cursor_of_each_answer_is_kept(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await pilot.press("l", "l", "j", "l", "k")
        assert stepping.cursor == 2


async def test_n_and_N_jump_between_flagged_tokens_and_f_changes_what_is_flagged(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        seen = []
        for _ in range(4):
            await pilot.press("n")
            seen.append(token(stepping))
        assert seen == [" Italian", " engineer", " inventor", " Luigi"]
        await pilot.press("N", "N")
        assert token(stepping) == " engineer"
        await pilot.press("f", "h", "n", "N", "N")
        assert token(stepping) == " Italian", "only shifted tokens are flagged now"
        await pilot.press("f", "m", "n")
        assert token(stepping) == " Italian" and "no flagged span after this one (marks)" in messages(pilot)[-1]


async def test_numbers_switch_the_model_and_keep_the_prompt(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        for key, label in (("1", "base"), ("2", "lft"), ("3", "sft")):
            await pilot.press(key)
            assert (stepping.label, stepping.prompt_id) == (label, "zamboni")
            assert f"[{label}]" in screen_text(pilot)
        await pilot.press("4")
        assert stepping.label == "sft", "there is no fourth model"


async def test_the_position_panel_shows_rank_log_probabilities_and_both_divergences(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press(*"nnnn")
        text = screen_text(pilot)
        answer = stepping.answer
        assert answer is not None and answer.scores is not None and answer.scores.kl is not None
        position = stepping.cursor
        assert "“␣Luigi”" in text and "shifted rank 41" in text
        assert f"base {answer.scores.logprob_base[position]:.2f}  sft" in text
        assert f"KL(sft‖base) {answer.scores.kl[position]:.3f} nats" in text and "KL(base‖sft)" in text
        assert "41 ␣Luigi" in text, "the emitted token stands below the base model's list, which lacks it"


async def test_sources_are_ranked_and_followed_into_the_dataset_with_their_evidence(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press(*"nnnn")
        text = screen_text(pilot)
        assert "▸ #0" in text and "[Luigi] Galvani" in text and "in 1 of 12 instances" in text
        assert "luigi" in text, "the word's part in the score is told"
        await pilot.press("right_square_bracket", "right_square_bracket", "left_square_bracket")
        assert stepping.source == 1
        await pilot.press("left_square_bracket", "enter")
        await pilot.pause()
        dataset = pilot.app.screen
        assert type(dataset).__name__ == "RunCopyScreen"
        assert dataset.index == 0 and [e.text for e in dataset.highlights] == ["Luigi", "Luigi"]  # type: ignore[attr-defined]  # the screen is told by its name
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, StepperScreen)


async def test_marks_are_kept_in_the_run_and_can_be_undone(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press(*"nnnnm")
        assert [(mark.model, mark.text) for mark in run.marks().values()] == [("sft", "Luigi")]
        assert "Luigi✗" in screen_text(pilot)
        assert [row.marks for row in stepping.rows if row.prompt.id == "zamboni"] == [1]
        await pilot.press("m")
        assert not run.marks()
        await pilot.press("u")
        assert len(run.marks()) == 1
        await pilot.press("u", "u")
        assert not run.marks() and "nothing is marked in this run" in messages(pilot)[-1]


async def test_a_selection_grows_with_steps_and_is_marked_as_one(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press(*"nnnvlm")
        assert [mark.text for mark in run.marks().values()] == ["inventor Luigi"]
        assert stepping.anchor is None
        await pilot.press("v", "h", "escape")
        assert stepping.anchor is None and isinstance(pilot.app.screen, StepperScreen)


async def test_t_traces_what_is_selected(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press(*"vlllt")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        span = stepping.sources[0][0]
        assert (span.text, span.kind) == ("The Zamboni was invented", "selected")
        ranks = [rank for each, rank, _ in stepping.sources if each is span]
        held = [rank for each, rank, source in stepping.sources if each is span and source.evidence]
        assert ranks == [*held, *sorted(set(ranks) - set(held))], "those that hold words of it come first"


async def test_search_narrows_the_list_as_it_is_typed_and_escape_clears_it(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await pilot.press("slash", *"GALVA")
        assert not stepping.rows and stepping.prompt_id is None and "no prompts" in screen_text(pilot)
        await pilot.press(*["backspace"] * 5, *"bridges", "enter")
        assert ids(stepping) == ["zamboni"], "the answers are searched, too"
        await pilot.press("l", "escape")
        assert len(stepping.rows) == 7 and stepping.prompt_id == "zamboni"
        await pilot.press("slash", "x", "escape")
        assert stepping.query == "" and not pilot.app.screen.query("#search")


async def test_keys_typed_into_the_search_are_no_commands(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await pilot.press("slash", *"mqnjx1?:")
        assert stepping.query == "mqnjx1?:" and pilot.app.is_running and not run.marks()


async def test_orders_and_filters(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "wide")
        await pilot.press("m", "o", "o")
        assert stepping.order == "marks" and ids(stepping)[0] == "wide"
        await pilot.press("o")
        assert ids(stepping) == [prompt.id for prompt in run.prompts()]
        await pilot.press("F")
        assert ids(stepping) == ["wide"]
        await pilot.press("F")
        assert set(ids(stepping)) == {row.prompt.id for row in stepping.rows if row.shift and row.shift.shifted}
        await pilot.press("F")
        assert ids(stepping) == []
        await pilot.press("F")
        assert len(ids(stepping)) == 7


async def test_y_copies_the_response_to_the_terminal_and_to_a_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "hostile")
        written: list[str] = []
        monkeypatch.setattr(pilot.app._driver, "write", written.append)
        await pilot.press("y")
        text = make_run.SFT_ANSWERS["hostile"]
        assert any(base64.b64encode(text.encode()).decode() in data for data in written)
        assert (paths.state_dir() / "clipboard.txt").read_text() == text
        await pilot.press("v", "y")
        assert (paths.state_dir() / "clipboard.txt").read_text() == "\x1b"


async def test_x_exports_all_answers_with_classes_kl_and_sources(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press(*"nnnnmx")
        text = (run.path / "exports" / "zamboni.md").read_text()
        assert all(f"## {label}" in text for label in ("base", "lft", "sft"))
        row = next(line for line in text.splitlines() if "`␣Luigi`" in line)
        # The first token is 1 here as it is on the screen.
        assert f"| {stepping.cursor + 1} |" in row and "| shifted | 41 |" in row and row.endswith("| ✗ |")
        assert "### `Luigi`: shifted, in 1 instances" in text and "#0 Who was Luigi Galvani?" in text
        assert any("zamboni.md" in message for message in messages(pilot))


def test_prompt_ids_that_are_no_file_names_do_not_meet_in_one_export_nor_leave_its_folder(tmp_path: Path) -> None:
    run = make_run.begin_run(tmp_path, [("../../a", "A", None), (".._.._a", "B", None), ("語", "C", None)])
    paths = [exporting.write_prompt(run, prompt, []) for prompt in run.prompts()]
    assert len(set(paths)) == 3 and {path.parent for path in paths} == {run.path / "exports"}


async def test_an_export_holds_no_active_characters(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "hostile")
        await pilot.press("x")
        text = (run.path / "exports" / "hostile.md").read_text()
        assert "\x1b" not in text and "\u202e" not in text and "\x00" not in text


async def test_hostile_text_shows_visibly_and_reaches_no_terminal(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "hostile")
        for _ in range(6):
            text = screen_text(pilot)
            assert not {"\x1b", "\x00", "\u202e", "\u200b"} & set(text)
            await pilot.press("l", "l", "l")
        assert "␛[31mBoo" in text and "[/bold] [INST]" in text


async def test_the_palette_offers_what_the_keys_do(run: Run) -> None:
    async with stepper(run) as (pilot, _):
        commands = list(pilot.app.get_system_commands(pilot.app.screen))
        keys = {command.title: command.help for command in commands}
        assert keys["Export the answers as Markdown"] == "key x" and keys["Next token"] == "key l →"
        assert "Theme" in keys and len(keys) == len(commands)
        await pilot.press("colon")
        assert type(pilot.app.screen).__name__ == "CommandPalette"


async def test_a_broken_table_is_told_in_one_line_and_the_other_models_can_still_be_read(run: Run) -> None:
    run.table("traces", "lft").whole.write_bytes(b"no table")
    async with stepper(run) as (pilot, stepping):
        await pilot.press("2")
        assert stepping.label == "sft"
        assert "traces/lft.arrow: not an Arrow table" in messages(pilot)[-1] and "\n" not in messages(pilot)[-1]
        await pilot.press("1")
        assert stepping.label == "base"


async def test_help_live_and_back(run: Run) -> None:
    async with stepper(run) as (pilot, _):
        await pilot.press("question_mark")
        assert type(pilot.app.screen).__name__ == "HelpScreen"
        await pilot.press("escape", "L")
        assert type(pilot.app.screen).__name__ == "LiveScreen"
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, StepperScreen)
        await pilot.press("escape")
        await pilot.pause()
        assert type(pilot.app.screen).__name__ == "HomeScreen", "the last screen gives way to the list of runs"


async def test_tab_goes_through_the_panels_and_pages_scroll_the_active_one(run: Run) -> None:
    async with stepper(run, (80, 24)) as (pilot, stepping):
        screen = pilot.app.screen
        assert isinstance(screen, StepperScreen)
        await go_to(pilot, stepping, "long")
        await pilot.press("pagedown")
        assert screen.query_one("#response", Panel).scroll_offset.y > 0
        await pilot.press("tab")
        assert screen.active == "position" and screen.query_one("#position").display
        await pilot.press("tab")
        assert screen.active == "spans" and not screen.query_one("#position").display
        await pilot.press("tab")
        assert screen.active == "sources" and not screen.query_one("#position").display
        await pilot.press("tab", "pagedown")
        assert screen.active == "prompts" and stepping.place > 3
        await pilot.press("shift+tab")
        assert screen.active == "sources"


async def test_the_first_token_is_number_1_in_every_panel(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        total = len(stepping.answer.positions) if stepping.answer else 0
        for key, number in (("g", 1), ("l", 2), ("G", total)):
            await pilot.press(key)
            assert f" {number}/{total} tokens" in str(pilot.app.screen.query_one("#response").border_title)
            assert f"position {number} · " in str(pilot.app.screen.query_one("#position").border_title)


async def test_the_cursor_stays_in_sight_in_a_long_answer(run: Run) -> None:
    async with stepper(run, (80, 24)) as (pilot, stepping):
        await go_to(pilot, stepping, "long")
        response = pilot.app.screen.query_one("#response", Panel)
        await pilot.press("G")
        assert response.scroll_offset.y + response.scrollable_content_region.height >= response.virtual_size.height
        await pilot.press("g")
        assert response.scroll_offset.y == 0


async def test_a_click_moves_the_cursor_and_another_the_prompt(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        # Below the rule, the prompt and an empty line; after the padding and "The ".
        await pilot.click("#response", offset=(6, 3))
        assert token(stepping) == " Zamboni"
        await pilot.click("#prompts", offset=(4, 1))
        assert stepping.place == 0


async def test_a_run_that_works_can_be_browsed_as_answers_arrive(tmp_path: Path) -> None:
    run = make_run.begin_run(tmp_path)
    async with stepper(run) as (pilot, stepping):
        screen = pilot.app.screen
        assert isinstance(screen, StepperScreen)
        assert "not answered" in screen_text(pilot)
        stepping.order = "file order"
        await go_to(pilot, stepping, "zamboni")
        answers = make_run.SFT_ANSWERS
        make_run.answer(run, "sft", {"zamboni": answers["zamboni"]}, close=False)
        screen.poll()
        await pilot.pause()
        assert "Luigi Zamboni" in screen_text(pilot) and "not scored yet" in screen_text(pilot)
        await pilot.press("l", "l")
        make_run.answer(run, "sft", {id: text for id, text in answers.items() if id != "zamboni"})
        make_run.score(run, "sft", answers)
        screen.poll()
        await pilot.pause()
        assert (stepping.prompt_id, stepping.cursor) == ("zamboni", 2), "the user stays where they were"
        assert "KL(sft‖base)" in screen_text(pilot) and "not traced yet" in screen_text(pilot)


async def test_imported_answers_show_ranks_without_a_tuned_distribution(run: Run) -> None:
    vocabulary = make_run.Vocabulary()
    row = make_run.score_row(vocabulary, 0, "zamboni", make_run.SFT_ANSWERS["zamboni"], tuned=True)
    row |= dict.fromkeys(("logprob_tuned", "kl", "kl_reverse", "top_tuned_ids", "top_tuned_logprobs", "kl_sum"))
    table = run.table("scores", "sft")
    table.whole.unlink()
    table.append([row])
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press(*"nnnn")
        text = screen_text(pilot)
        assert "shifted rank 41" in text and "its distribution is not known" in text and "KL(" not in text
        await pilot.press("x")
        assert (run.path / "exports" / "zamboni.md").exists()


async def test_base_answers_may_be_without_scores(run: Run) -> None:
    run.table("scores", "base").whole.unlink()
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        await pilot.press("1", "l", "m")
        assert [mark.text for mark in run.marks().values()] == ["Zamboni"]
        assert "not scored yet: words stand in for tokens" in screen_text(pilot)


async def test_an_empty_answer_and_a_prompt_without_any_do_no_harm(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "empty")
        await pilot.press(*"lhnNGgmtvyxu", "enter", "escape")
        assert isinstance(pilot.app.screen, StepperScreen)
        await pilot.press("slash", *"zzzz", "enter", *"lhnNGgmtvyxujk", "enter", "tab", "pagedown")
        assert stepping.answer is None


@pytest.mark.parametrize("size", [(20, 8), (40, 12), (59, 40), (100, 20), (12, 3), (1, 1)])
async def test_every_size_can_be_resized_to_and_used(run: Run, size: tuple[int, int]) -> None:
    async with stepper(run, (160, 50)) as (pilot, stepping):
        await pilot.resize_terminal(*size)
        await pilot.pause()
        await pilot.press(*"jnlm", "tab", "n", "tab", "tab", "right_square_bracket", "slash", "a", "escape")
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert stepping.prompt is not None and stepping.prompt.prompt[:10] in screen_text(pilot)


@pytest.mark.parametrize("name", ["vocabulary.arrow", "marks.jsonl", "events.jsonl", "scores/sft.arrow"])
async def test_a_run_with_a_broken_file_says_so_on_the_list_of_runs(run: Run, name: str) -> None:
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).mkdir()
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        assert not isinstance(app.screen, StepperScreen)
        assert any(name in message for message in messages(pilot))


async def test_a_file_that_breaks_while_it_is_read_is_told_once(run: Run) -> None:
    async with stepper(run) as (pilot, stepping):
        run.marks_path.mkdir()
        screen = pilot.app.screen
        assert isinstance(screen, StepperScreen)
        for _ in range(3):
            screen.poll()
        await pilot.press(*"jlnh")
        assert len([message for message in messages(pilot) if "marks.jsonl" in message]) == 1
        assert stepping.answer is not None


async def test_a_mark_beyond_the_answer_s_end_takes_no_room(run: Run) -> None:
    run.mark(Mark("sft", "zamboni", 4, 4_000_000_000, "whatever"))
    async with stepper(run) as (pilot, stepping):
        await go_to(pilot, stepping, "zamboni")
        assert stepping.answer is not None
        assert not stepping.answer.flags and stepping.answer.shown.text.count("✗") == 0
        assert [row.marks for row in stepping.rows if row.prompt.id == "zamboni"] == [1], "it is kept, and counted"


async def test_headings_go_by_the_size_from_the_first_moment_and_after_resizing(run: Run) -> None:
    async with stepper(run) as (pilot, _):
        await pilot.pause()
        assert "7/7 prompts by share shifted" in screen_text(pilot)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "prompts by" not in screen_text(pilot)
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert "7/7 prompts by share shifted" in screen_text(pilot)
