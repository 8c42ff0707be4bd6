"""Proposals by a model in this process."""

from collections.abc import Sequence
from contextlib import ExitStack

import orjson

from itaudit.data.instance import Instance
from itaudit.engine.context import ContextBuilder
from itaudit.engine.device import choose_device, choose_dtype
from itaudit.engine.generate import Query, generate_batch
from itaudit.engine.models import LoadedModel, find_model, load_model, max_positions, tuned_beside
from itaudit.errors import UserError
from itaudit.recipe import Generate
from itaudit.simplify.prompts import filled
from itaudit.simplify.proposal import Proposal, failed, proposed
from itaudit.simplify.settings import Settings


class LocalProposals:
    """A model that simplifies; it stays loaded."""

    def __init__(self, settings: Settings, prompt: str) -> None:
        """Loads the model, a LoRA adapter over the base that it names. Raises UserError where it can't be had."""
        chosen = settings.local
        self.settings = settings
        self.prompt = prompt
        self._stack = ExitStack()
        self._loaded = self._load()
        self._builder = ContextBuilder(self._loaded.tokenizer, self._loaded.kind, template=chosen.template)

    def _load(self) -> LoadedModel:
        chosen = self.settings.local
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

    def propose(self, instances: Sequence[Instance], *, seed: int = 0) -> list[Proposal]:
        """A proposal for each instance, generated together; with a seed they are sampled, without it most likely."""
        chosen = self.settings.local
        wanted = (
            Generate(max_new_tokens=chosen.max_new_tokens, sample=True, temperature=chosen.temperature, top_p=0.95)
            if seed
            else Generate(max_new_tokens=chosen.max_new_tokens)
        )
        label = self.settings.engine_label
        queries, problems = list[Query](), dict[int, Proposal]()
        for order, instance in enumerate(instances):
            text = self._builder.text([{"role": "user", "content": filled(self.prompt, instance)}])
            query = Query(order, instance.id, text, self._builder.ids(text))
            if problem := self._too_long(len(query.context_ids)):
                problems[order] = failed(instance, label, problem)
            else:
                queries.append(query)
        rows = generate_batch(self._loaded, queries, wanted, seed) if queries else []
        made = {
            query.order: proposed(
                instances[query.order],
                row["response"],
                label,
                finish="length" if row["finish"] == "cut_off" else "stop",
                threshold=self.settings.kept,
                prompt_tokens=len(query.context_ids),
                completion_tokens=len(row["ids"]),
                seed=seed,
            )
            for query, row in zip(queries, rows, strict=True)
        } | problems
        return [made[order] for order in range(len(instances))]

    def _too_long(self, tokens: int) -> str:
        """Why a prompt does not fit the model; empty where it does."""
        positions = max_positions(self._loaded.model)
        wanted = self.settings.local.max_new_tokens if self._loaded.kind == "causal" else 0
        if positions is None or tokens + wanted <= positions:
            return ""
        return (
            f"the model reads {positions} tokens, and the prompt has {tokens}, with "
            f"simplify.local.max_new_tokens = {wanted} on top"
        )
