"""What a re-tune would do, before it starts: the edits, the models, the time that it takes, its name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from itaudit.errors import UserError
from itaudit.runs.lineage import Place
from itaudit.runs.retune import Change, RetunePlan, estimated_seconds, mended_name, retune_plan
from itaudit.runs.run import Run
from itaudit.runs.state import RunState
from itaudit.sanitize import visible_line
from itaudit.tui.background import Background
from itaudit.tui.layout import shortened
from itaudit.tui.telling import say
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.units import duration_text

LISTED = 8
"""Changes that are listed; how many more there are is told."""


@dataclass(frozen=True, slots=True)
class Retune:
    """What the user decided."""

    plan: RetunePlan
    labels: tuple[str, ...]
    name: str
    span: Place | None


class RetuneScreen(ModalScreen[Retune | None]):
    """Tells what was edited and asks for the models and a name; enter starts, escape cancels.

    `span` is where the re-tune is started from, and `sources` are the rows that it leads to.
    """

    CSS = """
    RetuneScreen { background: transparent; align: left bottom; }
    RetuneScreen Vertical {
        width: 1fr; height: auto; max-height: 100%; background: $panel; border-top: solid $primary;
    }
    RetuneScreen Static { height: auto; padding: 0 1; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "start", id="retune.start"),
        Binding("m", "models", "models", id="retune.models"),
        Binding("n", "name", "name", id="retune.name"),
        Binding("escape", "cancel", "back", id="retune.back"),
    ]

    def __init__(self, run: Run, state: RunState, label: str, span: Place | None, sources: tuple[int, ...]) -> None:
        super().__init__()
        self.retuned = run
        self.state = state
        self.label = label
        self.span = span
        self.sources = sources
        self.plan: RetunePlan | None = None
        self.labels: tuple[str, ...] = ()
        self.new_name = mended_name(run.recipe.name)
        self._reading: Background[RetunePlan] = Background(self)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(id="told", markup=False)
            yield PromptLine()

    def on_mount(self) -> None:
        self._paint()

        def work(report: Callable[[RetunePlan], None]) -> None:
            report(retune_plan(self.retuned))

        self._reading.start(work, self._planned, fail=self._refused)

    def on_unmount(self) -> None:
        self._reading.cancel()

    def on_resize(self) -> None:
        self._paint()

    def _planned(self, plan: RetunePlan) -> None:
        self.plan = plan
        self.labels = (self.label,) if self.label in plan.labels else plan.labels
        self._paint()

    def _refused(self, text: str) -> None:
        say(self.app, text)
        self.dismiss(None)

    def action_start(self) -> None:
        if self.plan is not None:
            self.dismiss(Retune(self.plan, self.labels, self.new_name, self.span))

    def action_cancel(self) -> None:
        prompt = self.query_one(PromptLine)
        if prompt.question:
            prompt.action_cancel()
        else:
            self.dismiss(None)

    def action_models(self) -> None:
        """The model that is looked at, each of the others, all of them."""
        if self.plan is None:
            return
        choices: list[tuple[str, ...]] = [(label,) for label in self.plan.labels]
        if len(choices) > 1:
            choices.append(self.plan.labels)
        self.labels = choices[(choices.index(self.labels) + 1) % len(choices)]
        self._paint()

    def action_name(self) -> None:
        self.query_one(PromptLine).ask("retune.name", "name of the new run:", answer=self.new_name)

    def on_prompt_line_answered(self, message: PromptLine.Answered) -> None:
        from itaudit.recipe import check_recipe

        table = self.retuned.recipe.model_dump() | {"name": message.answer.strip()}
        try:
            self.new_name = check_recipe(table, "the re-tune").name
        except UserError as error:
            self.query_one(PromptLine).say(str(error), "$error")
        self.screen.set_focus(None)
        self._paint()

    def on_prompt_line_cancelled(self) -> None:
        self.screen.set_focus(None)

    def _paint(self) -> None:
        self.query_one("#told", Static).update(self._told(max(20, self.app.size.width - 2)))

    def _told(self, width: int) -> Content:
        title = Content.styled(f"Tune {visible_line(self.retuned.name)} again with the edited dataset", "bold $primary")
        plan = self.plan
        if plan is None:
            return Content("\n").join([title, Content.styled("Looking at the edits …", "$foreground-muted")])
        lines = [title, Content(visible_line(plan.data)), self._counted(plan)]
        here = [change for change in plan.changes if change.index in self.sources]
        ordered = [*here, *(change for change in plan.changes if change not in here)]
        lines += [self._line(change, width) for change in ordered[:LISTED]]
        if len(ordered) > LISTED:
            lines.append(Content.styled(f"  and {len(ordered) - LISTED:,} more", "$foreground-muted"))
        lines += [Content.styled(visible_line(remark), "$warning") for remark in plan.remarks]
        seconds = estimated_seconds(self.state, self.labels)
        time = "it is not known how long it takes" if seconds is None else f"about {duration_text(seconds)}"
        models = ", ".join(self.labels)
        lines.append(Content.assemble("model ", (models, "bold"), f" · {time} · prompts and base answers are kept"))
        lines.append(Content.assemble("name  ", (visible_line(self.new_name), "bold")))
        keys = [("enter", "start")]
        if len(plan.labels) > 1:
            keys.append(("m", "models"))
        keys += [("n", "name"), ("escape", "back")]
        lines.append(Content("   ").join(Content.assemble((key, "bold $primary"), f" {words}") for key, words in keys))
        return Content("\n").join(lines)

    def _counted(self, plan: RetunePlan) -> Content:
        count, here = len(plan.changes), len(plan.rows & set(self.sources))
        words = f"{count:,} {'instance' if count == 1 else 'instances'} changed"
        if self.span is not None and self.sources:
            span = shortened(visible_line(self.span.text), 30)
            words += f", {here} of them among the {len(self.sources)} sources of “{span}”"
        return Content(words)

    def _line(self, change: Change, width: int) -> Content:
        mark = "▸ " if change.index in self.sources else "  "
        row = change.after or change.before
        name = visible_line(row.source.instruction) if row is not None else ""
        head = f"#{change.index} {change_words(change)}  "
        return Content.assemble(
            (mark, "$primary"), head, (shortened(name, max(0, width - len(head) - 2)), "$foreground-muted")
        )


def change_words(change: Change) -> str:
    """What happened to an instance, in a few words."""
    if change.after is None:
        return "deleted"
    if change.before is None:
        return "restored"
    was, now = change.before.instance, change.after.instance
    if was.response != now.response:
        before, after = len((was.response or "").split()), len((now.response or "").split())
        more = "" if was.prompt == now.prompt and was.history == now.history else ", prompt edited"
        return f"response {before} → {after} words{more}"
    return "prompt edited"
