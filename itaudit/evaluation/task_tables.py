"""What models score by task: against guessing, copying and the untuned model, by variant, size and task.

Scores are exact match for tasks with a closed set of labels and ROUGE-L for all others, 0 to 1.
"""

from collections.abc import Sequence

from itaudit.analysis.intervals import Estimate, Totals, difference, estimate
from itaudit.analysis.table import Column, Table, Value, telling_columns
from itaudit.analysis.verdicts import NOT_APART, verdict
from itaudit.evaluation.questions import METRICS, Question, questions_of
from itaudit.evaluation.task_baselines import expected_guess, guesser_range, sampled_guess
from itaudit.evaluation.task_scores import (
    BASELINES,
    Part,
    Place,
    Scored,
    beside,
    by_prompts,
    on_shared_seeds,
    parts_of,
    placed,
    scored_groups,
)
from itaudit.runs.cells import Cell
from itaudit.runs.run import BASE
from itaudit.sanitize import visible_line

INTERVALS = (
    "Intervals are 95 %, by bootstrap over prompts: they speak of other prompts of these tasks, not other tasks."
)
_ROUNDING = 1e-9

_Baselines = tuple[tuple[str, tuple[tuple[str, tuple[float, float]], ...]], ...]
"""Totals of each baseline, as something that can be a key."""

_VARIANT, _SIZE = Column("variant", "variant", "text"), Column("size", "instances", "count")
_MODEL = Column("model", "model", "text")
_TASKS, _PROMPTS = Column("tasks", "tasks", "text"), Column("prompts", "prompts", "count")
_METRIC_TITLES = {"exact_match": "exact match", "rouge_l": "ROUGE-L"}
_BASELINE_TITLES = {
    "random": "random guess",
    "most_frequent": "most frequent label",
    "copied_example": "copied example",
    "copied_input": "copied input",
    "untuned": "untuned model",
}


def check(cell: Cell) -> None:
    """Raises UserError where the responses of a model, what they answer or what it was tuned on can't be read."""
    if cell.answered:
        cell.run.table("responses", cell.label).read()
        if questions_of(cell.run):
            _ = cell.run.dataset


def tables(cells: Sequence[Cell], reference: str) -> list[Table]:
    """`task_scores`, `task_comparisons`, `task_baselines`, `task_ladder`, `random_guess` and `tasks`.

    Models that have not answered all prompts are left out, prompts without references too, and so are tables with
    nothing to tell.
    """
    groups = scored_groups(cells)
    parts = parts_of(groups)
    found = [
        scores_table(groups, parts),
        comparisons_table(groups, parts, reference, cells[0].variant if cells else ""),
        baselines_table(groups, parts),
        ladder_table(groups, parts),
        random_guess_table(groups),
        by_task_table(groups),
    ]
    return [table for table in found if table.rows]


def scores_table(groups: Sequence[Scored], parts: Sequence[Part]) -> Table:
    """A row for each model and part of the questions: both metrics, and how many answers are labels at all."""
    columns = (
        _TASKS,
        _VARIANT,
        _SIZE,
        _MODEL,
        _PROMPTS,
        Column("exact_match", "exact match", "share"),
        Column("rouge_l", "ROUGE-L", "share"),
        Column("in_labels", "answers that are a label", "share"),
    )
    rows: list[dict[str, Value]] = []
    for part in parts:
        for place, group in placed(groups):
            asked = group.asked(part)
            if asked:
                row: dict[str, Value] = {"tasks": part.tasks, **_told_place(place), "prompts": len(asked)}
                row["exact_match"] = estimate(group.scores(part, "exact_match"))
                row["rouge_l"] = estimate(group.scores(part, "rouge_l"))
                if part.kind == "classification":
                    row["in_labels"] = estimate(group.in_labels(part))
                rows.append(row)
    note = (
        "As Tk-Instruct scores them: the best of the references, after lower-casing and without punctuation (exact "
        "match), or by stemmed words (ROUGE-L). A task with a closed set of labels is classification, any other "
        f"generation; tuned on: the models saw other instances of the task. {INTERVALS}"
    )
    return Table("task_scores", "Scores by task references", telling_columns(columns, rows), tuple(rows), note)


