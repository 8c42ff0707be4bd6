"""The proofs of a run: how far each is, and what it says of its spans, as sentences with numbers."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.errors import UserError
from itaudit.proof.jobs import Proof, ProofStatus, proofs
from itaudit.proof.spec import ProofSpec, Target
from itaudit.runs.run import Run
from itaudit.sanitize import visible_line
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.progress import job_mark
from itaudit.tui.proofs_told import ProofsTold, ToldVerdict
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.units import bar, duration_text

LOOK_SECONDS = 1.0
_BAR = 12
_VERDICT_STYLES = {"cause shown": "bold $success", "no effect seen": "$warning", "not decided": "$foreground-muted"}


class ProofsScreen(Screen[tuple[str, Target] | None]):
    """Lists a proof's spans under it; gives the model and the span that the user wants to go to.

    `model` is what `p` proves all flagged spans of, if any; `start` sets to work what is asked there.
    """

    CSS = """
    ProofsScreen { layout: vertical; background: $background; }
    ProofsScreen #title { height: 1; padding: 0 1; background: $panel; }
    ProofsScreen LineList { height: 1fr; min-height: 2; }
    ProofsScreen #told { height: auto; max-height: 50%; padding: 0 1; border-top: solid $foreground 30%; }
    """
    AUTO_FOCUS = "LineList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "go to span", id="proofs.open", show=True),
        Binding("p", "prove", "prove all flagged", id="proofs.prove", tooltip="Prove all flagged spans of the model"),
        Binding("c", "cancel", "cancel", id="proofs.cancel"),
        Binding("R", "resume", "resume", id="proofs.resume"),
        Binding("escape", "back", "back", id="proofs.back"),
    ]

    def __init__(self, run: Run, model: str, start: Callable[[ProofSpec | None], None]) -> None:
        super().__init__()
        self.proved = run
        self.model = model
        self.start = start
        self.proofs: tuple[Proof, ...] = ()
        self._folders: set[str] = set()
        self._statuses: dict[str, ProofStatus] = {}
        self._rows: list[tuple[Proof, int]] = []
        self._asked = ""
        self._told = ProofsTold(self, run.path, self._verdicts_came)

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield LineList(self._line, moved=self._moved)
        yield Static(id="told", markup=False)
        yield PromptLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.look()
        self.set_interval(LOOK_SECONDS, self.look)

    def on_unmount(self) -> None:
        self._told.close()

    def look(self) -> None:
        """Reads how far every proof is; those that came meanwhile take their place."""
        folders = {path.parent.name for path in (self.proved.path / "proofs").glob("*/proof.json")}
        if folders != self._folders:
            self._folders, self.proofs = folders, proofs(self.proved)
        self._statuses = {proof.name: proof.status() for proof in self.proofs}
        self._told.poll()
        self._arrange()

    def _arrange(self) -> None:
        lines = self.query_one(LineList)
        before = self._rows[lines.cursor] if lines.cursor < len(self._rows) else None
        self._rows = []
        for proof in self.proofs:
            self._rows += [(proof, -1), *((proof, number) for number in range(len(proof.spec.targets)))]
        lines.show(len(self._rows))
        if before is not None:
            places = [n for n, row in enumerate(self._rows) if (row[0].name, row[1]) == (before[0].name, before[1])]
            if places and places[0] != lines.cursor:
                lines.stand_on(places[0])
        count = len(self.proofs)
        title = f"{count} {'proof' if count == 1 else 'proofs'} of {visible_line(self.proved.name)}"
        working = sum(status.at_work for status in self._statuses.values())
        title += f" · {working} at work" if working else ""
        self.query_one("#title", Static).update(Content.styled(title, "bold"))
        self._paint()

    def _verdicts_came(self) -> None:
        if self._told.problem:
            self.query_one(PromptLine).say(self._told.problem, "$error")
        self._arrange()

    def _moved(self) -> None:
        self._asked = ""
        self._paint()

    def _here(self) -> tuple[Proof, int] | None:
        cursor = self.query_one(LineList).cursor
        return self._rows[cursor] if cursor < len(self._rows) else None

    def _verdict(self, proof: Proof, number: int) -> ToldVerdict | None:
        target = proof.spec.targets[number]
        for told in self._told.verdicts:
            place = (told.proof, told.model, told.prompt_id, told.start, told.end)
            if place == (proof.name, proof.spec.model, target.prompt_id, target.start, target.end):
                return told
        return None

    def _line(self, position: int, width: int) -> Content:
        proof, number = self._rows[position]
        return self._proof_line(proof, width) if number < 0 else self._span_line(proof, number, width)

    def _proof_line(self, proof: Proof, width: int) -> Content:
        status = self._statuses.get(proof.name)
        if status is None:
            return Content(shortened(visible_line(proof.name), max(1, width)))
        name = (visible_line(proof.name), "bold")
        line = Content.assemble(job_mark(status.state), " ", name, f"  {proof.spec.model}")
        share = status.done / status.total if status.total else 0.0
        if status.state != "done":
            line += Content.assemble("  ", (bar(share, _BAR), "$primary"), f" {status.done}/{status.total}")
        if status.seconds_left is not None:
            line += Content(f" · {duration_text(status.seconds_left)} left")
        elif status.state not in ("done", "running"):
            line += Content(f" · {status.state}")
        counts = self._counts(proof)
        return (line + Content.styled(f"  {counts}", "$foreground-muted")).truncate(max(1, width), ellipsis=True)

    def _counts(self, proof: Proof) -> str:
        verdicts = [self._verdict(proof, number) for number in range(len(proof.spec.targets))]
        words = [told.verdict for told in verdicts if told is not None]
        return ", ".join(f"{words.count(word)} {word}" for word in _VERDICT_STYLES if word in words)

    def _span_line(self, proof: Proof, number: int, width: int) -> Content:
        target = proof.spec.targets[number]
        told = self._verdict(proof, number)
        word = told.verdict if told is not None else "…"
        room = max(4, width - text_cells(word) - 6)
        span = shortened(f"“{visible_line(target.text)}” {visible_line(target.prompt_id)}", room)
        pad = " " * max(1, room - text_cells(span))
        return Content.assemble("    ", span, pad, (word, _VERDICT_STYLES.get(word, "")))

    def _paint(self) -> None:
        here = self._here()
        told = self.query_one("#told", Static)
        if here is None:
            told.update(Content.styled("No proof yet. p on a span of the answers starts one.", "$foreground-muted"))
            return
        proof, number = here
        status = self._statuses.get(proof.name)
        if number < 0:
            spans, controls = len(proof.spec.targets), proof.spec.controls
            lines = [
                f"{proof.spec.kind.replace('-', ' ')} of {spans} span{'s' * (spans != 1)}, "
                f"{controls} control{'s' * (controls != 1)}"
            ]
            if proof.spec.kind == "drop-and-retrain":
                lines[0] += f", {proof.spec.seeds} seeds, sources {_replaced(proof.spec)}"
            lines.append(proof.progress())
            if status is not None and status.state == "failed":
                lines += proof.log_tail(2)
            told.update(Content("\n".join(map(visible_line, lines))))
            return
        verdict = self._verdict(proof, number)
        target = proof.spec.targets[number]
        rows = " ".join(f"#{row}" for row in target.sources)
        text = verdict.text if verdict is not None else "Nothing to say yet."
        told.update(Content(f"{visible_line(text)}\n") + Content.styled(f"sources {rows}", "$foreground-muted"))

    def on_line_list_opened(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        here = self._here()
        if here is not None:
            proof, number = here
            self.dismiss((proof.spec.model, proof.spec.targets[max(0, number)]))

    def action_back(self) -> None:
        if self._asked:
            self._asked = ""
            self.query_one(PromptLine).say("")
        else:
            self.dismiss(None)

    def action_cancel(self) -> None:
        here = self._here()
        if here is None:
            return
        proof, prompt = here[0], self.query_one(PromptLine)
        if not self._statuses[proof.name].at_work:
            prompt.say(f"Nothing to cancel: {proof.progress()}.")
        elif self._asked != proof.name:
            self._asked = proof.name
            prompt.say(f"Cancel {proof.name}? What is done stays. c again cancels, escape goes on.", "$warning")
        else:
            self._asked = ""
            self._act(proof.cancel, f"Cancelling {proof.name}: what is done stays.")

    def action_resume(self) -> None:
        here = self._here()
        if here is None:
            return
        proof, status = here[0], self._statuses[here[0].name]
        if status.state == "done" or status.at_work:
            self.query_one(PromptLine).say(f"Nothing to resume: {proof.progress()}.")
            return
        from itaudit.tui.job_watch import watch_proof

        self._act(proof.start, f"{proof.name} goes on where it stopped.")
        watch_proof(self.app, proof)

    def _act(self, act: Callable[[], object], done: str) -> None:
        prompt = self.query_one(PromptLine)
        try:
            act()
        except UserError as error:
            prompt.say(str(error), "$error")
        else:
            prompt.say(done)
            self.look()

    def action_prove(self) -> None:
        """Asks for a proof of all flagged spans of the model."""
        if not self.model or self.model not in self.proved.recipe.tuned_here():
            self.query_one(PromptLine).say("Only a model that this run tuned can be proved: choose one on the answers.")
            return
        from itaudit.tui.screens.prove import ProveScreen

        def asked(spec: ProofSpec | None) -> None:
            self.start(spec)
            self.look()

        self.app.push_screen(ProveScreen(self.proved, self.model, None), asked)


def _replaced(spec: ProofSpec) -> str:
    return "left out" if spec.replace == "drop" else "as they are edited"
