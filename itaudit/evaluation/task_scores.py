"""What models score by their tasks' references, question by question, with what baselines score at the same ones."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from itaudit.analysis.intervals import Totals, means, pooled
from itaudit.evaluation.questions import Kind, Question, questions_of
from itaudit.evaluation.task_baselines import (
    Baseline,
    MostFrequent,
    copied_example,
    copied_input,
    expected_scores,
    random_guess,
)
from itaudit.evaluation.task_metrics import Metric, normalised_answer, score
from itaudit.runs.cells import Cell, by_group

BASELINES = ("random", "most_frequent", "copied_example", "copied_input", "untuned")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the questions that is told apart: tasks of one kind, tuned on or not, or one task alone."""

    kind: Kind
    seen: bool | None
    task: str = ""

    def holds(self, question: Question) -> bool:
        same = (question.kind, question.seen) == (self.kind, self.seen)
        return same and self.task in ("", question.task)

    @property
    def tasks(self) -> str:
        """In words."""
        if self.seen is None:
            return {"answers": "all prompts"}.get(self.kind, self.kind)
        return f"{self.kind}, {'tuned on' if self.seen else 'unseen'}"


class Scored:
    """The seeds of one model at one place in the matrix, all answered, with what their questions ask."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = cells
        self.variant, self.size, self.label = cells[0].group
        self.is_base = cells[0].is_base

    @cached_property
    def questions(self) -> dict[str, Question]:
        """The questions that every seed has answered, by prompt id."""
        return {
            question.prompt_id: question
            for cell in self.cells
            for question in questions_of(cell.run)
            if all(question.prompt_id in answers for answers in self.answers)
        }

    @cached_property
    def answers(self) -> list[dict[str, str]]:
        """The responses of each seed, by prompt id."""
        found = []
        for cell in self.cells:
            table = cell.run.table("responses", cell.label).read().select(["prompt_id", "response"])
            found.append(dict(zip(*(column.to_pylist() for column in table.columns), strict=True)))
        return found

    def asked(self, part: Part) -> list[Question]:
        """The questions of a part that every seed has answered."""
        return [question for question in self.questions.values() if part.holds(question)]

    def scores(self, part: Part, metric: Metric) -> Totals:
        """Scores by prompt id, pooled over the seeds."""
        return self._each(part, lambda question, answer: score(metric, answer, question.references))

    def in_labels(self, part: Part) -> Totals:
        """Whether an answer is one of the task's labels, right or wrong, by prompt id; pooled over the seeds."""
        return self._each(
            part,
            lambda question, answer: float(normalised_answer(answer) in map(normalised_answer, question.labels)),
        )

    def _each(self, part: Part, value: Callable[[Question, str], float]) -> Totals:
        asked = self.asked(part)
        return pooled(
            means({question.prompt_id: value(question, answers[question.prompt_id]) for question in asked})
            for answers in self.answers
        )

    def baseline(self, name: str, part: Part) -> Totals:
        """What a baseline scores at the very questions that were answered, pooled over the seeds like the scores."""
        asked = self.asked(part)
        return pooled(means(expected_scores(asked, baseline)) for baseline in self._baselines(name))

    def _baselines(self, name: str) -> Iterable[Baseline]:
        if name == "most_frequent":
            # Seeds may be tuned on different draws.
            return [MostFrequent(cell.run.dataset) for cell in self.cells]
        return [_BY_NAME[name]] * len(self.cells)


_BY_NAME: Mapping[str, Baseline] = {
    "random": random_guess,
    "copied_example": copied_example,
    "copied_input": copied_input,
}


def scored_groups(cells: Iterable[Cell]) -> list[Scored]:
    """The models whose responses are all there and whose prompts have references, base models first in their place."""
    groups = [Scored(group) for group in by_group(cell for cell in cells if cell.answered).values()]
    return [group for group in groups if group.questions]


def parts_of(groups: Iterable[Scored]) -> list[Part]:
    """The parts that there are questions of: classification before generation, unseen tasks before those tuned on."""
    found = {Part(question.kind, question.seen) for group in groups for question in group.questions.values()}
    order = ("classification", "generation", "answers")
    return sorted(found, key=lambda part: (order.index(part.kind), bool(part.seen)))


def beside(groups: Sequence[Scored], group: Scored, *, variant: str, label: str) -> Scored | None:
    """The group of another variant or label at the same size, but not the group itself."""
    for other in groups:
        if other is not group and (other.variant, other.size, other.label) == (variant, group.size, label):
            return other
    return None


def on_shared_seeds(first: Scored, second: Scored) -> tuple[Scored, Scored] | None:
    """Both with the seeds that both have, so that like is compared with like; None where they share none."""
    seeds = {cell.seed for cell in first.cells} & {cell.seed for cell in second.cells}
    return (_of_seeds(first, seeds), _of_seeds(second, seeds)) if seeds else None


def _of_seeds(group: Scored, seeds: Collection[int | None]) -> Scored:
    kept = [cell for cell in group.cells if cell.seed in seeds]
    return group if len(kept) == len(group.cells) else Scored(kept)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the matrix something stands; an empty variant and no size are all of them."""

    variant: str
    size: int | None
    label: str = ""

    @classmethod
    def shared_by(cls, some: Sequence[Scored], groups: Sequence[Scored], label: str = "") -> "Place":
        """The place that `some` of all `groups` share: their variants by name, unless they are all there are."""
        variants = dict.fromkeys(group.variant for group in some)
        everywhere = variants.keys() == {group.variant for group in groups}
        sizes = {group.size for group in some}
        return cls("" if everywhere else ", ".join(variants), sizes.pop() if len(sizes) == 1 else None, label)

    @property
    def key(self) -> str:
        return "_".join(self._parts).replace(", ", "_")

    @property
    def title(self) -> str:
        return " · ".join(self._parts)

    @property
    def _parts(self) -> list[str]:
        return [str(part) for part in (self.variant, self.size, self.label) if part not in (None, "")]


def placed(groups: Sequence[Scored]) -> list[tuple[Place, Scored]]:
    """The groups with their places, base models first and once if they answered alike, smaller sizes before larger."""
    found: list[tuple[Place, Scored]] = []
    for alike in _alike([group for group in groups if group.is_base], _same_answers):
        found.append((Place.shared_by(alike, groups, alike[0].label), alike[0]))
    tuned = sorted((group for group in groups if not group.is_base), key=lambda group: group.size or 0)
    return found + [(Place.shared_by([group], groups, group.label), group) for group in tuned]


def by_prompts(groups: Sequence[Scored]) -> list[tuple[Place, Scored]]:
    """A group for each different set of prompts, and the place of all groups that answered it."""
    same = _alike(groups, lambda first, second: first.questions == second.questions)
    return [(Place.shared_by(alike, groups), alike[0]) for alike in same]


def _same_answers(first: Scored, second: Scored) -> bool:
    return first.questions == second.questions and first.answers == second.answers


def _alike(groups: Sequence[Scored], same: Callable[[Scored, Scored], bool]) -> list[list[Scored]]:
    found: list[list[Scored]] = []
    for group in groups:
        others = next((others for others in found if same(others[0], group)), None)
        if others is None:
            found.append([group])
        else:
            others.append(group)
    return found
