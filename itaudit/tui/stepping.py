"""What the stepper does, without a screen: which prompt, model, token and source is looked at, and marks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from itaudit.errors import UserError
from itaudit.runs.detections import DETECTORS, Detection, Detector
from itaudit.runs.marks import Mark, Place, marks_stamp
from itaudit.runs.rows import Prompt, PromptShift
from itaudit.runs.run import BASE, Run
from itaudit.runs.state import RunState
from itaudit.runs.tables import GrowingTable
from itaudit.runs.watch import Watch
from itaudit.trace.types import Source, Span
from itaudit.tui.answer import Answer
from itaudit.tui.answer_causes import AnswerCauses
from itaudit.tui.prompt_starts import prompt_starts
from itaudit.tui.span_causes import held_offsets
from itaudit.tui.walking import SHIFTS, Walk, walk_spans

Order = Literal["share shifted", "KL", "marks", "file order"]
ORDERS: tuple[Order, ...] = ("share shifted", "KL", "marks", "file order")
Filter = Literal["all", "marked", "with shifted", "not answered"]
FILTERS: tuple[Filter, ...] = ("all", "marked", "with shifted", "not answered")

EXPERIMENT = "experiment.toml"
"""What the folder above a run's holds where the run is part of an experiment."""
QUICK = 0.2
"""Seconds that reading all lists may take at every look at a run; beyond, they are read less often."""


@dataclass(frozen=True, slots=True)
class PromptRow:
    """A prompt in the list, with what is known of the current model's answer to it."""

    prompt: Prompt
    start: str
    """What tells the prompt from the others, in a line of visible text."""
    answered: bool
    shift: PromptShift | None
    marks: int
    """Marks that call a stretch untrue."""
    judged: bool
    """Whether there is a mark of any label."""


