"""Who judges a run's answers, or those of an experiment's runs, and what is judged of each run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itaudit.detect.judge_task import JudgeTask, begin_task, planned_task, read_task
from itaudit.detect_settings import Judge, JudgeModel
from itaudit.errors import UserError
from itaudit.evaluate_settings import Evaluate, Question
from itaudit.evaluation.asking import PROMPTS
from itaudit.runs.judgements import aspect_table, judging_folder, preference_table
from itaudit.runs.run import BASE, Run
from itaudit.runs.tables import GrowingTable
from itaudit.section import changed, config_section
from itaudit.simplify.prompts import read_prompt

_DOCS = "docs/evaluation.md"
_JUDGED = "the answers"
_PLACES: dict[Question, tuple[str, ...]] = {
    "aspects": ("question", "response", "fence"),
    "pairs": ("question", "first", "second", "fence"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a judge is asked about one run: each answer of some models, and some pairs of models in both orders."""

    models: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def ordered_pairs(self) -> tuple[tuple[str, str], ...]:
        """Each pair in both orders."""
        return tuple(order for first, second in self.pairs for order in ((first, second), (second, first)))

    @property
    def labels(self) -> tuple[str, ...]:
        """The models whose answers are judged, alone or in a pair."""
        return tuple(dict.fromkeys((*self.models, *(label for pair in self.pairs for label in pair))))

    def answered(self, run: Run) -> bool:
        """Whether those models have answered all prompts."""
        return bool(self.labels) and all(run.table("responses", label).closed for label in self.labels)

    def tables(self, run: Run) -> list[GrowingTable]:
        """The tables that a judge has to fill."""
        aspects = [aspect_table(run, label) for label in self.models]
        return aspects + [preference_table(run, first, second) for first, second in self.ordered_pairs]


def wanted_of(
    run: Run,
    questions: Sequence[Question],
    *,
    models: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] = (),
    reference: str = "",
) -> Wanted:
    """What is asked about a run: all models, and each tuned one beside `reference`, or the first where that is empty.

    `models` and `pairs` choose among them. Raises UserError for a label that there is not.
    """
    for label in (*models, *(label for pair in pairs for label in pair)):
        if label not in run.labels:
            raise UserError(f"{run.path}: no model {label!r}; there are {', '.join(run.labels)}", code=2)
    chosen = tuple(dict.fromkeys(models)) or run.labels
    tuned = [label for label in run.labels if label != BASE and label in chosen]
    beside = reference if reference in tuned else tuned[0] if tuned else ""
    usual = tuple((label, beside) for label in tuned if label != beside)
    return Wanted(
        chosen if "aspects" in questions else (),
        (tuple(dict.fromkeys(pairs)) or usual) if "pairs" in questions else (),
    )


def parse_pair(text: str, where: str) -> tuple[str, str]:
    """The two labels of `A:B`. Raises UserError where it is not that."""
    first, colon, second = text.partition(":")
    if not colon or not first or not second or first == second:
        raise UserError(f"{where} {text}: expected two different labels, such as lft:sft", code=2)
    return first, second


def recipe_wanted(run: Run) -> Wanted:
    """What the recipe of a run asks a judge."""
    asked = run.recipe.evaluate
    pairs = [parse_pair(pair, f"{run.recipe_path}: evaluate.pairs:") for pair in asked.pairs]
    return wanted_of(run, asked.questions, pairs=pairs)


def evaluation_judge(asked: Evaluate, changes: Mapping[str, Any], *, check: bool = True) -> tuple[JudgeModel, str]:
    """The judge of a recipe, or without one that of `config.toml`, with changes by dotted names on top.

    Also the key of its table, for messages. Raises UserError that names the key that is wrong, and, unless `check` is
    off, where the judge can't be asked as it is set.
    """
    where = "evaluate.judge"
    settings = asked.judge
    if settings is None:
        where = "judge"
        # Its prompt is for hallucinated phrases, and who judges is the same.
        own = config_section(Judge, "judge", _DOCS).model_dump(exclude={"prompt"})
        settings = JudgeModel.model_validate(own)
    settings = changed(settings, changes, "the command line", where, _DOCS)
    if check:
        settings.require_engine(where)
    return settings, where


def task_path(folder: Path, question: Question) -> Path:
    return folder / f"{question}.json"


def answers_path(folder: Path, question: Question) -> Path:
    """Where the judge's answers stand as they came, a JSON object a line."""
    return folder / f"{question}.jsonl"


def begin_judging(folder: Path, asked: Evaluate, changes: Mapping[str, Any], questions: Sequence[Question]) -> None:
    """Writes down who judges and by which prompts, unless that was begun.

    Raises UserError where another judge has begun, or the judge can't be asked as it is set.
    """
    settings, where = evaluation_judge(asked, changes)
    for question in questions:
        begin_task(task_path(folder, question), settings, where, _prompt(asked, question), _JUDGED)


def check_judging(asked: Evaluate, changes: Mapping[str, Any], questions: Sequence[Question]) -> None:
    """Raises UserError where a judge can't be asked as it is set, or a prompt lacks a place."""
    evaluation_judge(asked, changes)
    for question in questions:
        _prompt(asked, question)


def judge_of(folder: Path, asked: Evaluate, changes: Mapping[str, Any], question: Question) -> JudgeTask:
    """The task that was begun, or that would be; nothing is written. Raises UserError as `begin_judging` does."""
    begun = read_task(task_path(folder, question), JudgeModel)
    if begun is not None and not any(changes.values()):
        # A judge that has begun goes on.
        return begun
    settings, where = evaluation_judge(asked, changes)
    return planned_task(task_path(folder, question), settings, where, _prompt(asked, question), _JUDGED)


def _prompt(asked: Evaluate, question: Question) -> str:
    name = asked.aspects_prompt if question == "aspects" else asked.pair_prompt
    return read_prompt(name, PROMPTS, _PLACES[question])


def judging_task(run: Run, question: Question) -> JudgeTask:
    """The task that was begun, or a new one by the run's recipe. Raises UserError as `begin_judging` does."""
    path = task_path(judging_folder(run), question)
    task = read_task(path, JudgeModel)
    if task is None:
        begin_judging(path.parent, run.recipe.evaluate, {}, [question])
        task = read_task(path, JudgeModel)
    if task is None:
        raise UserError(f"{path}: went away while the judge was asked")
    return task


def clear_judging(folder: Path, runs: Sequence[Run], questions: Sequence[Question]) -> None:
    """Takes away what a judge was asked and answered, and what was found by it of some runs."""
    for question in questions:
        for run in runs:
            labels = run.labels
            for first in labels:
                if question == "aspects":
                    aspect_table(run, first).clear()
                for second in labels if question == "pairs" else ():
                    preference_table(run, first, second).clear()
        task_path(folder, question).unlink(missing_ok=True)
        answers_path(folder, question).unlink(missing_ok=True)
