"""Settings of the models that a recipe audits: tuned here by a method, there already, or only their responses."""

from typing import Annotated, Literal

from pydantic import Field

from itaudit.section import Count, Positive, Section, Share

Tracker = Literal["wandb", "tensorboard", "trackio"]


class Tuning(Section):
    """What both tuning methods share; rate, batch and epochs are those of Ghosh et al. 2024, section 4."""

    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    epochs: Annotated[float, Field(gt=0)] = 3.0
    steps: Count = 0
    """Optimiser steps in all, whatever `epochs` says; 0 leaves it to `epochs`. Datasets of different sizes are tuned
    on under the same budget by it."""
    batch_size: Positive = 32
    """Effective batch: instances per optimiser step, over all processes."""
    micro_batch_size: Positive = 4
    """Instances per forward pass; `batch_size` is a multiple of it, the rest is gradient accumulation."""
    max_length: Positive = 1024
    """Longer instances lose their end, and are counted."""
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    warmup_ratio: Share = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    neftune_alpha: Annotated[float, Field(ge=0)] = 0.0
    """Noise on the embeddings (NEFTune); 0 is none."""
    packing: bool = False
    """Several instances in one sequence, kept apart by their positions."""
    gradient_checkpointing: bool = False
    checkpoint_steps: Count = 0
    """Optimiser steps between checkpoints; 0 is one per epoch."""
    processes: Positive = 1
    """Processes on this machine; more than 1 wants as many GPUs."""
    report_to: list[Tracker] = []
    """Where the trainer reports its losses beside this run's own events; each wants its package."""


class Lft(Tuning):
    """LoRA fine-tuning: the base weights stay as they are."""

    method: Literal["lft"]
    rank: Positive = 8
    alpha: Positive = 16
    dropout: Share = 0.0
    target_modules: list[str] = ["all-linear"]
    """Names of the modules that get an adapter, or `all-linear`."""


class Sft(Tuning):
    """Full-parameter fine-tuning."""

    method: Literal["sft"]


class Existing(Section):
    """A tuned model or LoRA adapter that is there already."""

    method: Literal["existing"]
    model: str
    """Hub name, local directory, GGUF file, or LoRA adapter directory over the base model."""
    revision: str = "main"


class Imported(Section):
    """Responses that were generated elsewhere, read from a file."""

    method: Literal["imported"]
    responses: str
    """JSON lines with `id` or `prompt`, and `response`."""
    model: str = ""
    """The model that wrote them, if it can be loaded; without it ranks are known and KL is not."""
    revision: str = "main"


Model = Annotated[Lft | Sft | Existing | Imported, Field(discriminator="method")]
