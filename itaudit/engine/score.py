"""The score stage: how far, position by position, a tuned model's response is from the base model's distribution.

Both models read the same context and the response, once, with teacher forcing. At every position the distributions
over the whole vocabulary give the emitted token's rank and log-probabilities and the Kullback-Leibler divergences in
nats, both ways. Rank 0 is the base model's most likely token; of tokens with equal logits the one with the lower id
ranks first, which is the one that greedy decoding takes.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import peft
import torch

from itaudit.analysis.shift import Thresholds, class_codes
from itaudit.engine.models import LoadedModel, reading_as_base
from itaudit.engine.offsets import token_offsets
from itaudit.engine.reporter import Reporter
from itaudit.errors import UserError
from itaudit.recipe import Score
from itaudit.runs.tables import GrowingTable

ALIGNTDS_TOP = 30
"""Length of the lists whose intersection the AlignTDS comparison is computed over."""


@dataclass(frozen=True, slots=True)
class ScoredSequence:
    """What is scored: token ids of the context and of the response after it."""

    context_ids: list[int]
    ids: list[int]


@torch.inference_mode()
def response_logits(model: Any, loaded: LoadedModel, batch: Sequence[ScoredSequence]) -> list[torch.Tensor]:
    """Logits that predict each response token, a tensor `[len(ids), vocabulary]` a sequence, in the model's dtype.

    Padding stands on the right and is masked, so that no position sees it.
    """
    if loaded.kind == "seq2seq":
        return _decoder_logits(model, loaded, batch)
    rows = [sequence.context_ids + sequence.ids for sequence in batch]
    ids, mask = _padded(rows, loaded.pad_id, loaded.device)
    # Only positions that predict some response token go through the output layer.
    first = min(len(sequence.context_ids) for sequence in batch) - 1
    last = max(len(row) for row in rows) - 1
    if "logits_to_keep" in inspect.signature(_forward(model)).parameters:
        keep = torch.arange(first, last, device=loaded.device)
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=keep, use_cache=False).logits
    else:
        # A few architectures know no such choice, and would pass over it.
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, first:last]
    return [
        logits[row, len(s.context_ids) - 1 - first : len(s.context_ids) - 1 - first + len(s.ids)]
        for row, s in enumerate(batch)
    ]


def _forward(model: Any) -> Any:
    """The method that computes logits, also of a model that an adapter wraps, which takes any argument."""
    return (model.get_base_model() if isinstance(model, peft.PeftModel) else model).forward


def _decoder_logits(model: Any, loaded: LoadedModel, batch: Sequence[ScoredSequence]) -> list[torch.Tensor]:
    ids, mask = _padded([s.context_ids for s in batch], loaded.pad_id, loaded.device)
    start = loaded.model.config.decoder_start_token_id
    decoder_ids, decoder_mask = _padded([[start, *s.ids[:-1]] for s in batch], loaded.pad_id, loaded.device)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        decoder_input_ids=decoder_ids,
        decoder_attention_mask=decoder_mask,
        use_cache=False,
    ).logits
    return [logits[row, : len(s.ids)] for row, s in enumerate(batch)]


def _padded(rows: Sequence[list[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1
    return ids.to(device), mask.to(device)


def compare_logits(
    base: torch.Tensor, tuned: torch.Tensor | None, ids: Sequence[int], settings: Score
) -> dict[str, np.ndarray[Any, Any]]:
    """The scores of a response, columns named as in the SCORES schema, from logits `[T, V]` of one or both models.

    The full vocabulary is in float32 for `settings.chunk` positions at a time. Columns of the tuned model are left
    out where its logits are not known.
    """
    emitted = torch.tensor(ids, device=base.device)
    parts = [
        _compare_chunk(
            base[at : at + settings.chunk],
            _part(tuned, at, settings.chunk),
            emitted[at : at + settings.chunk],
            settings,
        )
        for at in range(0, len(ids), settings.chunk)
    ]
    return {name: np.concatenate([part[name].cpu().numpy() for part in parts]) for name in parts[0]}


def _part(logits: torch.Tensor | None, start: int, length: int) -> torch.Tensor | None:
    return None if logits is None else logits[start : start + length]


def _compare_chunk(
    base: torch.Tensor, tuned: torch.Tensor | None, emitted: torch.Tensor, settings: Score
) -> dict[str, torch.Tensor]:
    column = emitted.unsqueeze(1)
    base_logprobs = base.float().log_softmax(-1)
    own = _of_numbers("base", base_logprobs.gather(1, column))
    # Ranks come from the logits: two logits that differ can round to one log-probability.
    base_float = base.float()
    own_logit = base_float.gather(1, column)
    ids = torch.arange(base.shape[1], device=base.device)
    ahead = (base_float > own_logit) | ((base_float == own_logit) & (ids < column))
    result = {
        "rank_base": ahead.sum(1).to(torch.int32),
        "logprob_base": own.squeeze(1),
        **_top("base", base_logprobs, settings.k),
    }
    if tuned is None:
        return result
    tuned_logprobs = tuned.float().log_softmax(-1)
    result |= {
        "logprob_tuned": _of_numbers("tuned", tuned_logprobs.gather(1, column)).squeeze(1),
        "kl": kl_divergence(tuned_logprobs, base_logprobs),
        "kl_reverse": kl_divergence(base_logprobs, tuned_logprobs),
        **_top("tuned", tuned_logprobs, settings.k),
    }
    if settings.aligntds:
        result["kl_aligntds"] = aligntds_kl(base_logprobs, tuned_logprobs)
    return result


def _of_numbers(model: str, logprobs: torch.Tensor) -> torch.Tensor:
    # No comparison with NaN holds: every position would get rank 0 and read as unshifted.
    if logprobs.isnan().any():
        raise UserError(
            f"the {model} model's logits are not numbers (NaN): its weights are broken, its tuning diverged (lower "
            'learning_rate), or they overflow (set base.dtype = "float32")'
        )
    return logprobs


def _top(model: str, logprobs: torch.Tensor, k: int) -> dict[str, torch.Tensor]:
    top = logprobs.topk(min(k, logprobs.shape[1]), dim=1)
    return {f"top_{model}_ids": top.indices.to(torch.int32), f"top_{model}_logprobs": top.values}


def kl_divergence(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """KL(p‖q) in nats of each row of log-probabilities `[T, V]`, over the full vocabulary.

    Tokens that p rules out, or whose probability is too small for a float, add nothing, even where q rules them out.
    """
    probabilities = p.exp()
    return torch.where(probabilities == 0, 0.0, probabilities * (p - q)).sum(-1).clamp_min(0.0)


def aligntds_kl(base: torch.Tensor, tuned: torch.Tensor) -> torch.Tensor:
    """KL as the AlignTDS tool computes it, in nats, of each row of log-probabilities `[T, V]`.

    Each model's 30 most likely tokens are renormalised, and p log(p/q), base over tuned, is summed over the tokens
    that stand in both lists. It is no divergence: it can be negative.
    """
    base_top, tuned_top = base.topk(ALIGNTDS_TOP, dim=1), tuned.topk(ALIGNTDS_TOP, dim=1)
    p, q = base_top.values.log_softmax(-1), tuned_top.values.log_softmax(-1)
    same = base_top.indices.unsqueeze(2) == tuned_top.indices.unsqueeze(1)
    terms = p.exp().unsqueeze(2) * (p.unsqueeze(2) - q.unsqueeze(1))
    return torch.where(same, terms, 0.0).sum((1, 2))


def score_batch(
    base: LoadedModel, tuned: LoadedModel | None, batch: Sequence[ScoredSequence], settings: Score
) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The scores of several responses; see `compare_logits`. Without `tuned` only the base's columns."""
    if tuned is None:
        return [
            compare_logits(logits, None, sequence.ids, settings)
            for logits, sequence in zip(response_logits(base.model, base, batch), batch, strict=True)
        ]
    with reading_as_base(base, tuned) as model:
        base_logits = response_logits(model, base, batch)
    tuned_logits = response_logits(tuned.model, tuned, batch)
    return [
        compare_logits(ours, theirs, sequence.ids, settings)
        for ours, theirs, sequence in zip(base_logits, tuned_logits, batch, strict=True)
    ]


