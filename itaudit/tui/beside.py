"""Several models' answers side by side, without a screen: which prompt, which position, which model is looked at."""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from itaudit.analysis.shift import CLASSES
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.runs.cells import Cell, cells_of
from itaudit.runs.compare import SideAnswer
from itaudit.runs.rows import Prompt
from itaudit.runs.run import Run, list_runs
from itaudit.runs.side_by_side import MOST, Partings, SideBySide
from itaudit.tui.answer import Answer
from itaudit.tui.prompt_starts import prompt_starts

Order = Literal["file order", "KL", "first to part"]
ORDERS: tuple[Order, ...] = ("file order", "KL", "first to part")
PARTING_MARK = "┃"


class PartedAnswer(Answer):
    """An answer with a mark before the position at which it parts from the others, `parts_at`; None for nowhere."""

    def __init__(self, cell: Cell, prompt_id: str, answer: SideAnswer, parts_at: int | None) -> None:
        super().__init__(cell.label, prompt_id, answer.response, answer.scores, None, (), cell.run.thresholds)
        self.parts_at = parts_at

    def _opening_and_closing(self) -> tuple[dict[int, list[tuple[str, str]]], dict[int, list[tuple[str, str]]]]:
        opening, closing = super()._opening_and_closing()
        # Words that stand in for tokens as long as there are no scores are no positions of the model's.
        if self.parts_at is not None and self.scores is not None:
            there = self.parts_at < len(self.positions)
            start = self.positions[self.parts_at].start if there else len(self.text)
            opening.setdefault(min(start, len(self.text)), []).append((PARTING_MARK, "own"))
        return opening, closing


class Beside:
    """The place of the user between several models. Every method that moves keeps the place valid."""

    def __init__(self, cells: Sequence[Cell], prompt_id: str | None = None, position: int = 0) -> None:
        """Raises UserError where the models have no prompt in common, or files are broken."""
        self.compared = SideBySide(cells)
        self.active = len(self.compared.cells) - 1
        self.order: Order = ORDERS[0]
        self.prompt_id = prompt_id
        self.position = position
        self.poll()

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.compared.cells

    @property
    def names(self) -> tuple[str, ...]:
        return self.compared.names

    @cached_property
    def where(self) -> str:
        """What the models are of: a run, with its experiment, or how many runs."""
        runs = self.compared.runs
        experiments = {found.path: found.name for run in runs if (found := Experiment.around(run))}
        head = [*experiments.values()] if len(experiments) == 1 else []
        return " ".join([*head, runs[0].name if len(runs) == 1 else f"{len(runs)} runs"])

    def poll(self) -> bool:
        """Takes in what came since; returns whether anything did. Raises UserError where files are broken."""
        came = self.compared.poll()
        if came:
            self._forget("prompts", "starts", "answers", "partings")
            ids = [prompt.id for prompt in self.prompts]
            if self.prompt_id not in ids:
                self.prompt_id = ids[0] if ids else None
        return came

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts in the order asked for."""
        prompts = self.compared.prompts
        if self.order == "KL":
            return tuple(sorted(prompts, key=lambda prompt: -self._kl(prompt.id)))
        if self.order == "first to part":
            parts = self.compared.first_partings
            return tuple(sorted(prompts, key=lambda prompt: parts.get(prompt.id, math.inf)))
        return prompts

    @cached_property
    def starts(self) -> dict[str, str]:
        """What tells each prompt from the others, in a line of visible text."""
        return prompt_starts(self.compared.prompts)

    def _kl(self, prompt_id: str) -> float:
        """The largest mean KL of the answers to a prompt."""
        return max((shift.kl_mean or 0.0 for shift in self.compared.shifts(prompt_id) if shift), default=0.0)

    @property
    def place(self) -> int:
        """Where the prompt stands among all."""
        return next((n for n, prompt in enumerate(self.prompts) if prompt.id == self.prompt_id), 0)

    @property
    def prompt(self) -> Prompt | None:
        return self.prompts[self.place] if self.prompts else None

    @cached_property
    def partings(self) -> Partings | None:
        """Where the answers to the prompt part; None where there is no prompt."""
        return None if self.prompt_id is None else self.compared.partings(self.prompt_id)

    @cached_property
    def answers(self) -> tuple[PartedAnswer, ...]:
        """Each model's answer to the prompt; none where there is no prompt."""
        if self.prompt_id is None or self.partings is None:
            return ()
        each = zip(self.cells, self.compared.answers(self.prompt_id), self.partings.each, strict=True)
        return tuple(PartedAnswer(cell, self.prompt_id, answer, parts_at) for cell, answer, parts_at in each)

    @property
    def longest(self) -> int:
        """Positions of the longest answer."""
        return max((len(answer.positions) for answer in self.answers), default=0)

    def move_prompt(self, by: int) -> None:
        """Goes on in the list of prompts, as far as it reaches, to the first position."""
        if self.prompts:
            before = self.prompt_id
            self.prompt_id = self.prompts[max(0, min(self.place + by, len(self.prompts) - 1))].id
            if self.prompt_id != before:
                self.position = 0
                self._forget("answers", "partings")

    def move_position(self, to: int) -> None:
        """Goes to a position of all answers, or the nearest there is."""
        self.position = max(0, min(to, self.longest - 1))

    def to_parting(self) -> bool:
        """Goes to where the answers part first; pressed there, to where the next one does. Whether they part at all."""
        partings = self.partings
        places = sorted({place for place in partings.each if place is not None}) if partings else []
        if not places:
            return False
        self.move_position(next((place for place in places if place > self.position), places[0]))
        return True

    def next_shift(self, direction: int) -> bool:
        """Goes to the next position, or the previous for -1, where a model's token is not the base model's choice."""
        found = {
            number
            for answer in self.answers
            for number, position in enumerate(answer.positions)
            if position.shift not in (None, CLASSES[0]) and (number - self.position) * direction > 0
        }
        if not found:
            return False
        self.position = min(found) if direction > 0 else max(found)
        return True

    def next_order(self) -> None:
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._forget("prompts")

    def choose(self, active: int) -> None:
        """Looks at another of the models."""
        if 0 <= active < len(self.cells):
            self.active = active


def cells_near(run: Run) -> tuple[Cell, ...]:
    """The models that may stand beside those of a run: of its experiment, else of the runs in the same directory.

    Raises UserError where the experiment's recipe can't be read.
    """
    experiment = Experiment.around(run)
    if experiment is not None:
        # One that is broken says so where its experiment is shown.
        return tuple(cell for cell in experiment.cells() if not cell.problem)
    found = list(cells_of(run))
    for other in list_runs(run.path.parent):
        if other.path != run.path:
            try:
                found += cells_of(other)
            except UserError:
                # One that is broken says so where runs are listed.
                continue
    return tuple(found)


def first_cells(run: Run, label: str = "") -> tuple[Cell, ...]:
    """The models of a run that stand side by side before anybody chose: the base model and the first tuned ones.

    The model of that label is among them.
    """
    cells = cells_of(run)
    if len(cells) <= MOST:
        return cells
    chosen = [cell for cell in cells[: MOST - 1]]
    wanted = next((cell for cell in cells[MOST - 1 :] if cell.label == label), cells[MOST - 1])
    return (*chosen, wanted)


def told_apart(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells as tables tell them apart: by the names of their runs where they share one place of no experiment."""
    places = [(*cell.group, cell.seed) for cell in cells]
    if len(set(places)) == len(places):
        return tuple(cells)
    return tuple(Cell(cell.run, cell.label, cell.run.name, cell.size, cell.seed) for cell in cells)
