"""An app that shows one screen and records where it is asked to go, and runs made by the product's own writers."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import psutil
from textual.app import App
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.screen import Screen

from itaudit.data.dataset import Dataset
from itaudit.recipe import check_recipe
from itaudit.runs import events
from itaudit.runs.events import EventLog
from itaudit.runs.run import Run
from itaudit.runs.status import Status
from itaudit.trace.types import Evidence
from itaudit.tui.screens.help import HelpScreen
from itaudit.tui.themes import DEFAULT_THEME, own_themes, token_colors

HOSTILE = "\x1b[2J\x1b]0;owned\x07[/bold][INST] \u202egnp.exe \x00 Z\u0300\u0301\u0302\u0303 漢字 \u200b{x}"
NOW = 1_760_000_000.0
PLAN = [
    ["prepare", ""],
    ["tune", "lft"],
    ["tune", "sft"],
    *([stage, model] for stage in ("generate", "score") for model in ("base", "lft", "sft")),
    ["trace", "lft"],
    ["trace", "sft"],
]


class Harness(App[None]):
    """Shows `screen`; `went` holds what it asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit", id="app.quit"),
        Binding("question_mark", "help", "help", id="app.help"),
    ]

    def __init__(self, screen: Callable[[], Screen[None]], theme: str = DEFAULT_THEME) -> None:
        super().__init__()
        for each in own_themes():
            self.register_theme(each)
        self.theme = theme
        self.shown = screen
        self.went: list[tuple[Any, ...]] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return token_colors()

    def on_mount(self) -> None:
        self.push_screen(self.shown())

    def open_run(self, path: Path, label: str = "", prompt_id: str | None = None) -> None:
        self.went.append(("run", path, label, prompt_id) if label else ("run", path))

    def open_live(self, path: Path) -> None:
        self.went.append(("live", path))

    def open_dataset(
        self, source: Dataset | Path, index: int | None = None, highlights: Sequence[Evidence] = ()
    ) -> None:
        self.went.append(("dataset", source, index, tuple(highlights)))

    def action_help(self) -> None:
        self.open_help()

    def open_help(self) -> None:
        self.push_screen(HelpScreen())


class Clock:
    """A time that goes on when it is told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_run(directory: Path, name: str = "demo") -> Run:
    """A run that nobody has started."""
    table = {
        "name": name,
        "data": {"path": "data.jsonl"},
        "prompts": {"path": "prompts.jsonl"},
        "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
    }
    return Run.create(directory, check_recipe(table, "recipe"))


@contextmanager
def at(monkeypatch: Any, clock: Clock) -> Iterator[None]:
    """Events are dated by a clock."""
    with monkeypatch.context() as patch:
        patch.setattr(events.time, "time", clock)
        yield


def alive(run: Run, state: str = "running") -> None:
    """A status whose worker is alive: this process stands in for it."""
    me = psutil.Process()
    Status(state, os.getpid(), me.create_time(), socket.gethostname(), NOW, NOW).write(run.status_path)


def dead(run: Run) -> None:
    """A status whose worker is gone: its pid is now somebody else's."""
    Status("running", os.getpid(), 1.0, socket.gethostname(), NOW, NOW).write(run.status_path)


def losses(log: EventLog, model: str, steps: range, total: int, at: float = NOW) -> None:
    for step in steps:
        log.append(
            "loss",
            time=at + step,
            model=model,
            step=step,
            steps=total,
            epoch=3 * step / total,
            loss=1.2 + 1.6 / (1 + step / 4),
            learning_rate=5e-5,
            tokens_per_second=1234.0,
        )


def half_done(run: Run) -> EventLog:
    """A run in the middle of tuning its second model, 60 seconds after it began."""
    log = run.event_log()
    log.append("job_queued", time=NOW, pid=os.getpid(), lock="cpu")
    log.append("job_started", time=NOW, pid=os.getpid(), device="cpu (2 cores)", plan=PLAN)
    log.append("stage_started", time=NOW, stage="prepare", model="", total=160, unit="instance", done=0)
    log.append("stage_done", time=NOW + 2, stage="prepare", model="", instances=160)
    for model, start, end in (("lft", 2, 30), ("sft", 30, 60)):
        done = model == "lft"
        log.append("stage_started", time=NOW + start, stage="tune", model=model, total=60, unit="step", done=0)
        losses(log, model, range(1, 61 if done else 31), 60, NOW + start)
        if done:
            log.append("stage_done", time=NOW + end, stage="tune", model=model)
        else:
            log.append("stage_progress", time=NOW + end, stage="tune", model=model, done=30)
    log.append("memory", time=NOW + 60, used=2_400_000_000, total=8_589_934_592)
    log.append("note", time=NOW + 60, text="2 of 160 instances are longer than 1024 tokens and lost their end")
    run.log_path.write_text("loading the base model\nloaded in 0.8 s\ntuning sft: 60 steps\n")
    return log


def finish(log: EventLog, at: float = NOW + 120) -> None:
    """The rest of a run that was half done."""
    log.append("stage_done", time=at - 40, stage="tune", model="sft")
    for stage, model in PLAN[3:]:
        log.append("stage_started", time=at - 30, stage=stage, model=model, total=16, unit="prompt", done=0)
        log.append("stage_done", time=at - 20, stage=stage, model=model)
    log.append("job_done", time=at)


def screen_text(app: App[Any]) -> str:
    """What the screen shows, line by line."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def until(pilot: Pilot[Any], condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for what a screen shows of its own accord; how long that takes is the machine's business."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, screen_text(pilot.app)
        await pilot.pause(0.05)
