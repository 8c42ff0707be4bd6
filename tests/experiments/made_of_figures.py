"""Experiments whose runs hold given figures: what tables make of them is known beforehand."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from itaudit.data.load import load
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import Planned, spec_of
from itaudit.runs.run import Run
from itaudit.runs.tables import PROMPTS, write_table

Shift = tuple[int, int, int, float]
"""Unshifted, marginal and shifted positions of one response, and its sum of KL in nats."""

Figures = Callable[[Planned, str], Mapping[str, Shift | None] | None]
"""The shifts of one model of one planned run by prompt id; None is not scored yet."""


def make_experiment(directory: Path, table: dict[str, Any], figures: Figures, *, top_share: float = 0.0) -> Experiment:
    """An experiment with every planned run begun; where `top_share` is given, KL over top 30 is that share of KL."""
    data = directory / "data.jsonl"
    rows = [{"instruction": f"Question {n}?", "context": "", "response": "Yes.", "category": "qa"} for n in range(9)]
    data.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))
    whole = {"data": {"path": str(data)}, "prompts": {"path": str(data)}, **table}
    experiment = Experiment.create(directory, spec_of(whole, directory / "recipe.toml"))
    for planned in experiment.spec.runs:
        run = Run.create(experiment.runs_path, planned.recipe)
        load(data).save(run.dataset_path)
        for label in planned.recipe.models:
            shifts = figures(planned, label)
            if shifts is not None:
                fill(run, label, shifts, top_share)
    return experiment


def fill(run: Run, label: str, shifts: Mapping[str, Shift | None], top_share: float = 0.0) -> None:
    """Responses and scores with these totals; a KL below 0 stands for a distribution that is not known."""
    prompts = [{"id": id, "prompt": f"{id}?", "reference": None, "messages": "[]"} for id in shifts]
    write_table(pa.Table.from_pylist(prompts, schema=PROMPTS), run.prompts_path)
    responses, scores = [], []
    for order, (prompt_id, shift) in enumerate(shifts.items()):
        assert shift is not None
        *classes, kl = shift
        tokens = sum(classes)
        many = [0] * tokens
        known = kl >= 0
        responses.append(
            {
                "order": order,
                "prompt_id": prompt_id,
                "response": "x" * tokens,
                "finish": "eos" if order else "cut_off",
                "ids": many,
                "context_ids": [0],
                "context": "",
            }
        )
        scores.append(
            {
                "order": order,
                "prompt_id": prompt_id,
                "ids": many,
                "starts": list(range(tokens)),
                "ends": list(range(1, tokens + 1)),
                "rank_base": many,
                "logprob_base": [0.0] * tokens,
                "logprob_tuned": [0.0] * tokens if known else None,
                "kl": [kl / tokens] * tokens if known else None,
                "kl_reverse": [kl / tokens] * tokens if known else None,
                "kl_aligntds": [top_share * kl / tokens] * tokens if known and top_share else None,
                "top_base_ids": [],
                "top_base_logprobs": [],
                "top_tuned_ids": None,
                "top_tuned_logprobs": None,
                "unshifted": classes[0],
                "marginal": classes[1],
                "shifted": classes[2],
                "kl_sum": kl if known else None,
            }
        )
    run.table("responses", label).replace(responses)
    run.table("scores", label).replace(scores)