def comparisons_table(groups: Sequence[Scored], parts: Sequence[Part], reference: str, control: str) -> Table:
    """A row for each model and part: how far it is above guessing, the untuned model, the reference and the control.

    The control is a variant, with the same model and size. Each pair is compared at the prompts that both answered.
    """
    against = {
        "random": "random guess",
        "untuned": "untuned model",
        "reference": reference,
        "control": f"{control} (same model)",
    }
    columns = [_TASKS, _VARIANT, _SIZE, _MODEL, _PROMPTS, Column("metric", "metric", "text")]
    columns.append(Column("score", "score", "share"))
    for key, title in against.items():
        columns.append(Column(f"{key}_difference", f"above {title}", "points"))
        columns.append(Column(f"{key}_verdict", f"against {title}", "text"))
    rows: list[dict[str, Value]] = []
    for part in parts:
        metric = METRICS[part.kind]
        for place, group in placed(groups):
            totals = group.scores(part, metric)
            if not totals:
                continue
            row: dict[str, Value] = {"tasks": part.tasks, **_told_place(place), "prompts": len(totals)}
            row |= {"metric": _METRIC_TITLES[metric], "score": estimate(totals)}
            others = {
                "untuned": beside(groups, group, variant=group.variant, label=BASE),
                "reference": beside(groups, group, variant=group.variant, label=reference),
                "control": beside(groups, group, variant=control, label=group.label),
            }
            guessed = group.baseline("random", part)
            pairs = {"random": (totals, guessed)}
            for key, other in others.items() if not group.is_base else ():
                if other is not None and (both := on_shared_seeds(group, other)):
                    pairs[key] = both[0].scores(part, metric), both[1].scores(part, metric)
            for key, (mine, theirs) in pairs.items():
                if mine.keys() & theirs.keys():
                    above = difference(mine, theirs)
                    row |= {f"{key}_difference": above, f"{key}_verdict": verdict(above, 0, "above", "below")}
            if guessed and _holds(guesser_range(group.asked(part)), estimate(totals).value or 0.0):
                row["random_verdict"] = NOT_APART
            rows.append(row)
    note = (
        "Differences of scores in percentage points (pp), over the prompts that both answered, resampled together. "
        f"“{NOT_APART}”: the interval of the difference holds 0; against the random guess, also where the score is "
        f"among those of 95 % of guessers who guess each prompt once. {INTERVALS}"
    )
    title = "Each model against guessing, the untuned model and the others"
    return Table("task_comparisons", title, telling_columns(columns, rows), tuple(rows), note)


def baselines_table(groups: Sequence[Scored], parts: Sequence[Part]) -> Table:
    """A row for each part and each set of prompts that models answered: what the baselines score at these."""
    columns = [_TASKS, _VARIANT, _SIZE, _PROMPTS, Column("metric", "metric", "text")]
    columns += [Column(name, _BASELINE_TITLES[name], "share") for name in BASELINES]
    columns.insert(6, Column("guesser", "95 % of random guessers", "share"))
    rows: list[dict[str, Value]] = []
    for part in parts:
        found: dict[_Baselines, list[Scored]] = {}
        for group in groups:
            if not group.is_base and group.asked(part):
                found.setdefault(_baseline_totals(groups, group, part), []).append(group)
        for baselines, sharing in found.items():
            place = Place.shared_by(sharing, groups)
            asked = sharing[0].asked(part)
            row: dict[str, Value] = {"tasks": part.tasks, "variant": place.variant, "size": place.size}
            row |= {"prompts": len(asked), "metric": _METRIC_TITLES[METRICS[part.kind]]}
            row |= {name: estimate(dict(totals)) for name, totals in baselines if totals}
            if part.kind == "classification":
                row["guesser"] = guesser_range(asked)
            rows.append(row)
    note = (
        "At exactly the prompts that the models answered. Random guess: the expected score of a label of the task "
        "drawn with equal chances, the labels being those of all instances of its source; beside it, between which "
        "scores 95 % of guessers end up who guess once a prompt. Most frequent label: of the responses that the models "
        "were tuned on, in the task itself or, where it is unseen, in all tasks; labels that are as frequent share it. "
        f"Copied example: the output of the first positive example. {INTERVALS}"
    )
    return Table("task_baselines", "Baselines at the same prompts", telling_columns(columns, rows), tuple(rows), note)


def ladder_table(groups: Sequence[Scored], parts: Sequence[Part]) -> Table:
    """A row for each part, variant and model that was tuned at several sizes: the score at each, and how it rises."""
    sizes = sorted({group.size for group in groups if group.size is not None and not group.is_base})
    columns = [_TASKS, _VARIANT, _MODEL, Column("metric", "metric", "text")]
    columns += [Column(f"score_{size}", f"at size {size:,}", "share") for size in sizes]
    columns += [Column("rise", "rise", "points"), Column("verdict", "from the smallest to the largest", "text")]
    several = len({group.variant for group in groups if not group.is_base}) > 1
    rows: list[dict[str, Value]] = []
    for part in parts:
        metric = METRICS[part.kind]
        rungs: dict[tuple[str, str], dict[int, Scored]] = {}
        for group in groups:
            if group.size is not None and not group.is_base and group.asked(part):
                rungs.setdefault((group.variant, group.label), {})[group.size] = group
        sizes_asked = sorted({size for by_size in rungs.values() for size in by_size})
        for (variant, label), by_size in rungs.items() if len(sizes_asked) > 1 else ():
            row: dict[str, Value] = {"tasks": part.tasks, "variant": variant if several else None, "model": label}
            row |= {"metric": _METRIC_TITLES[metric]}
            row |= {f"score_{size}": estimate(group.scores(part, metric)) for size, group in by_size.items()}
            # A shorter stretch of the ladder would not be the rise that the others are told by.
            low, high = by_size.get(sizes_asked[0]), by_size.get(sizes_asked[-1])
            if low is not None and high is not None and (ends := on_shared_seeds(high, low)):
                rise = difference(*(group.scores(part, metric) for group in ends))
                row |= {"rise": rise, "verdict": verdict(rise, 0, "rises", "falls")}
            rows.append(row)
    note = (
        "Scores by the size of the experiment, such as instances of each task. "
        f"“{NOT_APART}”: the interval of the rise holds 0. {INTERVALS}"
    )
    return Table("task_ladder", "Scores by the number of instances", telling_columns(columns, rows), tuple(rows), note)


