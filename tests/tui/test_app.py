"""The app around the screens: where it opens, themes, keys, and what it must never import."""

import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from itaudit import paths
from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.keymap import read_keymap
from itaudit.tui.screens.stepper import StepperScreen, poll_seconds
from itaudit.tui.themes import DEFAULT_THEME
from tests.tui import make_run


def write_config(name: str, text: str) -> None:
    paths.config_dir().mkdir(parents=True, exist_ok=True)
    (paths.config_dir() / name).write_text(text)


def screen_name(app: ItauditApp) -> str:
    return type(app.screen).__name__


def messages(app: ItauditApp) -> list[str]:
    return [notification.message for notification in app._notifications]


@pytest.mark.parametrize("what", ["nothing", "run", "begun", "dataset", "missing"])
async def test_the_path_decides_on_the_first_screen(what: str, run: Run, tmp_path: Path) -> None:
    begun = Run.create(tmp_path / "others", run.recipe)
    path, expected = {
        "nothing": (None, "HomeScreen"),
        "run": (run.path, "StepperScreen"),
        "begun": (begun.path, "LiveScreen"),
        "dataset": (Path(run.recipe.data.path), "DatasetScreen"),
        "missing": (tmp_path / "missing.jsonl", "DatasetScreen"),
    }[what]
    app = ItauditApp(path, run.path.parent)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert screen_name(app) == expected


async def test_screens_stack_up_and_escape_leads_back_to_the_list_of_runs(run: Run) -> None:
    app = ItauditApp(None, run.path.parent)
    async with app.run_test() as pilot:
        app.open_run(run.path)
        await pilot.pause()
        app.open_live(run.path)
        await pilot.pause()
        assert screen_name(app) == "LiveScreen"
        await pilot.press("escape")
        assert screen_name(app) == "StepperScreen"
        await pilot.press("escape", "escape", "escape")
        assert screen_name(app) == "HomeScreen" and app.is_running


async def test_a_broken_recipe_is_one_line_and_no_traceback(run: Run) -> None:
    run.recipe_path.write_text("models = [")
    app = ItauditApp(None, run.path.parent)
    async with app.run_test() as pilot:
        app.open_run(run.path)
        await pilot.pause()
        assert screen_name(app) == "HomeScreen"
        assert [
            message for message in messages(app) if "recipe.toml: not a TOML file" in message and "\n" not in message
        ]


async def test_q_quits_and_leaves_the_job_alone(run: Run) -> None:
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test() as pilot:
        before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
        await pilot.press("q")
    assert not app.is_running
    assert before == {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}


async def test_keys_can_be_given_to_other_bindings(run: Run) -> None:
    write_config("keys.toml", '[stepper]\nmark = "z"\n"prompt-next" = "w,space"\n')
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test() as pilot:
        screen = app.screen
        assert isinstance(screen, StepperScreen)
        await pilot.press("w", "space", "j", "m")
        assert screen.stepping.place == 2 and not run.marks()
        await pilot.press("z")
        assert len(run.marks()) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mark = ", "not a TOML file"),
        ("stepper.mark = 3", "stepper.mark: expected keys as a text"),
        ("stepper.mark = ''", "stepper.mark: expected keys as a text"),
        ("\xff", "not a TOML file"),
    ],
)
async def test_a_bad_keymap_is_told_in_one_line_and_the_usual_keys_hold(run: Run, text: str, complaint: str) -> None:
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "keys.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=complaint):
        read_keymap()
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test() as pilot:
        assert [message for message in messages(app) if complaint in message and "\n" not in message]
        await pilot.press("m")
        assert len(run.marks()) == 1


async def test_every_binding_of_the_stepper_and_the_app_has_an_id_and_a_safe_key() -> None:
    unsafe = {f"ctrl+{letter}" for letter in "mihjsq"} | {"shift+enter"}
    seen = set()
    for owner in (StepperScreen, ItauditApp):
        for binding in owner.BINDINGS:
            assert binding.id and binding.id not in seen and binding.tooltip  # type: ignore[union-attr]  # all are Bindings
            seen.add(binding.id)  # type: ignore[union-attr]  # all are Bindings
            assert not unsafe & set(binding.key.split(","))  # type: ignore[union-attr]  # all are Bindings
            assert not {"s", "p", "e"} & set(binding.key.split(","))  # type: ignore[union-attr]  # all are Bindings


async def test_the_theme_is_kept_beside_other_settings(run: Run) -> None:
    write_config("config.toml", 'theme = "itaudit-light"\nother = 3\n')
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test() as pilot:
        assert app.theme == "itaudit-light"
        app.theme = "itaudit-high-contrast"
        await pilot.pause()
    assert tomllib.loads((paths.config_dir() / "config.toml").read_text()) == {
        "theme": "itaudit-high-contrast",
        "other": 3,
    }


@pytest.mark.parametrize("text", ['theme = "none such"', "theme = 3", "theme ="])
async def test_settings_that_cannot_be_used_are_told_and_left_as_they_are(run: Run, text: str) -> None:
    write_config("config.toml", text)
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test():
        assert app.theme == DEFAULT_THEME
        assert [message for message in messages(app) if "config.toml" in message]
    assert (paths.config_dir() / "config.toml").read_text() == text


async def test_over_ssh_nothing_moves_and_runs_are_looked_at_once_a_second(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert poll_seconds() == 0.5
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 1 5.6.7.8 22")
    assert ItauditApp(run.path, run.path.parent).animation_level == "none" and poll_seconds() == 1.0


@pytest.mark.parametrize("begun", [False, True], ids=["done", "begun"])
def test_the_first_screen_on_a_run_waits_for_nothing_heavy(built_run: Run, tmp_path: Path, begun: bool) -> None:
    """Half a second from the start leaves no room for these; all of them come when they are needed."""
    run = make_run.begin_run(tmp_path) if begun else built_run
    program = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from itaudit.tui.app import ItauditApp
        async def main():
            path = Path(sys.argv[1])
            async with ItauditApp(path, path.parent).run_test() as pilot:
                await pilot.pause()
            heavy = {"pandas", "pydantic", "pyarrow.compute", "psutil", "bm25s", "datasets"}
            print(sorted(heavy & set(sys.modules)))
        asyncio.run(main())
        """
    )
    assert run_apart(program, run.path) == ["[]"]


def run_apart(program: str, path: Path) -> list[str]:
    """The lines that a program prints in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=Path(__file__).parents[2],
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.splitlines()


def test_the_screens_import_no_model_library(built_run: Run) -> None:
    """Opens a run, traces a span and opens a source, in a process of its own."""
    program = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from itaudit.tui.app import ItauditApp
        async def main():
            path = Path(sys.argv[1])
            app = ItauditApp(path, path.parent)
            async with app.run_test(size=(120, 40)) as pilot:
                await pilot.press("n", "t")
                await app.workers.wait_for_complete()
                await pilot.press("enter", "escape", "L", "escape", "question_mark", "escape", "escape")
            print(sorted({"torch", "transformers", "peft", "trl", "accelerate"} & set(sys.modules)))
            print(sorted(name for name in sys.modules if name.startswith("itaudit.engine")))
        asyncio.run(main())
        """
    )
    assert run_apart(program, built_run.path) == ["[]", "[]"]
