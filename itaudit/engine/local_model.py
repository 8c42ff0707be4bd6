"""A model in this process that answers what it is told."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import orjson
import torch

from itaudit.engine.context import ContextBuilder
from itaudit.engine.device import choose_device, choose_dtype
from itaudit.engine.generate import Query, generate_batch
from itaudit.engine.models import LoadedModel, find_model, load_model, max_positions, tuned_beside
from itaudit.errors import UserError
from itaudit.model_settings import LocalModelSettings
from itaudit.recipe import Generate


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    """What a model answered; `finish` is `stop` or `length`. Or one line, `problem`, on why it did not."""

    text: str = ""
    finish: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    problem: str = ""


class LocalModel:
    """A model that stays loaded until `close`."""

    def __init__(self, settings: LocalModelSettings, where: str) -> None:
        """Loads the model, a LoRA adapter over the base that it names. Raises UserError where it can't be had.

        `where` is the key of the settings' table, for messages: `simplify.local`.
        """
        self.settings = settings
        self._where = where
        self._stack = ExitStack()
        self._loaded = self._load()
        self._builder = ContextBuilder(self._loaded.tokenizer, self._loaded.kind, template=settings.template)

    def close(self) -> None:
        """Takes an adapter off its base."""
        self._stack.close()

    def _load(self) -> LoadedModel:
        chosen = self.settings
        device = choose_device(chosen.device)
        dtype, code = choose_dtype(chosen.dtype, device), chosen.trust_remote_code
        files = find_model(chosen.model, revision=chosen.revision, code=code)
        if not files.is_adapter:
            return load_model(files, device=device, dtype=dtype, code=code)
        told = orjson.loads((files.path / "adapter_config.json").read_bytes()).get("base_model_name_or_path")
        if not isinstance(told, str) or not told:
            raise UserError(
                f"{files.path}: a LoRA adapter that names no base model; merge it, and give the merged model"
            )
        base = load_model(find_model(told, code=code), device=device, dtype=dtype, code=code)
        return self._stack.enter_context(tuned_beside(base, files, dtype=dtype, code=code))

    def answers(
        self,
        texts: Sequence[str],
        *,
        temperature: float = 0.0,
        seed: int = 0,
        check: Callable[[], None] | None = None,
    ) -> list[LocalAnswer]:
        """The answers to some messages, generated together: the most likely ones, or with a temperature drawn ones.

        `check` is called at each token and may raise, which gives all of them up. Raises UserError where the device has
        too little memory for them.
        """
        chosen = self.settings
        wanted = (
            Generate(max_new_tokens=chosen.max_new_tokens, sample=True, temperature=temperature, top_p=0.95)
            if temperature
            else Generate(max_new_tokens=chosen.max_new_tokens)
        )
        queries, told = list[Query](), dict[int, LocalAnswer]()
        for order, message in enumerate(texts):
            text = self._builder.text([{"role": "user", "content": message}])
            query = Query(order, message, text, self._builder.ids(text))
            if problem := self._too_long(len(query.context_ids)):
                told[order] = LocalAnswer(problem=problem)
            else:
                queries.append(query)
        try:
            rows = generate_batch(self._loaded, queries, wanted, seed, check=check) if queries else []
        except torch.OutOfMemoryError:
            raise UserError(f"out of device memory: lower {self._where}.batch_size or max_new_tokens") from None
        for query, row in zip(queries, rows, strict=True):
            finish = "length" if row["finish"] == "cut_off" else "stop"
            told[query.order] = LocalAnswer(row["response"], finish, len(query.context_ids), len(row["ids"]))
        return [told[order] for order in range(len(texts))]

    def _too_long(self, tokens: int) -> str:
        """Why a prompt does not fit the model; empty where it does."""
        positions = max_positions(self._loaded.model)
        wanted = self.settings.max_new_tokens if self._loaded.kind == "causal" else 0
        if positions is None or tokens + wanted <= positions:
            return ""
        return (
            f"the model reads {positions} tokens, and the prompt has {tokens}, with "
            f"{self._where}.max_new_tokens = {wanted} on top"
        )
