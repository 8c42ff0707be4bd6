"""What a proof would do, before it starts: which kind, of which spans, with which sources, and how long it takes."""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from itaudit.errors import UserError
from itaudit.proof.spec import ProofSpec
from itaudit.runs.run import Run
from itaudit.sanitize import visible_line
from itaudit.tui.background import Background
from itaudit.tui.layout import shortened
from itaudit.tui.prove_form import FEW, LINES, METHODS, Candidate, ProveForm, flagged
from itaudit.units import duration_text

_NAMED = 8
"""Sources that are named by their rows."""


class ProveScreen(ModalScreen[ProofSpec | None]):
    """Asks what to prove; enter starts, escape cancels. Without a span `here` it asks of all flagged ones."""

    CSS = """
    ProveScreen { background: transparent; align: left bottom; }
    ProveScreen Static {
        width: 1fr; height: auto; max-height: 100%; padding: 0 1; background: $panel; border-top: solid $primary;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "line(1)", "line", id="prove.down"),
        Binding("k,up", "line(-1)", "line", id="prove.up"),
        Binding("l,right", "change(1)", "change", id="prove.more"),
        Binding("h,left", "change(-1)", "change", id="prove.less"),
        Binding("enter", "start", "start", id="prove.start"),
        Binding("escape", "cancel", "back", id="prove.back"),
    ]

    def __init__(self, run: Run, model: str, here: Candidate | None) -> None:
        super().__init__()
        self.proved = run
        count = here.strict if here is not None and here.strict else FEW
        count = min(count, max(1, len(here.rows))) if here is not None else count
        self.form = ProveForm(model, here, everything=here is None, count=count)
        self.line = "proof"
        self.seconds: float | None = None
        self.problem = ""
        self.reckoning = True
        self._estimating: Background[float | None] = Background(self)
        self._looking: Background[tuple[Candidate, ...]] = Background(self)

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def on_mount(self) -> None:
        def work(report: Callable[[tuple[Candidate, ...]], None]) -> None:
            report(flagged(self.proved, self.form.model))

        self._looking.start(work, self._looked, fail=self._failed)
        self._changed()

    def on_unmount(self) -> None:
        self._looking.cancel()
        self._estimating.cancel()

    def on_resize(self) -> None:
        self._paint()

    def _looked(self, spans: tuple[Candidate, ...]) -> None:
        self.form = replace(self.form, all=spans)
        self._changed()

    def _failed(self, problem: str) -> None:
        self.problem, self.seconds, self.reckoning = problem, None, False
        self._paint()

    def action_line(self, by: int) -> None:
        lines = [line for line in LINES if self.form.has(line)]
        self.line = lines[(lines.index(self.line) + by) % len(lines)] if self.line in lines else lines[0]
        self._paint()

    def action_change(self, step: int) -> None:
        self.form = self.form.moved(self.line, step)
        self._changed()

    def action_start(self) -> None:
        if not self.problem:
            try:
                self.dismiss(self.form.spec())
            except UserError as error:
                self._failed(str(error))

    def action_cancel(self) -> None:
        self.dismiss(None)

    def _changed(self) -> None:
        """Tells anew how long it takes, or why it can't be."""
        self.problem, self.seconds, self.reckoning = "", None, True
        try:
            spec = self.form.spec()
        except UserError as error:
            self._failed(str(error))
            return

        def work(report: Callable[[float | None], None]) -> None:
            from itaudit.proof.jobs import estimate

            report(estimate(self.proved, spec))

        self._estimating.start(work, self._estimated, fail=self._failed)
        self._paint()

    def _estimated(self, seconds: float | None) -> None:
        self.seconds, self.reckoning = seconds, False
        self._paint()

    def _paint(self) -> None:
        width = max(20, self.app.size.width - 2)
        title = f"Prove what made {visible_line(self.form.model)} of {visible_line(self.proved.name)} say it"
        lines = [Content.styled(shortened(title, width), "bold $primary")]
        for line in LINES:
            if not self.form.has(line):
                continue
            here = line == self.line
            text = shortened(self._value(line), max(4, width - 12))
            value = Content.styled(f"‹ {text} ›", "bold") if here else Content(f"  {text}")
            lines.append(Content.assemble(("▸ " if here else "  ", "$cursor"), f"{line:<9}", value))
        lines.append(self._time())
        keys = [("j/k", "line"), ("h/l", "change"), ("enter", "start"), ("escape", "back")]
        lines.append(Content("   ").join(Content.assemble((key, "bold $primary"), f" {words}") for key, words in keys))
        self.query_one(Static).update(Content("\n").join(lines))

    def _value(self, line: str) -> str:
        form = self.form
        match line:
            case "proof":
                return METHODS[form.method][2]
            case "spans":
                if form.everything:
                    known = "looking them up …" if form.all is None else f"{len(form.all):,} with sources"
                    return f"all flagged spans of {form.model}: {known}"
                return f"“{visible_line(form.here.place.text)}”" if form.here is not None else "none"
            case "sources":
                if form.everything or form.here is None:
                    return f"up to {form.count} of each"
                rows = form.here.rows[: form.count]
                names = " ".join(f"#{row}" for row in rows[:_NAMED]) + (" …" if len(rows) > _NAMED else "")
                strict = min(form.here.strict, form.count)
                return f"{len(rows)} of {len(form.here.rows)}: {names}" + (f" ({strict} hold all of it)" * (strict > 0))
            case "seeds":
                return str(form.seeds)
            case _:
                what = "random instances" if form.kind == "tail-patch" else "random drops"
                return f"{form.default_controls} {what}"

    def _time(self) -> Content:
        if self.problem:
            return Content.styled(visible_line(self.problem), "$error")
        if self.reckoning:
            return Content.styled("reckoning how long it takes …", "$foreground-muted")
        if self.seconds is None:
            return Content("it is not known how long it takes; the job is detached, and can be cancelled and resumed")
        return Content(f"about {duration_text(self.seconds)}; the job is detached, and can be cancelled and resumed")
