"""Tail patch: what one optimiser step on a single instance, from the model before tuning, does to a span.

Everything is computed in float32, also where tuning takes bfloat16: a step of this size drowns in its rounding. There
is no dropout, no noise and no weight decay, which would move the span whichever instance it is. Adam's first step
moves each weight by the learning rate against the sign of its gradient, however small the loss. Of a new adapter only
the half that begins at zero moves, since the other half's gradient is zero with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from itaudit.engine.base_weights import BaseWeights, Snapshot
from itaudit.engine.context import Example
from itaudit.tuning_settings import Lft, Sft

# Those of the trainer, whose recipes set none of them.
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class TailPatcher:
    """A lent model that is stepped away from the base and put back exactly, instance after instance."""

    def __init__(self, model: Any, settings: Lft | Sft, device: torch.device) -> None:
        self.model = model
        self._settings = settings
        self._device = device
        self._snapshot = Snapshot(model)
        model.eval()

    @contextmanager
    def stepped(self, example: Example) -> Iterator[Any]:
        """The model after one optimiser step on an instance; afterwards, and whatever happens, as it was before."""
        try:
            self._step(example)
            yield self.model
        finally:
            self._snapshot.restore()

    def _step(self, example: Example) -> None:
        parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        for parameter in parameters:
            # The memory of gradients is kept from one instance to the next: getting it takes longer than the sums.
            if parameter.grad is not None:
                parameter.grad.zero_()
        ids = torch.tensor([example.ids], device=self._device)
        labels = torch.tensor([example.labels], device=self._device)
        # The mean over the tokens that tuning learns from, as in a batch of this instance alone.
        loss = self.model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, self._settings.max_grad_norm)
        rate = self._settings.learning_rate
        for parameter in parameters:
            # An optimiser each, so that the moments, twice the size of the model, are never there all at once.
            torch.optim.AdamW([parameter], lr=rate, betas=_BETAS, eps=_EPSILON, weight_decay=0.0, foreach=False).step()


@contextmanager
def tail_patcher(base: BaseWeights, seed: int) -> Iterator[TailPatcher]:
    """A patcher over the base weights; for LoRA, over the very adapter that tuning with this seed begins with."""
    with base.lent(seed) as model:
        yield TailPatcher(model, base.settings, base.device)
