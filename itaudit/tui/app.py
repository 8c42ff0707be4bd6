"""The workbench: which screen stands on which, themes, keys, and what every screen shares."""

import gc
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme

from itaudit import paths
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.tui.config import config_path, read_config, write_config
from itaudit.tui.keymap import read_keymap
from itaudit.tui.telling import told
from itaudit.tui.terminal import end_with_terminal
from itaudit.tui.themes import DEFAULT_THEME, load_themes, token_colors

if TYPE_CHECKING:
    from itaudit.data.cache import Cached
    from itaudit.data.dataset import Dataset
    from itaudit.runs.run import Run
    from itaudit.trace.types import Evidence

HOME = "home"


class ItauditApp(App[None]):
    """Opens on a run or a dataset; without one, on the list of runs."""

    TITLE = "itaudit"
    # What is said for a moment stands over the keys at the foot, where it hides no figure.
    CSS = """
    ToastRack { margin-bottom: 0; align: left bottom; }
    ToastHolder { align-horizontal: left; }
    Toast { width: 1fr; max-width: 100%; margin-top: 0; padding: 0 1; }
    """
    DEFAULT_MODE = "workbench"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit", id="app.quit", tooltip="Quit; a job goes on", priority=False),
        # Textual's own key for the palette goes before whatever is typed into; this one does not.
        Binding("colon", "command_palette", "commands", id="app.commands", tooltip="Everything that can be done here"),
        Binding("question_mark", "help", "help", id="app.help", tooltip="Keys of this screen", key_display="?"),
        Binding("ctrl+c", "quit", "quit", id="app.interrupt", tooltip="Quit; a job goes on", show=False, system=True),
    ]

    def __init__(self, path: Path | None, runs_dir: Path, *, source: "Cached | None" = None, version: str = "") -> None:
        """`source` is the dataset at the path where it is being read already, `version` which of its edits show."""
        super().__init__()
        # Looking through all of the heap for cycles again and again held up keys by a tenth of a second.
        gc.set_threshold(10_000, 20, 100)
        self.path = path
        self.source = source
        self.version = version
        self.runs_dir = runs_dir
        self._problems: list[str] = []
        # Textual can't replace the lowest screen of a stack, so the list of runs gets a stack of its own.
        self.add_mode(self.DEFAULT_MODE, self._first_screen)
        self.add_mode(HOME, self._home)
        if os.environ.get("SSH_CONNECTION"):
            self.animation_level = "none"
        themes, problems = load_themes(paths.config_dir() / "themes")
        self._problems += problems
        for theme in themes:
            self.register_theme(theme)
        self._choose_theme()
        try:
            self.set_keymap(read_keymap())
        except UserError as error:
            self._problems.append(str(error))

    def _choose_theme(self) -> None:
        try:
            wanted = read_config().get("theme", DEFAULT_THEME)
        except UserError as error:
            self._problems.append(str(error))
            wanted = DEFAULT_THEME
        if wanted not in self.available_themes:
            self._problems.append(f"{config_path()}: theme: there is no theme {wanted!r}; `:` lists those there are")
            wanted = DEFAULT_THEME
        self.theme = str(wanted)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return token_colors()

    def _first_screen(self) -> Screen[None]:
        """The screen that everything else is opened from."""
        if self.source is not None:
            return self._dataset(self.source, version=self.version)
        if self.path is None:
            return self._home()
        try:
            return self._screen_of(self.path)
        except UserError as error:
            self._problems.append(str(error))
            return self._home()

    def on_mount(self) -> None:
        if not self.is_headless:
            end_with_terminal(self)
        for problem in self._problems:
            self.notify(visible_line(problem), severity="warning", markup=False, timeout=10)
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        # From then on nobody looks through what the imports and the first screen made, which stays.
        self.set_timer(1.0, gc.freeze)

    def _keep_theme(self, theme: Theme) -> None:
        with told(self):
            write_config({"theme": theme.name})

    def _screen_of(self, path: Path, label: str = "", prompt_id: str | None = None) -> Screen[None]:
        """The screen for a run, an experiment or a dataset; raises UserError where the path is none of them."""
        from itaudit.runs.run import Run, is_run

        if is_run(path):
            run = Run(path)
            return self._stepper(run, label, prompt_id) if run.prompts() else self._live(run)
        # A run need not wait for what reads experiments.
        from itaudit.experiments.experiment import is_experiment

        if is_experiment(path):
            return self._experiment(path)
        return self._dataset(path)

    def _home(self) -> Screen[None]:
        from itaudit.tui.screens.home import HomeScreen

        return HomeScreen(self.runs_dir)

    def _stepper(self, run: "Run", label: str = "", prompt_id: str | None = None) -> Screen[None]:
        from itaudit.tui.screens.stepper import StepperScreen

        return StepperScreen(run, label=label, prompt_id=prompt_id)

    def _experiment(self, path: Path) -> Screen[None]:
        from itaudit.experiments.experiment import Experiment
        from itaudit.tui.screens.experiment import ExperimentScreen

        return ExperimentScreen(Experiment(path))

    def _live(self, run: "Run") -> Screen[None]:
        from itaudit.tui.screens.live import LiveScreen

        return LiveScreen(run)

    def _dataset(
        self,
        source: "Dataset | Path | Cached",
        index: int | None = None,
        highlights: "Sequence[Evidence]" = (),
        version: str = "",
    ) -> Screen[None]:
        from itaudit.tui.screens.dataset import DatasetScreen

        return DatasetScreen(source, index=index, highlights=highlights, version=version)

    def open_run(self, path: Path, label: str = "", prompt_id: str | None = None) -> None:
        """Shows the responses of a run, or the job while there are no prompts yet; or an experiment.

        A `label` and a prompt's id say where in the responses to stand.
        """
        self._open(partial(self._screen_of, path, label, prompt_id))

    def open_live(self, path: Path) -> None:
        """Shows the job of a run."""
        from itaudit.runs.run import Run

        self._open(lambda: self._live(Run(path)))

    def open_dataset(
        self, source: "Dataset | Path", index: int | None = None, highlights: "Sequence[Evidence]" = ()
    ) -> None:
        """Shows a dataset, or the file or folder that holds one; `index` is the row of the source to stand on."""
        self._open(partial(self._dataset, source, index, highlights))

    def open_help(self) -> None:
        """Shows the keys of the screen underneath."""
        from itaudit.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def _open(self, make: Callable[[], Screen[None]]) -> None:
        with told(self):
            self.push_screen(make())

    def action_help(self) -> None:
        self.open_help()

    def pop_screen(self) -> AwaitComplete:
        """Leaves a screen; the last one, for the list of runs."""
        if len(self.screen_stack) > 1:
            return super().pop_screen()
        return AwaitComplete(self._leave_for_home()).call_next(self)

    async def _leave_for_home(self) -> None:
        left = self.current_mode
        if left == HOME:
            return
        await self.switch_mode(HOME)
        await self.remove_mode(left)

    async def action_back(self) -> None:
        self.pop_screen()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that the keys of a screen do, and the theme."""
        keys: defaultdict[str, list[str]] = defaultdict(list)
        actions: dict[str, Callable[[], Awaitable[object]]] = {}
        yield SystemCommand("Theme", "choose a theme, and keep it", self.search_themes)
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.system or not binding.description or binding.action == "command_palette":
                continue
            title = binding.tooltip or binding.description
            keys[title].append(self.get_key_display(binding))
            actions[title] = partial(self.run_action, binding.action, active.node)
        for title, action in actions.items():
            yield SystemCommand(title, f"key {' '.join(dict.fromkeys(keys[title]))}", action)
