"""The JSON documents of `itaudit show` and `itaudit tokens`."""

import math
from dataclasses import asdict
from typing import Any

from itaudit.analysis.shift import CLASSES, class_codes
from itaudit.detect.flagged_causes import causes_document
from itaudit.errors import UserError
from itaudit.runs.lineage import lineage_of
from itaudit.runs.run import BASE, Run


def show_document(run: Run) -> dict[str, Any]:
    """What `itaudit show RUN --json` prints: base, dataset and, for each model that has scores, its totals.

    Shares are 0-1, KL is the mean over positions of KL(tuned‖base) in nats. `problems`, where there are some, are lines
    on what can't be read and is left out.
    """
    problems: dict[str, None] = {}
    document: dict[str, Any] = {"run": str(run.path), "job": run.job(), "base": run.base() or None, "dataset": None}
    if (lineage := lineage_of(run)) is not None:
        told = {"run": str(lineage.parent), "data": list(lineage.data), "edited": list(lineage.edited)}
        document["parent"] = told | {"span": asdict(lineage.span) if lineage.span else None}
    if run.dataset_path.exists():
        dataset = run.dataset
        document["dataset"] = {
            "path": dataset.path,
            "format": dataset.format,
            "instances": len(dataset),
            "sha256": dataset.sha256,
            "rejected": len(dataset.rejected),
        }
        if transforms := run.transforms().get("data"):
            document["dataset"]["transforms"] = transforms
    document["prompts"] = len(run.prompts())
    models = ((label, _model_document(run, label, problems)) for label in run.labels)
    document["models"] = {label: model for label, model in models if model is not None}
    return document | ({"problems": list(problems)} if problems else {})


def _model_document(run: Run, label: str, problems: dict[str, None]) -> dict[str, Any] | None:
    responses = run.table("responses", label).read()
    if not len(responses):
        return None
    method = BASE if label == BASE else run.recipe.models[label].method
    finishes = responses["finish"].to_pylist()
    summary = run.summary(label)
    model: dict[str, Any] = {"method": method, **asdict(summary)}
    if not summary.responses:
        # Nothing is scored yet, or the recipe asks for no scores of the base model: shares would be invented.
        model = {"method": method}
    model["responses"] = len(responses)
    model["scored"] = summary.responses
    model |= {name: finishes.count(name) for name in ("eos", "cut_off", "empty", "imported")}
    try:
        causes = causes_document(run, label)
    except UserError as error:
        problems[str(error)] = None
        # Which words are shifted neither marks nor detectors say.
        causes = causes_document(run, label, ["shifted"])
    return model | ({"causes": causes} if causes else {})


def tokens_document(run: Run, label: str, prompt_id: str) -> dict[str, Any]:
    """What `itaudit tokens` prints: one response, token by token. Raises UserError where it is not scored.

    `text` is the response between `start` and `end`; `token` is what the token id stands for by itself, which also
    shows special tokens and parts of characters. Alternatives are [id, text, probability], most likely first.
    """
    response, scores = run.response(label, prompt_id), run.token_scores(label, prompt_id)
    prompt = run.prompt(prompt_id)
    if response is None or scores is None:
        what = "answered" if response is None else "scored"
        raise UserError(f"{run.path}: prompt {prompt_id!r} is not {what} by {label} yet")
    text = response.response
    codes = class_codes(scores.rank_base, run.thresholds)

    def alternatives(top: list[list[tuple[int, float]]] | None, position: int) -> list[list[Any]] | None:
        if top is None:
            return None
        return [[token, run.token_text(token), math.exp(logprob)] for token, logprob in top[position]]

    tokens = [
        {
            "id": scores.ids[at],
            "text": text[scores.starts[at] : scores.ends[at]],
            "token": run.token_text(scores.ids[at]),
            "start": scores.starts[at],
            "end": scores.ends[at],
            "rank_base": scores.rank_base[at],
            "logprob_base": scores.logprob_base[at],
            "logprob_tuned": None if scores.logprob_tuned is None else scores.logprob_tuned[at],
            "kl": None if scores.kl is None else scores.kl[at],
            "kl_reverse": None if scores.kl_reverse is None else scores.kl_reverse[at],
            **({} if scores.kl_aligntds is None else {"kl_aligntds": scores.kl_aligntds[at]}),
            "class": CLASSES[codes[at]],
            "top_base": alternatives(scores.top_base, at),
            "top_tuned": alternatives(scores.top_tuned, at),
        }
        for at in range(len(scores))
    ]
    return {
        "prompt_id": prompt_id,
        "prompt": prompt.prompt,
        "context": response.context,
        "context_ids": response.context_ids,
        "response": text,
        "finish": response.finish,
        "tokens": tokens,
    }