class Stepping:
    """The place of the user in a run. Every method that moves keeps the place valid."""

    def __init__(self, run: Run, now: Callable[[], float] = time.time) -> None:
        self.run = run
        self.now = now
        self.label = run.labels[-1]
        self.order: Order = ORDERS[0]
        self.filter: Filter = FILTERS[0]
        self._walk: Walk | None = None
        self.query = ""
        self.prompt_id: str | None = None
        self.anchor: int | None = None
        self.source = 0
        self._watch = Watch(run)
        self._cursors: dict[tuple[str, str], int] = {}
        self._traced: dict[tuple[str, str], tuple[Span, ...]] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._explained: dict[tuple[str, str], AnswerCauses] = {}
        self.shallow = False
        """Whether flags and causes are left out, which take longer to import than the first frame may wait."""
        self._versions: object = None
        self._marked: object = None
        self._read = 0.0
        self._reading_took = 0.0
        self.poll()

    def poll(self) -> bool:
        """Reads what the worker has written since the last time; returns whether anything changed.

        Raises UserError where a file of the run is broken.
        """
        told = self._watch.poll()
        versions = (
            self.run.prompts_path.exists(),
            *(self.run.table(kind, self.label).version() for kind in ("responses", "scores", "traces", "causes")),
            *(table.version() for table in self._detection_tables()),
        )
        stamp = marks_stamp(self.run.marks_path)
        if versions == self._versions and stamp != self._marked:
            # What the tables say stays, however long it took to read.
            self._marks = _by_answer(self.run.marks())
            self._marked = stamp
            self._answers = {
                key: answer.marked([] if self.shallow else self._marks.get(key, []))
                for key, answer in self._answers.items()
            }
            self._explained = {
                key: explained.about(self._answers[key])
                for key, explained in self._explained.items()
                if key in self._answers
            }
            self._relist()
            return True
        if versions == self._versions or (self._versions is not None and self._too_soon()):
            return told
        began = time.perf_counter()
        # Read again with each answer, and drawn from: what is broken had better be told now.
        for table in (*(self.run.table(kind, self.label) for kind in ("traces", "causes")), *self._detection_tables()):
            table.read()
        self.run.token_text(0)
        _ = self.run.thresholds
        self.run.marks()
        self._versions, self._marked = versions, stamp
        self._forget("_texts", "_starts", "_shifts", "_marks", "rows", "detectors")
        self._read = time.perf_counter()
        self._reading_took = self._read - began
        return True

    def _detection_tables(self) -> list[GrowingTable]:
        return [self.run.detections(detector, self.label) for detector in DETECTORS]

    def deepen(self) -> None:
        """Takes in flags and causes, too, from now on."""
        self.shallow = False
        self._answers.clear()

    def _too_soon(self) -> bool:
        """Whether lists that take long to read were read just now: a big run at work must not hold up the keys."""
        waited = time.perf_counter() - self._read
        return self._reading_took > QUICK and waited < 10 * self._reading_took

    @property
    def state(self) -> RunState:
        """The job's state, as far as it can be believed."""
        return self._watch.state

    def _forget(self, *names: str) -> None:
        """Drops what is read of the lists named, and what is made of them."""
        self._answers.clear()
        self._explained.clear()
        for name in names:
            self.__dict__.pop(name, None)
        self._keep_place()

    @cached_property
    def _texts(self) -> dict[str, str]:
        columns = self.run.table("responses", self.label).read().select(["prompt_id", "response"])
        return dict(zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True))

    @cached_property
    def _starts(self) -> dict[str, str]:
        return prompt_starts(self.run.prompts())

    @cached_property
    def where(self) -> str:
        """The run's name, with its experiment's where it is part of one."""
        runs = self.run.path.parent
        experiment = runs.parent if runs.name == "runs" and (runs.parent / EXPERIMENT).is_file() else None
        return f"{experiment.name} {self.run.name}" if experiment else self.run.name

    @cached_property
    def _shifts(self) -> dict[str, PromptShift]:
        return self.run.prompt_shifts(self.label)

    @cached_property
    def _marks(self) -> dict[tuple[str, str], list[Mark]]:
        return _by_answer(self.run.marks())

    @cached_property
    def rows(self) -> list[PromptRow]:
        """The prompts that pass the filter and the search, in the order asked for."""
        answered = set(self._texts)
        rows = [
            PromptRow(
                prompt,
                self._starts[prompt.id],
                prompt.id in answered,
                self._shifts.get(prompt.id),
                sum(mark.flagged for mark in self._marks.get((self.label, prompt.id), ())),
                (self.label, prompt.id) in self._marks,
            )
            for prompt in self.run.prompts()
        ]
        keep: dict[Filter, Callable[[PromptRow], bool]] = {
            "all": lambda _: True,
            "marked": lambda row: row.judged,
            "with shifted": lambda row: row.shift is not None and row.shift.shifted > 0,
            "not answered": lambda row: not row.answered,
        }
        rows = [row for row in rows if keep[self.filter](row) and self._found(row.prompt)]
        largest_first: dict[Order, Callable[[PromptRow], float]] = {
            "share shifted": lambda row: row.shift.share_shifted if row.shift else -1.0,
            "KL": lambda row: (row.shift.kl_mean or 0.0) if row.shift else -1.0,
            "marks": lambda row: row.marks,
            "file order": lambda _: 0.0,
        }
        rank = largest_first[self.order]
        return sorted(rows, key=lambda row: -rank(row))

    def _found(self, prompt: Prompt) -> bool:
        if not self.query:
            return True
        query = self.query.casefold()
        texts = (prompt.id, prompt.prompt, self._texts.get(prompt.id, ""))
        return any(query in text.casefold() for text in texts)

    def _relist(self) -> None:
        self.__dict__.pop("rows", None)
        self._keep_place()

    def _keep_place(self) -> None:
        """The prompt stays; where the list has lost it, the first in the list takes its place."""
        ids = [row.prompt.id for row in self.rows]
        if self.prompt_id not in ids:
            self.prompt_id = ids[0] if ids else None
            self.anchor, self.source = None, 0

    @property
    def place(self) -> int:
        """Where the current prompt stands in the list; 0 where the list is empty."""
        return next((n for n, row in enumerate(self.rows) if row.prompt.id == self.prompt_id), 0)

    @property
    def prompt(self) -> Prompt | None:
        return self.rows[self.place].prompt if self.rows else None

    @property
    def answer(self) -> Answer | None:
        """The current model's answer to the current prompt; None where the list is empty."""
        return None if self.prompt_id is None else self.answer_of(self.label, self.prompt_id)

    def answer_of(self, label: str, prompt_id: str) -> Answer:
        """One model's answer to one prompt, with the user's own traces among its spans."""
        key = (label, prompt_id)
        if key not in self._answers:
            spans = self.run.spans(label, prompt_id)
            own = self._traced.get(key, ())
            self._answers[key] = Answer(
                label,
                prompt_id,
                self.run.response(label, prompt_id),
                self.run.token_scores(label, prompt_id),
                (*own, *(spans or ())) if own or spans is not None else None,
                [] if self.shallow else self._marks.get(key, []),
                self.run.thresholds,
                {} if self.shallow else self._detections(label, prompt_id),
            )
        return self._answers[key]

    def _detections(self, label: str, prompt_id: str) -> dict[Detector, Detection]:
        found = ((name, self.run.detection(name, label, prompt_id)) for name in self.run.detectors(label))
        return {name: detection for name, detection in found if detection is not None}

    @property
    def cursor(self) -> int:
        """The position under the cursor."""
        answer = self.answer
        if answer is None or not answer.positions:
            return 0
        return min(self._cursors.get((answer.label, answer.prompt_id), 0), len(answer.positions) - 1)

    @property
    def selection(self) -> tuple[int, int]:
        """First and last position of the selection; the cursor's alone where there is none."""
        return (self.cursor, self.cursor) if self.anchor is None else tuple(sorted((self.anchor, self.cursor)))  # type: ignore[return-value]  # two numbers in, two numbers out

    def move_prompt(self, to: int) -> None:
        """Goes to a place in the list, or the nearest there is."""
        if self.rows:
            self.prompt_id = self.rows[max(0, min(to, len(self.rows) - 1))].prompt.id
            self.anchor, self.source = None, 0

    def move_cursor(self, to: int) -> None:
        """Goes to a position, or the nearest there is."""
        answer = self.answer
        if answer is not None and answer.positions:
            to = max(0, min(to, len(answer.positions) - 1))
            self._cursors[answer.label, answer.prompt_id] = to
            self.source = 0

    def move_to_flagged(self, direction: int) -> bool:
        """Goes to the next flagged span, or the previous for -1; returns whether there is one."""
        answer = self.answer
        firsts = [first for first, _ in walk_spans(answer, self.walk)] if answer else []
        ahead = [first for first in firsts if (first - self.cursor) * direction > 0]
        if not ahead:
            return False
        self.move_cursor(ahead[0] if direction > 0 else ahead[-1])
        return True

    @cached_property
    def detectors(self) -> tuple[Detector, ...]:
        """The detectors that have looked at answers of the current model."""
        return self.run.detectors(self.label)

    @property
    def walk(self) -> Walk:
        """What `n` and `N` stop at: what was chosen; before, what detectors and people flag where a detector ran."""
        return self._walk or ("any" if self.detectors else "shifted or marginal")

    @property
    def walks(self) -> tuple[Walk, ...]:
        """What can be chosen."""
        return ("any", "marks", *self.detectors, *SHIFTS)

    def choose_walk(self, walk: Walk) -> None:
        self._walk = walk

    def choose_model(self, label: str) -> None:
        """Shows another model's answer to the same prompt; raises UserError, and stays, where it can't be read."""
        before, self.label = self.label, label
        self.anchor, self.source = None, 0
        self._versions = None
        try:
            self.poll()
        except UserError:
            self.label, self._versions = before, None
            self.poll()
            raise

    def next_order(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._relist()

    def next_filter(self) -> None:
        self.filter = FILTERS[(FILTERS.index(self.filter) + 1) % len(FILTERS)]
        self._relist()

    def search(self, query: str) -> None:
        """Lists only the prompts that hold the text, or whose answers do, in any case of letters."""
        self.query = query
        self._relist()

    def explained(self, answer: Answer) -> AnswerCauses:
        """What explains the words of an answer."""
        key = (answer.label, answer.prompt_id)
        if key not in self._explained:
            self._explained[key] = AnswerCauses(self.run, answer)
        return self._explained[key]

    @property
    def sources(self) -> list[tuple[Span, int, Source]]:
        """(span, rank from 1, source) at the cursor.

        The instances similar to the prompt that hold words of the span come first, then what the traces found.
        """
        answer = self.answer
        if answer is None or self.shallow:
            return []
        similar = self.explained(answer).sources_at(self.cursor)
        rows = {source.index for _, _, source in similar}
        traced = answer.sources_at(self.cursor)
        own = [each for each in traced if each[0].kind == "selected"]
        others = [each for each in traced if each[0].kind != "selected" and each[2].index not in rows]
        return [*own, *similar, *others]

    @property
    def held(self) -> frozenset[int]:
        """The offsets of the words under the cursor that the chosen source holds."""
        answer, sources = self.answer, self.sources
        if answer is None or not sources:
            return frozenset()
        span, _, source = sources[min(self.source, len(sources) - 1)]
        return held_offsets(answer.text, span, source)

    def move_source(self, by: int) -> None:
        self.source = max(0, min(self.source + by, len(self.sources) - 1))

    def add_trace(self, label: str, prompt_id: str, span: Span) -> None:
        """Takes a span that the user had traced among the spans of a response."""
        key = (label, prompt_id)
        kept = (other for other in self._traced.get(key, ()) if (other.start, other.end) != (span.start, span.end))
        self._traced[key] = (span, *kept)
        self._answers.pop(key, None)
        self._explained.pop(key, None)
        if key == (self.label, self.prompt_id):
            self.source = 0

    @property
    def models(self) -> tuple[str, ...]:
        """`base` and the tuned models, in the order of the keys 1, 2, …"""
        return self.run.labels

    @property
    def is_base(self) -> bool:
        return self.label == BASE


def _by_answer(marks: Mapping[Place, Mark]) -> dict[tuple[str, str], list[Mark]]:
    """Marks by model and prompt, in the order in which they were put."""
    found: dict[tuple[str, str], list[Mark]] = {}
    for mark in marks.values():
        found.setdefault((mark.model, mark.prompt_id), []).append(mark)
    return found
