"""Two models' answers side by side as LLM Comparator reads them (JSON of PAIR-code/llm-comparator)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from itaudit.report.telling import largest_cells
from itaudit.runs.cells import Cell
from itaudit.runs.judgements import Preference, judged_pairs, preferences
from itaudit.runs.run import BASE, PromptShift, Run

_SCORES = {"first": 1.0, "tie": 0.0, "second": -1.0}
_LABELS = {"first": "the first is better", "tie": "neither is better", "second": "the second is better"}
FIELDS = (
    ("prompt_id", "string"),
    ("reference", "text"),
    ("tokens", "per_model_number"),
    ("kl", "per_model_number"),
    ("share_shifted", "per_model_number"),
    ("finish", "per_model_category"),
)
"""Names and types of the custom fields; KL in nats, the mean over positions."""


def comparator_documents(cells: Sequence[Cell], reference: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file name without its end, document) of each model against the reference, the reference against the base model,
    and every pair that a judge compared, in the runs of the largest size."""
    largest = list(largest_cells(cells))
    done = set()
    for cell in largest:
        against = BASE if cell.label == reference else reference
        pairs = [(cell.label, against)] if against in cell.run.labels else []
        for first, second in [*pairs, *judged_pairs(cell.run)]:
            key = (cell.run.path, frozenset((first, second)))
            if key not in done and all(cell.run.table("responses", one).closed for one in (first, second)):
                done.add(key)
                yield f"{cell.run.name}-{first}-{second}", comparator_document(cell.run, first, second)


def comparator_document(run: Run, first: str, second: str) -> dict[str, Any]:
    """The prompts that both models answered. A score above 0 says that the first is better; without a judge it is null.

    Texts are as they were said: the program that reads them has to show them safely.
    """
    judged = preferences(run, first, second), preferences(run, second, first)
    shifts = run.prompt_shifts(first), run.prompt_shifts(second)
    finishes = _finishes(run, first), _finishes(run, second)
    texts = _texts(run, first), _texts(run, second)
    examples = []
    for prompt in run.prompts():
        if not all(prompt.id in answers for answers in texts):
            continue
        ratings = list(_ratings(judged[0].get(prompt.id), judged[1].get(prompt.id)))
        scores = [rating["score"] for rating in ratings]
        examples.append(
            {
                "input_text": prompt.prompt,
                "tags": [],
                "output_text_a": texts[0][prompt.id],
                "output_text_b": texts[1][prompt.id],
                "score": sum(scores) / len(scores) if scores else None,
                "individual_rater_scores": ratings,
                "custom_fields": {
                    "prompt_id": prompt.id,
                    "reference": prompt.reference or "",
                    **_per_model([found.get(prompt.id) for found in shifts]),
                    "finish": [found[prompt.id] for found in finishes],
                },
            }
        )
    return {
        "metadata": {
            "source_path": run.name,
            "custom_fields_schema": [{"name": name, "type": type} for name, type in FIELDS],
        },
        "models": [{"name": first}, {"name": second}],
        "examples": examples,
    }


def _per_model(shifts: Sequence[PromptShift | None]) -> dict[str, list[float | None]]:
    return {
        "tokens": [None if shift is None else shift.tokens for shift in shifts],
        "kl": [None if shift is None else shift.kl_mean for shift in shifts],
        "share_shifted": [None if shift is None else shift.share_shifted for shift in shifts],
    }


def _ratings(straight: Preference | None, flipped: Preference | None) -> Iterator[dict[str, Any]]:
    """What the judge said in either order; a score is told from the first model's side, whatever the order."""
    for told, is_flipped in ((straight, False), (flipped, True)):
        if told is not None and told.better is not None:
            score = _SCORES[told.better]
            yield {
                "score": -score if is_flipped else score,
                "rating_label": _LABELS[told.better],
                "is_flipped": is_flipped,
                "rationale": told.reason,
                "custom_fields": {},
            }


def _texts(run: Run, label: str) -> Mapping[str, str]:
    columns = run.table("responses", label).read().select(["prompt_id", "response"])
    return dict(zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True))


def _finishes(run: Run, label: str) -> Mapping[str, str]:
    columns = run.table("responses", label).read().select(["prompt_id", "finish"])
    return dict(zip(columns["prompt_id"].to_pylist(), columns["finish"].to_pylist(), strict=True))
