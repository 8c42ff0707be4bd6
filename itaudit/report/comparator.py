"""Two models' answers side by side as LLM Comparator reads them (JSON of PAIR-code/llm-comparator)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from itaudit.evaluation.questions import questions_of
from itaudit.experiments.experiment import name_in_all
from itaudit.report.telling import largest_cells
from itaudit.runs.cells import Cell
from itaudit.runs.judgements import Preference, check_judgements, judged_pairs, preferences
from itaudit.runs.rows import PromptShift
from itaudit.runs.run import BASE, Run

_ALL_WON = 0.99
_BETTER = {"first": 1.0, "tie": 0.0, "second": -1.0}
_FIELDS = (
    ("prompt id", "string"),
    ("reference", "text"),
    ("tokens", "per_model_number"),
    ("KL to base (nats)", "per_model_number"),
    ("shifted (%)", "per_model_number"),
    ("finish", "per_model_category"),
)
"""Names of the custom fields, which are what its columns are called, and their types; KL is the mean over positions."""


def check(cell: Cell) -> None:
    """Raises UserError where the responses of a model, their scores or what a judge said of them can't be read."""
    if cell.answered:
        questions_of(cell.run)
        cell.run.table("responses", cell.label).read()
        cell.run.table("scores", cell.label).read()
        check_judgements(cell.run, cell.label)


def comparator_documents(cells: Sequence[Cell], reference: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file name without its end, document) of each model against the reference, the reference against the base model,
    and every pair that a judge compared, in the runs of the largest size."""
    readable = {(cell.run.path, cell.label) for cell in cells if not cell.problem}
    largest = list(largest_cells(cells))
    done = set()
    for cell in largest:
        against = BASE if cell.label == reference else reference
        for first, second in [(cell.label, against), *judged_pairs(cell.run)]:
            key = (cell.run.path, frozenset((first, second)))
            if not {(cell.run.path, first), (cell.run.path, second)} <= readable:
                continue
            if key not in done and all(cell.run.table("responses", one).closed for one in (first, second)):
                done.add(key)
                yield f"{cell.run.name}-{first}-{second}", comparator_document(cell.run, first, second)


def comparator_document(run: Run, first: str, second: str) -> dict[str, Any]:
    """The prompts that both models answered. A score above 0 says that the first is better; without a judge it is null.

    Texts are as they were said: the program that reads them has to show them safely.
    """
    judged = preferences(run, first, second), preferences(run, second, first)
    told = _Told(run, first), _Told(run, second)
    tasks = {question.prompt_id: question.task for question in questions_of(run) if question.task}
    examples: list[dict[str, Any]] = []
    for prompt in run.prompts():
        if not all(prompt.id in one.texts for one in told):
            continue
        both = judged[0].get(prompt.id), judged[1].get(prompt.id)
        ratings = list(_ratings(both, (first, second)))
        examples.append(
            {
                "input_text": prompt.prompt,
                "tags": [tasks[prompt.id]] if prompt.id in tasks else [],
                "output_text_a": told[0].texts[prompt.id],
                "output_text_b": told[1].texts[prompt.id],
                # As in the tables, a judgement is one of both orders.
                "score": sum(one["score"] for one in ratings) / 2 if len(ratings) == 2 else None,
                "individual_rater_scores": ratings,
                "custom_fields": {
                    "prompt id": prompt.id,
                    "reference": prompt.reference,
                    **_per_model([one.shifts.get(prompt.id) for one in told]),
                    "finish": [one.finishes[prompt.id] for one in told],
                },
            }
        )
    known = [name for name, _ in _FIELDS if any(_tells(example["custom_fields"][name]) for example in examples)]
    for example in examples:
        # An empty column or chart would only take room.
        example["custom_fields"] = {name: example["custom_fields"][name] for name in known}
    _keep_below_1(examples)
    return {
        "metadata": {
            "source_path": name_in_all(run),
            "custom_fields_schema": [{"name": name, "type": type} for name, type in _FIELDS if name in known],
        },
        "models": [{"name": first}, {"name": second}],
        "examples": examples,
    }


def _keep_below_1(examples: Sequence[dict[str, Any]]) -> None:
    """Lowers scores where the first model won every time.

    The page takes a file without a rating below 1 for one on another scale, where neither model can be better.
    """
    ratings = [rating for example in examples for rating in example["individual_rater_scores"]]
    if ratings and all(rating["score"] >= 1 for rating in ratings):
        for scored in (*ratings, *(example for example in examples if example["score"] is not None)):
            scored["score"] = _ALL_WON


class _Told:
    """What a run holds of one model, by prompt id."""

    def __init__(self, run: Run, label: str) -> None:
        self.shifts = run.prompt_shifts(label)
        columns = run.table("responses", label).read().select(["prompt_id", "response", "finish"])
        ids, texts, finishes = (column.to_pylist() for column in columns.columns)
        self.texts: Mapping[str, str] = dict(zip(ids, texts, strict=True))
        self.finishes: Mapping[str, str] = dict(zip(ids, finishes, strict=True))


def _tells(value: object) -> bool:
    return any(one is not None for one in value) if isinstance(value, list) else value is not None


def _per_model(shifts: Sequence[PromptShift | None]) -> dict[str, list[float | None]]:
    return {
        "tokens": [None if shift is None else shift.tokens for shift in shifts],
        "KL to base (nats)": [None if shift is None else shift.kl_mean for shift in shifts],
        "shifted (%)": [None if shift is None else 100 * shift.share_shifted for shift in shifts],
    }


def _ratings(both: tuple[Preference | None, Preference | None], models: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """What the judge said in either order; a score is told from the first model's side, whatever the order."""
    for told, is_flipped in zip(both, (False, True), strict=True):
        if told is not None and told.better is not None:
            score = -_BETTER[told.better] if is_flipped else _BETTER[told.better]
            better = models[0] if score > 0 else models[1]
            yield {
                "score": score,
                "rating_label": f"{better} is better" if score else "neither is better",
                "is_flipped": is_flipped,
                "rationale": told.reason,
                "custom_fields": {},
            }
