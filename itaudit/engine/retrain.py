"""Drop and retrain: the run's own recipe on its instances without some of them, in memory, nothing saved."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import transformers

from itaudit.engine.base_weights import BaseWeights
from itaudit.engine.context import Example
from itaudit.engine.heart import Cancelled
from itaudit.engine.tune import make_trainer, training_arguments

Watch = Callable[[int, int], bool]
"""Told the step and how many there are, after each; says whether to stop."""

T = TypeVar("T")


def arm_order(rows: Sequence[int], dropped: Sequence[int], copies: Sequence[int] = ()) -> list[int]:
    """The rows that an arm learns, in the order in which the trainer gets them.

    Everything else keeps its place, so that a seed shuffles all arms of one size alike: the last rows move into the
    places of those that are dropped, or `copies` of others do, where there are some.
    """
    gone = set(dropped)
    if copies:
        standing = dict(zip(dropped, copies, strict=True))
        return [standing.get(row, row) for row in rows]
    left = len(rows) - sum(row in gone for row in rows)
    tail = iter([row for row in rows[left:] if row not in gone])
    return [next(tail) if row in gone else row for row in rows[:left]]


@contextmanager
def retrained(base: BaseWeights, examples: Sequence[Example], seed: int, watch: Watch) -> Iterator[tuple[Any, float]]:
    """A model that was tuned on the examples by the recipe with this seed, and its last loss; gone afterwards.

    Raises Cancelled where `watch` says to stop.
    """
    # Accumulation over several processes adds up to the same batches in one.
    settings = base.settings.model_copy(update={"processes": 1})
    scratch = Path(tempfile.mkdtemp(prefix="itaudit-retrain-"))
    try:
        with base.lent(seed) as model:
            arguments = training_arguments(settings, base.device, seed, scratch)
            trainer = make_trainer(model, base.tokenizer, examples, settings, base.device, arguments)
            trainer.add_callback(_Watched(watch))
            trainer.train()
            if trainer.state.global_step < trainer.state.max_steps:
                raise Cancelled
            losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
            trained = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
            # It is twice as large as the model, and trainer and model hold each other.
            trainer.optimizer = trainer.lr_scheduler = None
            del trainer
            yield trained, float(losses[-1]) if losses else 0.0
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Watched(transformers.TrainerCallback):  # type: ignore[misc]  # transformers carries no types
    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._watch(state.global_step, state.max_steps) and state.global_step < state.max_steps:
            control.should_training_stop = True
