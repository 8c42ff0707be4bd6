"""Home: the experiments and runs, the jobs at work, and the datasets that were opened recently."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import Worker, WorkerState, get_current_worker

from itaudit.errors import UserError
from itaudit.experiments import jobs as experiment_jobs
from itaudit.experiments.experiment import Experiment, is_experiment
from itaudit.experiments.spec import is_experiment_table, read_spec
from itaudit.recipe import read_recipe, read_table
from itaudit.runs import jobs
from itaudit.runs.run import Run, is_run
from itaudit.sanitize import visible_line
from itaudit.tui.experiment_text import job_text
from itaudit.tui.home_scan import ExperimentEntry, RunEntry, Scanner
from itaudit.tui.navigation import navigator
from itaudit.tui.progress import job_mark, job_words, stage_progress, stage_share
from itaudit.tui.recent import RecentDataset, recent_datasets
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PathSuggester, PromptLine
from itaudit.units import age_text, bar, duration_text

SCAN_SECONDS = 1.5
SCAN_GROUP = "home.scan"


@dataclass(frozen=True, slots=True)
class Heading:
    """A line that can't be chosen."""

    text: str


Row = RunEntry | ExperimentEntry | RecentDataset | Heading


class HomeScreen(Screen[None]):
    """Lists runs and datasets; from here everything else is opened."""

    CSS = """
    HomeScreen { layout: vertical; background: $background; }
    HomeScreen #title { height: 1; padding: 0 1; background: $panel; }
    HomeScreen LineList { height: 1fr; padding: 0 0; }
    HomeScreen #empty { height: 1fr; padding: 1 2; display: none; }
    HomeScreen.-empty #empty { display: block; }
    HomeScreen.-empty LineList { display: none; }
    """
    KEY_ORDER = ("list.open", "home.recipe", "home.open_path", "home.progress", "home.cancel", "home.resume")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "recipe", "run a recipe", id="home.recipe"),
        Binding("o", "open_path", "open a path", id="home.open_path"),
        Binding("p", "live", "progress", id="home.progress"),
        Binding("c", "cancel", "cancel", id="home.cancel"),
        Binding("R", "resume", "resume", id="home.resume"),
        # The foot has no room for it at 80 columns.
        Binding("C", "compare", "compare", id="home.compare", show=False, tooltip="Beside the run it was made from"),
        Binding("b", "beside", "side by side", id="home.beside", show=False, tooltip="Its models side by side"),
        Binding("escape", "close", "close", id="home.close", show=False),
    ]
    AUTO_FOCUS: ClassVar[str | None] = "LineList"

    def __init__(self, runs_dir: Path, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.runs_dir = runs_dir
        self.clock = clock
        self._scanner = Scanner(runs_dir)
        self._scanning: Worker[tuple[list[ExperimentEntry], list[RunEntry]]] | None = None
        self._runs: list[RunEntry] = []
        self._experiments: list[ExperimentEntry] = []
        self._rows: list[Row] = []
        self._known = False
        self._cancel_asked: Path | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield LineList(self._line, can_stand=lambda position: not isinstance(self._rows[position], Heading), id="rows")
        yield Static(id="empty", markup=False)
        yield PromptLine(id="prompt")
        yield KeyBar()

    def on_mount(self) -> None:
        self._arrange()
        self.scan()
        self.set_interval(SCAN_SECONDS, self.scan)

    def on_screen_resume(self) -> None:
        self.scan()

    def scan(self) -> None:
        """Looks at the runs off the UI's thread; a scan that is slower than the interval is not overtaken."""
        if self.is_current and (self._scanning is None or self._scanning.is_finished):
            self._scanning = self.run_worker(self._scan, thread=True, group=SCAN_GROUP)

    def _scan(self) -> tuple[list[ExperimentEntry], list[RunEntry]]:
        def cancelled() -> bool:
            return get_current_worker().is_cancelled

        return self._scanner.scan_experiments(cancelled), self._scanner.scan(cancelled)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.worker is self._scanning and event.state is WorkerState.SUCCESS and event.worker.result is not None:
            self._experiments, self._runs = event.worker.result
            first, self._known = not self._known, True
            self._arrange()
            if first:
                self.query_one(LineList).action_first()

    def action_recipe(self) -> None:
        self._ask("recipe", "recipe to run:")

    def action_open_path(self) -> None:
        self._ask("path", "run or dataset to open:")

    def action_close(self) -> None:
        self._cancel_asked = None
        prompt = self.query_one(PromptLine)
        prompt.action_cancel() if prompt.question else prompt.say("")

    def action_live(self) -> None:
        entry = self._chosen()
        if isinstance(entry, RunEntry):
            navigator(self).open_live(entry.run.path)
        elif entry is not None:
            navigator(self).open_run(entry.experiment.path)

    def action_beside(self) -> None:
        entry = self._chosen()
        if isinstance(entry, ExperimentEntry):
            self._say("enter opens the experiment; space there takes cells, b shows them side by side.")
        elif entry is not None:
            from itaudit.tui.beside import Beside, first_cells
            from itaudit.tui.screens.side_by_side import show_beside

            show_beside(self, lambda: Beside(first_cells(entry.run)))

    def action_compare(self) -> None:
        if entry := self._chosen_run():
            from itaudit.tui.comparing import compare_from

            compare_from(self.app, entry.run)

    def action_cancel(self) -> None:
        if (entry := self._chosen()) is None:
            return
        name = visible_line(entry.path.name)
        if self._cancel_asked != entry.path:
            if not entry.at_work:
                self._say(f"{name}: nothing to cancel, the job is {entry.words}.")
                return
            self._cancel_asked = entry.path
            self._say(f"Cancel {name}? What is done stays. c again cancels, escape goes on.", "$warning")
            return
        self._cancel_asked = None
        self._act(entry.cancel, f"Cancelling {name}: the worker finishes its step.")

    def action_resume(self) -> None:
        if (entry := self._chosen()) is None:
            return
        name = visible_line(entry.path.name)
        if entry.at_work or (isinstance(entry, RunEntry) and entry.state.job == "done"):
            self._say(f"{name}: nothing to resume, the job is {entry.words}.")
            return
        self._act(entry.start, f"Resuming {name}.")

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        row = self._rows[event.position]
        if isinstance(row, RecentDataset):
            navigator(self).open_dataset(Path(row.path))
        elif isinstance(row, ExperimentEntry):
            self._say(row.problem, "$error") if row.problem else navigator(self).open_run(row.experiment.path)
        elif isinstance(row, RunEntry):
            if row.problem:
                self._say(row.problem, "$error")
            elif row.state.job == "done":
                navigator(self).open_run(row.run.path)
            else:
                navigator(self).open_live(row.run.path)

    def on_line_list_moved(self) -> None:
        self._cancel_asked = None

    def on_prompt_line_answered(self, message: PromptLine.Answered) -> None:
        self.query_one(LineList).focus()
        answer = message.answer.strip()
        if not answer:
            return
        path = Path(answer).expanduser()
        if message.question == "recipe":
            self._start(path)
        elif is_run(path) or is_experiment(path):
            navigator(self).open_run(path)
        elif path.exists():
            navigator(self).open_dataset(path)
        else:
            self._say(f"{path}: there is no such file or folder", "$error")

    def on_prompt_line_cancelled(self) -> None:
        self.query_one(LineList).focus()

    def _start(self, recipe: Path) -> None:
        try:
            if is_experiment_table(read_table(recipe)):
                experiment = Experiment.create(self.runs_dir, read_spec(recipe))
                experiment_jobs.start(experiment)
                self._say("")
                navigator(self).open_run(experiment.path)
                return
            run = Run.create(self.runs_dir, read_recipe(recipe))
            jobs.start(run)
        except UserError as error:
            self._say(str(error), "$error")
        else:
            self._say("")
            navigator(self).open_live(run.path)

    def _act(self, act: Callable[[], object], done: str) -> None:
        try:
            act()
        except UserError as error:
            self._say(str(error), "$error")
        else:
            self._say(done)
            self.scan()

    def _ask(self, question: str, label: str) -> None:
        self.query_one(PromptLine).ask(question, label, suggester=PathSuggester())

    def _say(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)

    @property
    def _entries(self) -> list[RunEntry | ExperimentEntry]:
        return [*self._experiments, *self._runs]

    def _chosen(self) -> RunEntry | ExperimentEntry | None:
        position = self.query_one(LineList).cursor
        row = self._rows[position] if position < len(self._rows) else None
        return row if isinstance(row, RunEntry | ExperimentEntry) else None

    def _chosen_run(self) -> RunEntry | None:
        entry = self._chosen()
        return entry if isinstance(entry, RunEntry) else None

    def _arrange(self) -> None:
        """The rows anew; the cursor stays on what it stood on, wherever that went."""
        lines = self.query_one(LineList)
        before = self._key(self._rows[lines.cursor]) if lines.cursor < len(self._rows) else None
        datasets = recent_datasets()
        self._rows = [Heading("experiments"), *self._experiments] if self._experiments else []
        if self._runs:
            self._rows += [*([Heading("")] if self._rows else []), Heading("runs"), *self._runs]
        if datasets:
            self._rows += [*([Heading("")] if self._rows else []), Heading("datasets opened recently"), *datasets]
        self.set_class(not self._rows, "-empty")
        lines.show(len(self._rows))
        if before is not None:
            place = [position for position, row in enumerate(self._rows) if self._key(row) == before]
            if place:
                lines.set_reactive(LineList.cursor, place[0])
                lines.remake()
        self.query_one("#empty", Static).update(self._empty())
        self.query_one("#title", Static).update(self._title().truncate(max(1, self.app.size.width - 2), ellipsis=True))

    def _key(self, row: Row) -> str:
        match row:
            case RunEntry() | ExperimentEntry() | RecentDataset():
                return f"{type(row).__name__} {row.path}"
        return f"heading {row.text}"

    def _title(self) -> Content:
        working = sum(entry.at_work for entry in self._entries)
        parts = [f"{len(self._runs)} run{'' if len(self._runs) == 1 else 's'} in {_short(self.runs_dir)}"]
        if count := len(self._experiments):
            parts.insert(0, f"{count} experiment{'' if count == 1 else 's'}")
        if working:
            parts.append(f"{working} at work")
        return Content.assemble(("itaudit", "bold $primary"), "   ", (" · ".join(parts), "$foreground-muted"))

    def _empty(self) -> Content:
        if not self._known:
            return Content.styled("Looking for runs …", "$foreground-muted")
        rows = (
            ("itaudit demo", "in a shell: a whole audit in a few minutes"),
            ("r", "audit a model and data of your own: runs a recipe"),
            ("o", "open a run, or a dataset file, by its path"),
            ("?", "all keys"),
        )
        lines = [Content.assemble((key.ljust(14), "bold $accent"), words) for key, words in rows]
        return Content("\n").join([Content(f"There are no runs in {_short(self.runs_dir)} yet."), Content(), *lines])

    def _line(self, position: int, width: int) -> Content:
        match self._rows[position]:
            case RunEntry() as entry:
                return self._run_line(entry, width)
            case ExperimentEntry() as experiment:
                return self._experiment_line(experiment, width)
            case RecentDataset() as dataset:
                return self._dataset_line(dataset, width)
            case Heading(text):
                return Content.styled(text, "bold $primary")

    def _run_line(self, entry: RunEntry, width: int) -> Content:
        state = entry.state
        name = _fitted(entry.run.name, self._names_width())
        start = Content.assemble(job_mark(state.job), " ", (name, "bold"), "  ")
        age = age_text(self.clock() - entry.changed)
        room = width - start.cell_length - len(age) - 2
        current = state.current
        if entry.problem:
            # The name stands in the line already; what is wrong should fit beside it.
            middle = Content.styled(visible_line(entry.problem.replace(f"{entry.run.path}/", "")), "$error")
        elif current is not None and state.job == "running":
            middle = Content(stage_progress(current, self.clock()))
            if room - middle.cell_length >= 14:
                middle = Content.assemble((bar(stage_share(current), 12), "$primary"), "  ", middle)
        elif state.job == "done" and entry.kl:
            figures = "  ".join(f"{label} {value:.3f}" for label, value in entry.kl)
            middle = Content.assemble("KL ", figures, (" nats", "$foreground-muted"))
        else:
            style = "$error" if state.job == "failed" else "$foreground-muted"
            middle = Content.styled(job_words(state), style)
            if state.job in ("done", "new"):
                middle += Content.styled(f" · {', '.join(entry.labels)}", "$foreground-muted")
        if room < 8:
            return (start + middle).truncate(max(1, width), ellipsis=True)
        return start + middle.truncate(room, ellipsis=True, pad=True) + Content.styled(f"  {age}", "$foreground-muted")

    def _names_width(self) -> int:
        return min(28, max(12, *(len(entry.path.name) for entry in self._entries)))

    def _experiment_line(self, entry: ExperimentEntry, width: int) -> Content:
        progress = entry.progress
        name = _fitted(entry.experiment.name, self._names_width())
        start = Content.assemble(job_mark(progress.job if progress else "failed"), " ", (name, "bold"), "  ")
        age = age_text(self.clock() - entry.changed)
        room = width - start.cell_length - len(age) - 2
        if progress is None:
            middle = Content.styled(visible_line(entry.problem.replace(f"{entry.experiment.path}/", "")), "$error")
        else:
            cells = f"cells {progress.done}/{progress.total}"
            failed = f" · {len(progress.failed)} failed" if progress.failed else ""
            if progress.at_work:
                left = "" if progress.seconds_left is None else f" · {duration_text(progress.seconds_left)} left"
                middle = Content(f"{cells}{left}{failed}")
                if room - middle.cell_length >= 14:
                    whole = (bar(progress.done / (progress.total or 1), 12), "$primary")
                    middle = Content.assemble(whole, "  ", middle)
            else:
                style = "$error" if progress.job == "failed" else "$foreground-muted"
                words = "" if progress.job == "done" else f" · {job_text(progress)}"
                middle = Content.styled(f"{cells}{failed}{visible_line(words)}", style)
        if room < 8:
            return (start + middle).truncate(max(1, width), ellipsis=True)
        return start + middle.truncate(room, ellipsis=True, pad=True) + Content.styled(f"  {age}", "$foreground-muted")

    def _dataset_line(self, dataset: RecentDataset, width: int) -> Content:
        path = Path(dataset.path)
        age = age_text(self.clock() - dataset.opened)
        facts = f"{visible_line(dataset.format)} · {dataset.instances:,}"
        line = Content.assemble(
            "  ", (visible_line(path.name), "bold"), "  ", facts, "  ", (_short(path.parent), "$foreground-muted")
        )
        room = width - len(age) - 2
        if room < 20:
            return line.truncate(max(1, width), ellipsis=True)
        return line.truncate(room, ellipsis=True, pad=True) + Content.styled(f"  {age}", "$foreground-muted")


def _short(path: Path) -> str:
    """A path with ~ for the home directory."""
    absolute = path.absolute()
    home = Path.home()
    shown = Path("~") / absolute.relative_to(home) if absolute.is_relative_to(home) else absolute
    return visible_line(str(shown))


def _fitted(text: str, width: int) -> str:
    return Content(visible_line(text)).truncate(width, ellipsis=True, pad=True).plain