def score_responses(
    label: str,
    base: LoadedModel,
    tuned: LoadedModel | None,
    responses: Sequence[Mapping[str, Any]],
    settings: Score,
    table: GrowingTable,
    reporter: Reporter,
    *,
    own: bool = False,
) -> None:
    """Fills the scores table of a model from its rows of the responses table; what is in it stays.

    `own` scores the base model's own responses: it stands for the tuned model too, and KL is 0 by definition.
    """
    if table.closed:
        return
    done = table.prompt_ids()
    reporter.stage_started("score", label, total=len(responses), unit="responses", done=len(done))
    thresholds = Thresholds(settings.marginal, settings.shifted)
    ordered = sorted(responses, key=lambda row: (-len(row["context_ids"]) - len(row["ids"]), row["order"]))
    for start in range(0, len(ordered), settings.batch_size):
        batch = [row for row in ordered[start : start + settings.batch_size]]
        if done.issuperset(row["prompt_id"] for row in batch):
            continue
        reporter.check()
        filled = [row for row in batch if row["ids"]]
        scores = (
            score_batch(base, tuned, [ScoredSequence(r["context_ids"], r["ids"]) for r in filled], settings)
            if filled
            else []
        )
        by_prompt = {row["prompt_id"]: score for row, score in zip(filled, scores, strict=True)}
        rows = [
            _score_row(
                base.tokenizer, row, by_prompt.get(row["prompt_id"], {}), thresholds, own=own, tuned=tuned is not None
            )
            for row in batch
        ]
        table.append([row for row in rows if row["prompt_id"] not in done])
        done.update(row["prompt_id"] for row in batch)
        reporter.progress("score", label, len(done))
    table.close()
    reporter.stage_done("score", label)


