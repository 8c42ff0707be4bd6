"""The generate stage: one response of one model to every prompt."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from itaudit.engine.context import ContextBuilder
from itaudit.engine.models import LoadedModel, max_positions
from itaudit.engine.offsets import token_offsets
from itaudit.engine.reporter import Reporter
from itaudit.errors import UserError
from itaudit.recipe import Generate
from itaudit.runs.rows import Prompt
from itaudit.runs.tables import GrowingTable


@dataclass(frozen=True, slots=True)
class Query:
    """A prompt as a model reads it."""

    order: int
    prompt_id: str
    context: str
    context_ids: list[int]


def build_queries(prompts: Sequence[Prompt], builder: ContextBuilder) -> list[Query]:
    """The prompts in the recipe's template."""
    queries = []
    for prompt in prompts:
        text = builder.text(prompt.messages)
        queries.append(Query(prompt.order, prompt.id, text, builder.ids(text)))
    return queries


def batches_by_length(queries: Sequence[Query], size: int) -> list[list[Query]]:
    """Queries in batches of like length, longest first, so that running out of memory shows at once.

    The batches depend on nothing but the queries: a resumed run computes the very same ones.
    """
    ordered = sorted(queries, key=lambda query: (-len(query.context_ids), query.order))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def generate_responses(
    label: str,
    loaded: LoadedModel,
    queries: Sequence[Query],
    settings: Generate,
    table: GrowingTable,
    reporter: Reporter,
    *,
    seed: int,
) -> None:
    """Fills the responses table of a model, batch by batch; prompts that are in it stay as they are."""
    if table.closed:
        return
    _check_positions(loaded, queries, settings)
    done = table.prompt_ids()
    reporter.stage_started("generate", label, total=len(queries), unit="responses", done=len(done))
    for batch in batches_by_length(queries, settings.batch_size):
        if done.issuperset(query.prompt_id for query in batch):
            continue
        reporter.check()
        rows = generate_batch(loaded, batch, settings, seed)
        table.append([row for row in rows if row["prompt_id"] not in done])
        done.update(query.prompt_id for query in batch)
        reporter.progress("generate", label, len(done))
    table.close()
    reporter.stage_done("generate", label, **_finish_counts(table))


def _check_positions(loaded: LoadedModel, queries: Sequence[Query], settings: Generate) -> None:
    """Raises UserError for a prompt whose answer would run over the model's last position."""
    positions = max_positions(loaded.model)
    longest = max(queries, key=lambda query: len(query.context_ids))
    length = len(longest.context_ids)
    # An encoder-decoder model reads and writes in two places.
    needed = length + settings.max_new_tokens if loaded.kind == "causal" else max(length, settings.max_new_tokens)
    if positions is not None and needed > positions:
        raise UserError(
            f"{loaded.files.name} reads {positions} tokens at most: prompt {longest.prompt_id!r} has {length}, and "
            f"generate.max_new_tokens is {settings.max_new_tokens}; lower that, or leave the prompt out"
        )


def generate_batch(
    loaded: LoadedModel,
    batch: Sequence[Query],
    settings: Generate,
    seed: int,
    *,
    check: Callable[[], None] | None = None,
) -> list[dict[str, Any]]:
    """The answers to a batch as rows of a responses table, in order; `check` is called at each token and may raise."""
    # Sampling draws from a generator that is set anew for each batch, so that a resumed run draws the same.
    key = f"{seed}:{batch[0].prompt_id}".encode()
    transformers.set_seed(int.from_bytes(hashlib.sha256(key).digest()[:4], "big"))
    width = max(len(query.context_ids) for query in batch)
    # Causal models continue at the right end of the context; encoders don't mind where the padding is.
    left = loaded.kind == "causal"
    ids = torch.full((len(batch), width), loaded.pad_id)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for row, query in enumerate(batch):
        length = len(query.context_ids)
        place = slice(width - length, width) if left else slice(0, length)
        ids[row, place] = torch.tensor(query.context_ids)
        mask[row, place] = 1
    with torch.inference_mode():
        output = loaded.model.generate(
            input_ids=ids.to(loaded.device),
            attention_mask=mask.to(loaded.device),
            generation_config=generation_config(loaded, settings),
            stopping_criteria=None if check is None else transformers.StoppingCriteriaList([_Checked(check)]),
        )
    # An encoder-decoder model's output begins with the token that starts its decoder.
    generated = output[:, width:] if left else output[:, 1:]
    return [_row(loaded, query, tokens) for query, tokens in zip(batch, generated.tolist(), strict=True)]


class _Checked(transformers.StoppingCriteria):  # type: ignore[misc]  # transformers carries no types
    """Stops nothing by itself: a long batch takes minutes on a CPU, and whoever wants it stopped should not wait."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def __call__(self, input_ids: torch.Tensor, _scores: object, **_: Any) -> torch.Tensor:
        self._check()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def generation_config(loaded: LoadedModel, settings: Generate) -> transformers.GenerationConfig:
    """The recipe's settings in full, so that none of the model's own defaults slips in."""
    own = loaded.model.generation_config
    return transformers.GenerationConfig(
        max_new_tokens=settings.max_new_tokens,
        min_new_tokens=0,
        do_sample=settings.sample,
        num_beams=settings.beams,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        eos_token_id=list(loaded.eos_ids),
        pad_token_id=loaded.pad_id,
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
        use_cache=True,
    )


def _row(loaded: LoadedModel, query: Query, tokens: list[int]) -> dict[str, Any]:
    end = next((at for at, token in enumerate(tokens) if token in loaded.eos_ids), None)
    ids = tokens if end is None else tokens[: end + 1]
    text = token_offsets(loaded.tokenizer, ids).text
    finish = "cut_off" if end is None else "eos" if text.strip() else "empty"
    return {
        "order": query.order,
        "prompt_id": query.prompt_id,
        "response": text,
        "finish": finish,
        "ids": ids,
        "context_ids": query.context_ids,
        "context": query.context,
    }


def _finish_counts(table: GrowingTable) -> dict[str, int]:
    finishes = table.read()["finish"].to_pylist()
    return {finish: finishes.count(finish) for finish in ("eos", "cut_off", "empty")}