def random_guess_table(groups: Sequence[Scored]) -> Table:
    """A row for each task with a closed set of labels: the expected score of a guess beside guesses really drawn."""
    columns = (
        Column("task", "task", "text"),
        _VARIANT,
        Column("labels", "labels", "count"),
        _PROMPTS,
        Column("expected", "expected", "share", 4),
        Column("sampled", "sampled", "share", 4),
        Column("agree", "expected within the sampled interval", "text"),
        Column("guesser", "95 % of random guessers", "share"),
    )
    found = [
        (place, task, asked)
        for place, group in by_prompts(groups)
        for task, asked in _tasks_of(group).items()
        if asked[0].labels
    ]
    rows: list[dict[str, Value]] = []
    for place, task, asked in found:
        expected = expected_guess(asked)
        sampled = sampled_guess(asked, comparisons=len(found))
        rows.append(
            {
                "task": visible_line(task),
                "variant": place.variant,
                "labels": len(asked[0].labels),
                "prompts": len(asked),
                "expected": expected,
                "sampled": sampled,
                "agree": "yes" if _holds(sampled, expected) else "no",
                "guesser": guesser_range(asked),
            }
        )
    note = (
        "Expected: the mean chance that a label drawn with equal chances is right. Sampled: the mean of guesses that "
        "were drawn, with an interval over the draws that holds for all tasks together at 95 %."
    )
    return Table("random_guess", "Random guess by task", telling_columns(columns, rows), tuple(rows), note)


def by_task_table(groups: Sequence[Scored]) -> Table:
    """A row for each task: baselines, then a column for each model at each place in the matrix."""
    columns = [Column("task", "task", "text"), Column("tuned_on", "tuned on", "text"), _VARIANT]
    columns += [Column("labels", "labels", "count"), _PROMPTS, Column("metric", "metric", "text")]
    columns += [Column(name, _BASELINE_TITLES[name], "share") for name in ("random", "copied_example", "copied_input")]
    shown = placed(groups)
    columns += [Column(f"score_{place.key}", place.title, "share") for place, _ in shown]
    rows: list[dict[str, Value]] = []
    for place, first in by_prompts(groups):
        for task, asked in _tasks_of(first).items():
            question = asked[0]
            part = Part(question.kind, question.seen, task)
            row: dict[str, Value] = {
                "task": visible_line(task),
                "tuned_on": "yes" if question.seen else "no",
                "variant": place.variant,
                "labels": len(question.labels) or None,
                "prompts": len(asked),
                "metric": _METRIC_TITLES[question.metric],
            }
            for name in ("random", "copied_example", "copied_input"):
                if totals := first.baseline(name, part):
                    row[name] = estimate(totals)
            for other_place, group in shown:
                if group.questions == first.questions and (totals := group.scores(part, question.metric)):
                    row[f"score_{other_place.key}"] = estimate(totals)
            rows.append(row)
    note = f"Exact match where a task has a closed set of labels, else ROUGE-L. {INTERVALS}"
    return Table("tasks", "Scores task by task", telling_columns(columns, rows), tuple(rows), note)


def _baseline_totals(groups: Sequence[Scored], group: Scored, part: Part) -> _Baselines:
    """What each baseline scores at the prompts of a group."""
    found: dict[str, Totals] = {name: group.baseline(name, part) for name in BASELINES if name != "untuned"}
    base = beside(groups, group, variant=group.variant, label=BASE)
    if base is not None:
        found["untuned"] = base.scores(part, METRICS[part.kind])
    return tuple((name, tuple(totals.items())) for name, totals in found.items())


def _tasks_of(group: Scored) -> dict[str, list[Question]]:
    found: dict[str, list[Question]] = {}
    for question in group.questions.values():
        if question.task:
            found.setdefault(question.task, []).append(question)
    return found


def _holds(interval: Estimate, value: float) -> bool:
    low, high = interval.low, interval.high
    return low is not None and high is not None and low - _ROUNDING <= value <= high + _ROUNDING


def _told_place(place: Place) -> dict[str, Value]:
    return {"variant": place.variant, "size": place.size, "model": place.label}
