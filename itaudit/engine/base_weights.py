"""The base model in memory, lent out to be tuned again and again, and given back bit for bit each time."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import peft
import torch
import transformers

from itaudit.engine.device import release_memory
from itaudit.engine.models import (
    Float32Linear,
    LoadedModel,
    ModelFiles,
    eos_ids,
    load_tokenizer,
    load_weights,
    only_token_ids,
    pad_id,
)
from itaudit.engine.tune import ready_to_tune
from itaudit.tuning_settings import Lft, Sft

# What trainers put on a model itself: a forward of their own, and the one that it hides.
_PATCHED = ("forward", "_original_forward")


class Snapshot:
    """Copies of the tensors of a model that tuning writes: parameters that learn, and every buffer."""

    def __init__(self, model: Any) -> None:
        self._tensors = [(tensor, tensor.detach().clone()) for tensor in _written(model)]

    @torch.no_grad()
    def restore(self) -> None:
        """Puts every tensor back, in place."""
        for tensor, copy in self._tensors:
            tensor.copy_(copy)


def _written(model: Any) -> list[torch.Tensor]:
    return [p.data for p in model.parameters() if p.requires_grad] + list(model.buffers())


@contextmanager
def same_randomness() -> Iterator[None]:
    """Leaves every random generator as it was found."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


class BaseWeights:
    """A base model, loaded once, and the method that tunes it.

    Full tuning writes the weights themselves, so that a copy of them is kept beside; an adapter leaves them alone.
    """

    def __init__(
        self, files: ModelFiles, settings: Lft | Sft, *, device: torch.device, dtype: torch.dtype, code: bool = False
    ) -> None:
        self.files = files
        self.settings = settings
        self.device = device
        self.model = load_weights(files, dtype=dtype, code=code).to(device)
        self.tokenizer = load_tokenizer(files, code=code)
        self._eos_ids = eos_ids(self.model, self.tokenizer)
        self._copy = Snapshot(self.model) if isinstance(settings, Sft) else None
        self._own = {name: self.model.__dict__.get(name) for name in _PATCHED}
        self._generation = only_token_ids(self.model.generation_config)
        self._config = self.model.config.to_dict()

    @contextmanager
    def lent(self, seed: int) -> Iterator[Any]:
        """The model as its method tunes it, a new adapter over it or the weights themselves; afterwards, and whatever
        happens meanwhile, model and random generators are as they were."""
        with same_randomness():
            transformers.set_seed(seed)
            frozen = [(p, p.requires_grad) for p in self.model.parameters()]
            model = self.model
            try:
                model = ready_to_tune(self.model, self.settings)
                yield model
            finally:
                if isinstance(model, peft.PeftModel):
                    if self.settings.gradient_checkpointing:
                        model.disable_input_require_grads()
                    model.unload()
                self._give_back(frozen)

    def _give_back(self, frozen: list[tuple[Any, bool]]) -> None:
        for name, value in self._own.items():
            self.model.__dict__.pop(name, None)
            if value is not None:
                self.model.__dict__[name] = value
        for parameter, learns in frozen:
            parameter.requires_grad_(learns)
            parameter.grad = None
        if self._copy is not None:
            self._copy.restore()
        for name in ("use_cache", "bos_token_id", "eos_token_id", "pad_token_id"):
            # Trainers align these with the tokenizer.
            if name in self._config:
                setattr(self.model.config, name, self._config[name])
        self.model.eval()
        release_memory(self.device)

    @contextmanager
    def reading(self, model: Any) -> Iterator[LoadedModel]:
        """A lent model as others are read: evaluation mode, an output layer in float32, no settings of its own."""
        trained, head = model.training, self.model.get_output_embeddings()
        half = isinstance(head, torch.nn.Linear) and head.weight.dtype != torch.float32
        if half:
            self.model.set_output_embeddings(Float32Linear.over(head))
        self.model.generation_config = self._generation
        model.eval()
        try:
            yield LoadedModel(
                files=self.files,
                model=model,
                tokenizer=self.tokenizer,
                device=self.device,
                kind="seq2seq" if self.model.config.is_encoder_decoder else "causal",
                eos_ids=self._eos_ids,
                pad_id=pad_id(self.tokenizer),
            )
        finally:
            if half:
                self.model.set_output_embeddings(head)
            model.train(trained)
