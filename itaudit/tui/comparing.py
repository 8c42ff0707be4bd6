"""Two runs side by side, without a screen: which prompt and which flagged span is looked at, and what became of it."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from textual.app import App

from itaudit.analysis.answers import Fate, PhraseFate
from itaudit.errors import UserError
from itaudit.runs.compare import Comparison, Parting, SideAnswer, Spot, comparison, shared_labels
from itaudit.runs.lineage import Lineage, children_of, lineage_of, parent_of
from itaudit.runs.marks import marks_stamp
from itaudit.runs.rows import Prompt
from itaudit.runs.run import Run
from itaudit.runs.state import RunState
from itaudit.runs.watch import Watch
from itaudit.tui.span_rows import SpanRows
from itaudit.tui.telling import say, told

if TYPE_CHECKING:
    from itaudit.detect.spans import ResponseFlags

Kind = Literal["marks", "flags"]
KINDS: tuple[Kind, ...] = ("marks", "flags")
STARTED_HERE = "re-tuned from here"


class Comparing:
    """The place of the user between an older run and the one that was made from it."""

    def __init__(self, old: Run, new: Run, label: str = "", prompt_id: str | None = None) -> None:
        """Stands on a prompt of that id, else on the span that the re-tune was started from, else on the first.

        Raises UserError where the two have no model in common, or files are broken.
        """
        self.old = old
        self.new = new
        self.lineage: Lineage | None = lineage_of(new)
        self.labels = shared_labels(old, new)
        if not self.labels:
            raise UserError(f"{old.name} and {new.name} have no tuned model in common")
        self.watch = Watch(new)
        self.kind: Kind = "marks"
        self.label = label if label in self.labels else self.labels[0]
        self.comparison: Comparison = comparison(old, new, self.label)
        self.prompt_id: str | None = None
        self.spot: Spot | None = None
        self._marks: object = None
        self.poll()
        if not self.spots:
            self.kind = "flags"
            self._forget()
        self._begin(prompt_id)

    def _begin(self, prompt_id: str | None) -> None:
        span = self.lineage.span if self.lineage else None
        if prompt_id is None and span is not None and span.model == self.label:
            prompt_id = span.prompt_id
        if span is not None and (span.model, span.prompt_id) != (self.label, prompt_id):
            span = None
        ids = [prompt.id for prompt in self.order]
        self.prompt_id = prompt_id if prompt_id in ids else ids[0] if ids else None
        here = self.spots_here
        own = [spot for spot in here if span is not None and spot.start < span.end and span.start < spot.end]
        self.spot = next(iter([*own, *here]), None)

    def poll(self) -> bool:
        """Takes in what came since; returns whether anything did. Raises UserError where files are broken."""
        told = self.watch.poll()
        came = self.comparison.poll()
        marks = marks_stamp(self.old.marks_path)
        if came or marks != self._marks:
            self._marks = marks
            self._forget()
            return True
        return told

    def _forget(self) -> None:
        for name in ("order", "spots", "totals", "_flags"):
            self.__dict__.pop(name, None)
        if self.spot is not None and self.spot not in self.spots:
            self.spot = None

    @property
    def state(self) -> RunState:
        """The newer run's job."""
        return self.watch.state

    def choose_label(self, label: str) -> None:
        """Another model of both runs, at the same prompt."""
        self.label = label
        self.comparison = comparison(self.old, self.new, label)
        self.comparison.poll()
        self._forget()
        self._begin(self.prompt_id)

    def next_kind(self) -> None:
        """From the marks alone to all flags, and back."""
        self.kind = KINDS[(KINDS.index(self.kind) + 1) % len(KINDS)]
        self._forget()
        self.spot = next(iter(self.spots_here), None)

    @cached_property
    def order(self) -> tuple[Prompt, ...]:
        """The prompts, those with changed answers first."""
        return self.comparison.order

    @cached_property
    def _flags(self) -> "ResponseFlags":
        # The words of English and more: not before somebody looks.
        from itaudit.detect.spans import ResponseFlags

        return ResponseFlags(self.old, self.label)

    @cached_property
    def spots(self) -> tuple[Spot, ...]:
        """The older answers' flagged stretches, in the order of the prompts, with the one that this began with."""
        found: list[Spot] = []
        span = self.lineage.span if self.lineage else None
        for prompt in self.order:
            flags = [flag for flag in self._flags.flags(prompt.id) if flag.state != "dismissed"]
            if self.kind == "marks":
                flags = [flag for flag in flags if flag.state == "confirmed"]
            here = [
                Spot(prompt.id, flag.start, flag.end, flag.text, flag.label or ", ".join(flag.by)) for flag in flags
            ]
            if span is not None and (span.model, span.prompt_id) == (self.label, prompt.id):
                stands = self._flags.texts.get(prompt.id, "")[span.start : span.end] == span.text
                known = any(spot.start < span.end and span.start < spot.end for spot in here)
                if stands and not known:
                    here.append(Spot(prompt.id, span.start, span.end, span.text, STARTED_HERE))
            found += sorted(here, key=lambda spot: spot.start)
        return tuple(found)

    @property
    def spots_here(self) -> list[Spot]:
        """The flagged stretches of the prompt that is looked at."""
        return [spot for spot in self.spots if spot.prompt_id == self.prompt_id]

    @cached_property
    def totals(self) -> dict[Fate, int]:
        """How many flagged stretches met which fate."""
        return self.comparison.totals(self.spots)

    @property
    def place(self) -> int:
        """Where the prompt stands among all."""
        return next((n for n, prompt in enumerate(self.order) if prompt.id == self.prompt_id), 0)

    @property
    def prompt(self) -> Prompt | None:
        return self.order[self.place] if self.order else None

    @property
    def fate(self) -> PhraseFate | None:
        """What became of the span that is looked at."""
        return self.comparison.fate(self.spot) if self.spot else None

    def answers(self) -> tuple[SideAnswer, SideAnswer] | None:
        """Both answers to the prompt; None where there is no prompt."""
        if self.prompt_id is None:
            return None
        return self.comparison.old.answer(self.prompt_id), self.comparison.new.answer(self.prompt_id)

    def parting(self) -> Parting | None:
        """Where both answers part."""
        return None if self.prompt_id is None else self.comparison.parting(self.prompt_id)

    def move_prompt(self, by: int) -> None:
        """Goes on in the list of prompts, as far as it reaches; stands on the first span there."""
        if self.order:
            self.prompt_id = self.order[max(0, min(self.place + by, len(self.order) - 1))].id
            self.spot = next(iter(self.spots_here), None)

    def move_spot(self, direction: int) -> bool:
        """Goes to the next flagged stretch, of whichever prompt, or the previous one; returns whether there is one."""
        if self.spot is not None:
            place = self.spots.index(self.spot) + direction
        else:
            ids = [prompt.id for prompt in self.order]
            ahead = [n for n, spot in enumerate(self.spots) if (ids.index(spot.prompt_id) - self.place) * direction > 0]
            place = -1 if not ahead else ahead[0] if direction > 0 else ahead[-1]
        if not 0 <= place < len(self.spots):
            return False
        self.spot = self.spots[place]
        self.prompt_id = self.spot.prompt_id
        return True

    def sources(self) -> dict[int, int]:
        """The rows that the older run leads the span to, with their ranks from 1."""
        if self.spot is None:
            return {}
        rows = SpanRows(self.old, self.label).rows(self.spot.prompt_id, self.spot.start, self.spot.end)
        return {row: rank for rank, row in enumerate(rows, 1)}


def compare_from(app: App[Any], run: Run, label: str = "", prompt_id: str | None = None) -> None:
    """Shows a run beside the one that it was made from, or that was made from it; asks where there are several."""
    from itaudit.tui.screens.compare import CompareScreen, PartnersScreen

    with told(app):
        parent = parent_of(run)
        pairs = [(parent, run)] if parent is not None else []
        pairs += [(run, child) for child in children_of(run)]

        def show(pair: tuple[Run, Run] | None) -> None:
            if pair is not None:
                with told(app):
                    app.push_screen(CompareScreen(Comparing(*pair, label, prompt_id)))

        if not pairs:
            lineage = lineage_of(run)
            if lineage is not None:
                say(app, f"{lineage.parent} is gone: {run.name} has nothing to be compared with")
            else:
                say(app, f"{run.name} stands alone: R on its responses tunes it again with the edited dataset")
        elif len(pairs) == 1:
            show(pairs[0])
        else:
            app.push_screen(PartnersScreen(run, pairs), show)
