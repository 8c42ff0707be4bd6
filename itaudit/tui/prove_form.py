"""What a proof is asked on the stepper: its lines, and the proof that they make."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from itaudit.errors import UserError
from itaudit.proof.spec import CONTROLS, SEEDS, Kind, ProofSpec, Replace, Target
from itaudit.runs.lineage import Place
from itaudit.runs.run import Run
from itaudit.tui.span_rows import SpanRows

FEW = 3
"""Sources that are tested where none holds the whole span."""
METHODS: tuple[tuple[Kind, Replace, str], ...] = (
    ("tail-patch", "drop", "tail patch: one step on each source"),
    ("drop-and-retrain", "drop", "drop and retrain: without the sources"),
    ("drop-and-retrain", "edited", "drop and retrain: with the sources as they are edited"),
)
LINES = ("proof", "spans", "sources", "seeds", "controls")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span with the rows that it may come from, best first; `strict` of them hold all of it."""

    place: Place
    rows: tuple[int, ...]
    strict: int = 0


@dataclass(frozen=True, slots=True)
class ProveForm:
    """The answers so far. `here` is the span under the cursor, `all` all flagged spans of the model with sources."""

    model: str
    here: Candidate | None
    all: tuple[Candidate, ...] | None = None
    method: int = 0
    everything: bool = False
    count: int = FEW
    seeds: int = SEEDS
    controls: int = 0
    lines: tuple[str, ...] = field(default=LINES)

    @property
    def kind(self) -> Kind:
        return METHODS[self.method][0]

    @property
    def spans(self) -> Sequence[Candidate]:
        if self.everything:
            return self.all or ()
        return (self.here,) if self.here is not None else ()

    @property
    def default_controls(self) -> int:
        return self.controls or CONTROLS[self.kind]

    @property
    def most(self) -> int:
        """The most sources that any of the spans has."""
        return max((len(span.rows) for span in self.spans), default=0)

    def moved(self, line: str, step: int) -> "ProveForm":
        """With the answer of a line one step further."""
        match line:
            case "proof":
                return replace(self, method=(self.method + step) % len(METHODS), controls=0)
            case "spans":
                return replace(self, everything=not self.everything) if self.here is not None else self
            case "sources":
                return replace(self, count=max(1, min(self.count + step, max(1, self.most))))
            case "seeds":
                return replace(self, seeds=max(1, min(self.seeds + step, 20)))
            case _:
                return replace(self, controls=max(1, min(self.default_controls + step, 100)))

    def has(self, line: str) -> bool:
        """Whether a line asks anything of this kind of proof."""
        return line != "seeds" or self.kind == "drop-and-retrain"

    def spec(self) -> ProofSpec:
        """The proof. Raises UserError where there is nothing to prove."""
        kind, how, _ = METHODS[self.method]
        if self.everything and self.all is None:
            raise UserError("the flagged spans are still being looked up")
        targets = tuple(
            Target(span.place.prompt_id, span.place.start, span.place.end, span.place.text, span.rows[: self.count])
            for span in self.spans
            if span.rows
        )
        if not targets:
            raise UserError("no flagged span of this model has a source" if self.everything else "no source to test")
        return ProofSpec(kind, self.model, targets, self.controls, self.seeds, how)


def candidate(run: Run, place: Place, rows: Sequence[int] = ()) -> Candidate:
    """A span with its sources; `rows` are those that the screen lists, where it does."""
    found = SpanRows(run, place.model)
    strict = found.strict(place.prompt_id, place.start, place.end)
    return Candidate(place, tuple(rows) or found.rows(place.prompt_id, place.start, place.end), strict)


def flagged(run: Run, label: str) -> tuple[Candidate, ...]:
    """Every flagged span of a model's answers that has sources; dismissed ones are left out."""
    from itaudit.detect.spans import ResponseFlags

    flags, found = ResponseFlags(run, label), SpanRows(run, label)
    spans = []
    for prompt in run.prompts():
        for start, end in flags.spans(prompt.id, "any"):
            if rows := found.rows(prompt.id, start, end):
                place = Place(label, prompt.id, start, end, flags.texts[prompt.id][start:end])
                spans.append(Candidate(place, rows, found.strict(prompt.id, start, end)))
    return tuple(spans)
