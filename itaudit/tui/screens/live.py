"""A run at work: its stages, loss curves, device and log, with cancel and resume."""

import os
import time
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.errors import UserError
from itaudit.runs import jobs
from itaudit.runs.run import Run
from itaudit.runs.state import RunState
from itaudit.runs.watch import Watch
from itaudit.sanitize import visible, visible_line
from itaudit.tui.navigation import navigator
from itaudit.tui.progress import device_line, job_mark, job_words, tuning_line
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.loss_plot import LossPlot
from itaudit.tui.widgets.stage_list import StageList
from itaudit.units import duration_text

LOG_LINES = 200
# Below 100 columns panels stand below each other or take turns; so they do where there are few lines.
WIDTHS = [(0, "-narrow"), (100, "-wide")]
HEIGHTS = [(0, "-short"), (14, "-high")]
PANELS = ("loss", "log", "notes")


def poll_seconds() -> float:
    """Between two looks at a run: over SSH every repaint costs bandwidth, so at most two a second."""
    return 0.5 if os.environ.get("SSH_CONNECTION") else 0.25


class LiveScreen(Screen[None]):
    """Follows a run; the job goes on when this screen, or the whole app, is left."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    CSS = """
    LiveScreen { layout: vertical; background: $background; }
    LiveScreen #title { height: 1; padding: 0 1; background: $panel; }
    LiveScreen #message { height: auto; max-height: 4; padding: 0 1; display: none; background: $panel; }
    LiveScreen #message.-said { display: block; }
    LiveScreen #body { height: 1fr; }
    LiveScreen #left { height: auto; max-height: 60%; min-height: 3; }
    LiveScreen #stages { height: auto; max-height: 100%; padding: 0 1; scrollbar-size-vertical: 1; }
    LiveScreen #device { height: auto; max-height: 1; padding: 0 1; color: $foreground-muted; }
    LiveScreen .panel {
        border: round $panel; border-title-color: $primary; border-subtitle-color: $foreground-muted;
        height: 1fr; min-height: 2; padding: 0 1;
        scrollbar-size-vertical: 1; background: $background;
    }
    LiveScreen .panel:focus { border: round $primary; }
    LiveScreen.-narrow .panel { display: none; }
    LiveScreen.-narrow .panel.-chosen { display: block; }
    LiveScreen.-wide #body { layout: grid; grid-size: 2 2; grid-columns: 2fr 3fr; grid-rows: 3fr 2fr; }
    LiveScreen.-wide #left { height: 1fr; max-height: 100%; }
    LiveScreen.-wide #stages { height: 1fr; }
    LiveScreen.-short #device { display: none; }
    LiveScreen.-short .panel { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,b", "open", "responses", id="live.open"),
        Binding("c", "cancel", "cancel", id="live.cancel"),
        Binding("R", "resume", "resume", id="live.resume"),
        Binding("right_square_bracket,tab", "panel(1)", "next panel", id="live.next_panel"),
        Binding("left_square_bracket,shift+tab", "panel(-1)", "previous panel", id="live.previous_panel", show=False),
        Binding("j,down", "scroll(1)", "scroll down", id="live.down", show=False),
        Binding("k,up", "scroll(-1)", "scroll up", id="live.up", show=False),
        Binding("escape", "back", "back", id="live.back"),
    ]

    def __init__(self, run: Run, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.run = run
        self.clock = clock
        self.watcher = Watch(run)
        self._asked = False
        self._cancelling = False
        self._log: list[str] = []
        self._following = True

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Vertical(id="body"):
            with Vertical(id="left"):
                with VerticalScroll(id="stages", can_focus=False):
                    yield StageList()
                yield Static(id="device", markup=False)
            with Vertical(id="loss", classes="panel -chosen"):
                yield LossPlot(id="curves")
                yield Static(id="no-loss", markup=False)
            with VerticalScroll(id="notes", classes="panel", can_focus=False):
                yield Static(id="note-lines", markup=False)
            with VerticalScroll(id="log", classes="panel", can_focus=False):
                yield Static(id="log-lines", markup=False)
        yield Static(id="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._poll()
        self._paint()
        self.set_interval(poll_seconds(), self.look)

    def on_resize(self) -> None:
        self.refresh_bindings()
        # The panels have their new sizes only after the layout.
        self.call_after_refresh(self._paint)

    def on_screen_resume(self) -> None:
        self._paint()

    def look(self) -> None:
        """Reads what is new, and repaints where something changed or a time runs."""
        changed = self._poll()
        if self.is_current and (changed or self.state.current is not None or self._read_log()):
            self._paint()

    def _poll(self) -> bool:
        try:
            return self.watcher.poll()
        except UserError as error:
            self._say(str(error), "$error")
            return False

    @property
    def state(self) -> RunState:
        return self.watcher.state

    def action_open(self) -> None:
        navigator(self).open_run(self.run.path)

    def action_back(self) -> None:
        if self._asked:
            self._asked = False
            self._say("")
        else:
            self.app.pop_screen()

    def action_cancel(self) -> None:
        if self.state.job not in ("queued", "running"):
            self._say(f"Nothing to cancel: the job is {job_words(self.state)}.")
        elif not self._asked:
            self._asked = True
            self._say("Cancel the job? What is done stays, and it can be resumed. c again cancels, escape goes on.")
        else:
            self._asked = False
            try:
                jobs.cancel(self.run)
            except UserError as error:
                self._say(str(error), "$error")
            else:
                self._cancelling = True
                self._say("Cancelling: the worker finishes its step and saves.")
                self._paint()

    def action_resume(self) -> None:
        if self.state.job not in ("failed", "cancelled", "new"):
            self._say(f"Nothing to resume: the job is {job_words(self.state)}.")
            return
        try:
            pid = jobs.start(self.run)
        except UserError as error:
            self._say(str(error), "$error")
        else:
            self._say(f"Worker started (pid {pid}).")
            self.look()

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """All panels are there at once on a wide screen."""
        return not (action == "panel" and self.has_class("-wide"))

    def action_panel(self, step: int) -> None:
        chosen = next(iter(self.query(".panel.-chosen"))).id or PANELS[0]
        following = PANELS[(PANELS.index(chosen) + step) % len(PANELS)]
        for panel in self.query(".panel"):
            panel.set_class(panel.id == following, "-chosen")
        self._titles()
        self.call_after_refresh(self._follow_log)

    def action_scroll(self, step: int) -> None:
        panel = next(iter(self.query(".panel.-chosen")))
        target = panel if panel.max_scroll_y else self.query_one("#stages")
        # At once, so that the next line tells where the panel is and not where it was.
        target.scroll_relative(y=step, animate=False, immediate=True)
        if target.id == "log":
            self._following = target.scroll_offset.y >= target.max_scroll_y

    def _say(self, text: str, style: str = "$warning") -> None:
        message = self.query_one("#message", Static)
        message.update(Content.styled(visible_line(text), style))
        message.set_class(bool(text), "-said")

    def _read_log(self) -> bool:
        log = self.run.log_tail(LOG_LINES)
        changed, self._log = log != self._log, log
        return changed

    def _paint(self) -> None:
        if not self.is_mounted:
            return
        state, now = self.state, self.clock()
        if self._cancelling and state.job not in ("queued", "running"):
            self._cancelling = False
            self._say("")
        self._read_log()
        self.query_one("#title", Static).update(self._title(state, now))
        self._paint_stages(state, now)
        self.query_one("#device", Static).update(Content(device_line(state)))
        self.query_one(LossPlot).show(state.losses)
        self._paint_loss_placeholder(state)
        self._paint_texts(state)
        self._titles()

    def _title(self, state: RunState, now: float) -> Content:
        words = "cancelling" if self._cancelling else job_words(state)
        parts = Content.assemble((visible_line(self.run.name), "bold"), " ▸ ", job_mark(state.job), f" {words}")
        if state.job == "failed":
            parts = parts.stylize("$error")
        if state.stages:
            parts += Content.styled(f"   stages {state.stages_done}/{len(state.stages)}", "$foreground-muted")
        ended = state.job in ("done", "failed", "cancelled")
        if state.started and (end := state.updated if ended else now) > state.started:
            parts += Content.styled(f"   {duration_text(end - state.started)}", "$foreground-muted")
        return parts

    def _paint_stages(self, state: RunState, now: float) -> None:
        empty = "No stage has begun." if state.job != "new" else "The job has not been started; R starts it."
        stages = list(state.stages.values())
        self.query_one(StageList).show(stages, now, Content.styled(empty, "$foreground-muted"))
        for number, stage in enumerate(stages):
            if stage.state == "running":
                box = self.query_one("#stages")
                height = box.scrollable_content_region.height
                if height and not box.scroll_offset.y <= number < box.scroll_offset.y + height:
                    box.scroll_to(y=max(0, number - height // 2), animate=False)

    def _paint_loss_placeholder(self, state: RunState) -> None:
        known = any(state.losses.values())
        tuned = any(stage.stage == "tune" for stage in state.stages.values())
        self.query_one(LossPlot).display = known
        placeholder = self.query_one("#no-loss", Static)
        placeholder.display = not known
        text = "No loss is logged yet." if tuned or not state.stages else "This run tunes no model: there is no loss."
        placeholder.update(Content.styled(text, "$foreground-muted"))

    def _paint_texts(self, state: RunState) -> None:
        text = "\n".join(visible_line(line) for line in self._log) or "The worker has written nothing."
        self.query_one("#log-lines", Static).update(Content(text))
        self.call_after_refresh(self._follow_log)
        notes = [Content.assemble(("• ", "$warning"), visible(note)) for note in state.notes]
        if state.job == "failed" and state.error:
            notes.insert(0, Content.styled(visible(state.error), "$error"))
        shown = Content("\n").join(notes) if notes else Content.styled("No notes.", "$foreground-muted")
        self.query_one("#note-lines", Static).update(shown)

    def _follow_log(self) -> None:
        """Keeps the end of the log in view, unless the user scrolled away from it."""
        for log in self.query("#log") if self._following else ():
            log.scroll_end(animate=False, immediate=True)

    def _titles(self) -> None:
        """Titles of the panels; where only one is shown, it names the others."""
        narrow = self.has_class("-narrow")
        self.query_one("#loss").border_subtitle = Content(tuning_line(self.state))
        counts = {"notes": f" {len(self.state.notes)}" if self.state.notes else ""}
        for panel in self.query(".panel"):
            name = panel.id or ""
            if narrow:
                words = [f"[{each}{counts.get(each, '')}]" if each == name else each for each in PANELS]
                panel.border_title = Content(" ".join(words))
            else:
                titles = {"loss": "loss, nats a token", "log": "worker.log", "notes": f"notes{counts.get('notes', '')}"}
                panel.border_title = Content(titles[name])
