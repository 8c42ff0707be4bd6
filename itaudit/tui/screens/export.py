"""The export: a form that keys step through, and the writing behind it."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.suggester import Suggester
from textual.widgets import Static

from itaudit.data.edited import EditedDataset
from itaudit.data.export import ExportOptions, ExportReport, export
from itaudit.data.overlay import Overlay
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.tui.export_form import ExportForm
from itaudit.tui.screens.choice import ChoiceScreen
from itaudit.tui.telling import say
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PathSuggester, PromptLine
from itaudit.units import duration_text

_TYPED = ("file", "splits", "seed")


class ExportScreen(Screen[str]):
    """Asks what to export and where; gives a line on what was written, empty where nothing was.

    `view` are the positions that the dataset's filter shows, `filter` the filter as it was typed.
    """

    CSS = """
    ExportScreen { layout: vertical; background: $background; }
    ExportScreen #title { height: 1; padding: 0 1; background: $panel; }
    ExportScreen LineList { height: auto; max-height: 9; min-height: 3; margin: 1 0; }
    ExportScreen #told { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "write", "write", id="export.write", tooltip="Write the file"),
        Binding("l,right,space", "step(1)", "change", id="export.next", tooltip="The next choice"),
        Binding("h,left", "step(-1)", "change", id="export.previous", tooltip="The choice before"),
        Binding("escape", "back", "back", id="export.back"),
    ]

    class Done(Message):
        """The export is written, or can't be: then `problem` is the one line to show."""

        def __init__(self, report: ExportReport | None, problem: str = "") -> None:
            super().__init__()
            self.report = report
            self.problem = problem

    def __init__(
        self, edited: EditedDataset, view: list[int], filter: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.edited = edited
        self.view = view
        self.filter = filter
        self.clock = clock
        rows = edited.edited_positions().values()
        deleted = sum(row.deleted for row in rows)
        self.form = ExportForm(
            source=edited.source.path,
            own_format=edited.source.format,
            shown=len(view),
            whole=len(edited) - deleted,
            edited=sum(row.changed and not row.deleted for row in rows),
        )
        if filter:
            self.form.which = "shown"
        self._began: float | None = None
        self._problem = self._written = ""

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield LineList(self._line, len(self.form.rows()))
        yield Static(id="told", markup=False)
        yield PromptLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(LineList).focus()
        self.query_one("#title", Static).update(
            Content.assemble(("export", "bold $primary"), f"  {visible_line(Path(self.edited.source.path).name)}")
        )
        self.set_interval(0.5, self._paint_writing)
        self._paint()

    def _line(self, place: int, width: int) -> Content:
        name, value, about = self.form.rows()[place]
        if name == "file" and len(value) > width - 12:
            # The name matters more than the folders above it.
            value = f"…{value[-max(1, width - 13) :]}"
        line = Content.assemble((name.ljust(12), "$foreground-muted"), (visible_line(value), "bold"))
        if line.cell_length + len(about) + 3 <= width:
            line += Content.styled(f"   {about}", "$foreground-muted")
        return line.truncate(max(1, width), ellipsis=True)

    def _paint(self) -> None:
        self.query_one(LineList).remake()
        out = self.form.out()
        name, folder = visible_line(out.name), visible_line(str(out.parent))
        card = "with a card in it" if self.form.container == "" else "and a card beside it"
        lines = [f"x writes {name} in {folder}, {card} that says what was changed."]
        if self.filter:
            lines.append(f"The filter is {visible_line(self.filter)}.")
        content = Content("\n".join(lines))
        if self._problem:
            content += Content.styled(f"\n\n{visible_line(self._problem)}", "$error")
        if self._written:
            content += Content.styled(f"\n\n{visible_line(self._written)}", "$success")
        self.query_one("#told", Static).update(content)

    def _paint_writing(self) -> None:
        if self._began is not None:
            waited = duration_text(self.clock() - self._began)
            words = f"Writing {visible_line(self.form.path)} … {waited} · escape leaves, the writing goes on"
            self.query_one("#told", Static).update(Content(words))

    def _setting(self) -> str:
        return self.form.rows()[self.query_one(LineList).cursor][0]

    def action_step(self, by: int) -> None:
        if self._began is not None:
            return
        self._problem = ""
        if self._setting() == "file":
            self._ask("file")
            return
        self.form.step(self._setting(), by)
        self._paint()

    def on_line_list_opened(self) -> None:
        if self._setting() in _TYPED:
            self._ask(self._setting())
        else:
            self.action_step(1)

    def _ask(self, name: str) -> None:
        value = next(value for each, value, _ in self.form.rows() if each == name)
        suggester: Suggester | None = PathSuggester() if name == "file" else None
        self.query_one(PromptLine).ask(name, f"{name}:", answer=value, suggester=suggester)

    def on_prompt_line_answered(self, message: PromptLine.Answered) -> None:
        self.query_one(LineList).focus()
        try:
            self.form.answer(message.question, message.answer)
        except UserError as error:
            self._problem = str(error)
        else:
            self._problem = ""
        self._paint()

    def on_prompt_line_cancelled(self) -> None:
        self.query_one(LineList).focus()

    def action_write(self) -> None:
        if self._began is None:
            self._write(overwrite=False)

    def _write(self, overwrite: bool) -> None:
        try:
            options = self.form.options(self.view, self.filter, overwrite=overwrite)
        except UserError as error:
            self._problem = str(error)
            self._paint()
            return
        self._began, self._problem, self._written = self.clock(), "", ""
        self._paint_writing()
        # A daemon thread: writing can't be interrupted, and a half-written file never takes the place of anything.
        arguments = (self.form.out(), options)
        threading.Thread(target=self._export, args=(self.app, *arguments), daemon=True, name="itaudit-export").start()

    def _export(self, app: App[Any], out: Path, options: ExportOptions) -> None:
        try:
            # Edits go on meanwhile; the export is of the state in which it began.
            source, until = self.edited.source, self.edited.overlay.until
            edited = EditedDataset(source, Overlay.of(source.path, until=until))
            report = export(edited, out, options)
        except UserError as error:
            done = self.Done(None, str(error))
        except OSError as error:
            done = self.Done(None, f"{out}: can't be written: {error.strerror}")
        else:
            done = self.Done(report)
        # Once the app has gone, nobody is told.
        with suppress(RuntimeError):
            if not self.post_message(done) and app.is_running:
                # The screen was left meanwhile.
                words = told_report(done.report) if done.report is not None else done.problem
                app.call_from_thread(say, app, words)

    def on_export_screen_done(self, message: Done) -> None:
        waited = self.clock() - (self._began or self.clock())
        self._began = None
        if message.report is not None:
            self._written = told_report(message.report, waited)
        elif "exists already" in message.problem:
            self._paint()
            question = f"{message.problem.partition(':')[0]} exists already."
            choices = [("o", "overwrite it"), ("f", "another file")]
            self.app.push_screen(ChoiceScreen(question, choices), self._chosen)
            return
        else:
            self._problem = message.problem
        self._paint()

    def _chosen(self, key: str | None) -> None:
        if key == "o":
            self._write(overwrite=True)
        elif key == "f":
            self._ask("file")

    def action_back(self) -> None:
        self.dismiss(self._written)


def told_report(report: ExportReport, seconds: float | None = None) -> str:
    """`Wrote 4 instances to a.jsonl (2 changed, 1 deleted left out) in 0 s.`"""
    count = f"{report.instances:,} {'instance' if report.instances == 1 else 'instances'}"
    parts = [f"{report.changed:,} changed"]
    if report.deleted:
        parts.append(f"{report.deleted:,} deleted left out")
    if report.conflicts:
        parts.append(f"{report.conflicts:,} edits in conflict not applied")
    if report.splits:
        parts.append(", ".join(f"{name} {size:,}" for name, size in report.splits.items()))
    where = ", ".join(report.files)
    took = "" if seconds is None else f" in {duration_text(seconds)}"
    return f"Wrote {count} to {where} ({'; '.join(parts)}){took}."
