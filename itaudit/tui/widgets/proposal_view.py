"""A proposal to judge: the difference from what is there now, and what the checks found about it."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from itaudit.data.instance import Instance
from itaudit.sanitize import visible, visible_line
from itaudit.simplify.proposal import Proposal
from itaudit.tui.checks_text import checks_text
from itaudit.tui.diff_text import Span, diff_text, marked_text
from itaudit.tui.layout import shortened
from itaudit.tui.widgets.reading_pane import ReadingPane

FACT_STYLE = "bold reverse $warning"
CONFIRMED_STYLE = "bold $success"
ASKED_STYLE = "bold reverse blink $error"
VIEWS = ("difference", "proposal", "original")
_PROMPT = 300


class ProposalView(Vertical):
    """Shows a proposal for an instance; facts that are new stand out until they are confirmed."""

    DEFAULT_CSS = """
    ProposalView { height: 1fr; }
    ProposalView ReadingPane { height: 1fr; min-height: 3; }
    ProposalView #checks {
        height: auto; max-height: 40%; padding: 0 1; border-top: solid $panel; border-title-color: $primary;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.kind = VIEWS[0]
        self._instance: Instance | None = None
        self._proposal: Proposal | None = None
        self._confirmed: list[str] = []
        self._asked = -1
        self._whole = Content()
        self._changes: list[int] = []
        self._change = 0

    def compose(self) -> ComposeResult:
        yield ReadingPane(id="difference")
        yield Static(id="checks", markup=False)

    @property
    def reading(self) -> ReadingPane:
        return self.query_one(ReadingPane)

    def show(self, instance: Instance, proposal: Proposal | None, words: str = "") -> None:
        """Shows a proposal, or the instance alone with a line of words while there is none."""
        self._instance, self._proposal = instance, proposal
        self._confirmed, self._asked = [], -1
        if proposal is None or proposal.checks is None:
            self.query_one("#checks", Static).update(Content(visible(words or (proposal.problem if proposal else ""))))
            self.reading.show(self._with_prompt(marked_text(instance.response or ""), "response")[0])
            return
        self._paint()

    def say(self, words: str, style: str = "") -> None:
        """Puts a line in place of the checks."""
        self.query_one("#checks", Static).update(Content.styled(visible(words), style))

    def turn(self) -> None:
        """Shows the difference, the proposal alone, or the original alone."""
        self.kind = VIEWS[(VIEWS.index(self.kind) + 1) % len(VIEWS)]
        if self._proposal is not None and self._proposal.checks is not None:
            self._paint()

    def to_change(self, step: int) -> None:
        """Brings the next stretch that differs into view, or the previous one."""
        if self._changes:
            self._change = (self._change + step) % len(self._changes)
            self.reading.show(self._whole, self._changes[self._change])

    def ask_about(self, fact: int, confirmed: Sequence[str] = ()) -> None:
        """Makes one of the new facts stand out, and brings it into view; -1 for none."""
        self._asked, self._confirmed = fact, list(confirmed)
        self._paint()

    def _paint(self) -> None:
        proposal, instance = self._proposal, self._instance
        assert proposal is not None and proposal.checks is not None and instance is not None
        spans: list[Span] = []
        for number, fact in enumerate(proposal.checks.new_facts):
            style = FACT_STYLE if fact.text not in self._confirmed else CONFIRMED_STYLE
            spans.append((fact.start, fact.end, ASKED_STYLE if number == self._asked else style))
        starts: list[int] = []
        self._changes = []
        if self.kind == "original":
            content = marked_text(proposal.before)
        elif self.kind == "proposal":
            content, starts = marked_text(proposal.after, spans), [start for start, _, _ in spans]
        else:
            diff = diff_text(proposal.before, proposal.after, spans)
            content, starts, self._changes = diff.content, diff.spans, diff.changes
        whole, lead = self._with_prompt(content, self.kind)
        self._changes = [lead + start for start in self._changes]
        focus = lead + starts[self._asked] if 0 <= self._asked < len(starts) else None
        if focus is None and self._changes:
            focus, self._change = self._changes[0], 0
        self._whole = whole
        self.reading.show(whole, focus)
        self.query_one("#checks", Static).update(checks_text(proposal.checks, self._confirmed))

    def _with_prompt(self, content: Content, title: str) -> tuple[Content, int]:
        """The text below its question, and where it begins then."""
        assert self._instance is not None
        prompt = shortened(visible_line(" ".join(self._instance.prompt[: 4 * _PROMPT].split())), _PROMPT)
        lead = Content.assemble(
            (prompt or "(no instruction)", "$foreground-muted"), "\n\n", (title, "bold $primary"), "\n"
        )
        return lead + content, len(lead)