def _score_row(
    tokenizer: Any,
    response: Mapping[str, Any],
    scores: Mapping[str, np.ndarray[Any, Any]],
    thresholds: Thresholds,
    *,
    own: bool,
    tuned: bool,
) -> dict[str, Any]:
    offsets = token_offsets(tokenizer, response["ids"])
    columns: dict[str, Any] = {name: values.reshape(-1) for name, values in scores.items()}
    if own:
        positions = len(response["ids"])
        columns |= {
            "logprob_tuned": columns.get("logprob_base"),
            "kl": np.zeros(positions, np.float32),
            "kl_reverse": np.zeros(positions, np.float32),
            "top_tuned_ids": columns.get("top_base_ids"),
            "top_tuned_logprobs": columns.get("top_base_logprobs"),
        }
    if not response["ids"]:
        # An answer without a single token has no position, but it is scored all the same.
        names = ["rank_base", "logprob_base", "top_base_ids", "top_base_logprobs"]
        if tuned or own:
            names += ["logprob_tuned", "kl", "kl_reverse", "top_tuned_ids", "top_tuned_logprobs"]
        columns = {name: np.zeros(0) for name in names}
    codes = class_codes(columns["rank_base"], thresholds)
    kl = columns.get("kl")
    return {
        "order": response["order"],
        "prompt_id": response["prompt_id"],
        "ids": response["ids"],
        "starts": offsets.starts,
        "ends": offsets.ends,
        **columns,
        "unshifted": int((codes == 0).sum()),
        "marginal": int((codes == 1).sum()),
        "shifted": int((codes == 2).sum()),
        "kl_sum": None if kl is None else float(kl.sum(dtype=np.float64)),
    }
