"""What can be known to fail before the first model answers; hours of work may come before the stage it fails in."""

import importlib.util
from collections.abc import Collection
from pathlib import Path

import orjson
import torch
import transformers

from itaudit.engine.imported import read_responses
from itaudit.engine.models import ModelFiles, find_model, load_config
from itaudit.errors import UserError
from itaudit.recipe import Recipe
from itaudit.tuning_settings import Imported, Lft, Sft, Tracker

_PACKAGES: dict[Tracker, tuple[str, ...]] = {
    "wandb": ("wandb",),
    "tensorboard": ("tensorboardX", "tensorboard"),
    "trackio": ("trackio",),
}
"""The packages, any of which a tracker wants, the one to install first."""


def check_models(
    recipe: Recipe, base: ModelFiles, device: torch.device, labels: Collection[str]
) -> dict[str, ModelFiles]:
    """The files of those of `labels` that are not tuned here, downloaded if need be.

    Raises UserError, naming the key, for a model that can't be had and for settings that the base or the machine
    can't carry out.
    """
    code = recipe.base.trust_remote_code
    config = load_config(base, code=code)
    found = {}
    for label in labels:
        settings = recipe.models[label]
        if isinstance(settings, Lft | Sft):
            _check_tuning(label, settings, config, device)
            if isinstance(settings, Lft):
                _check_targets(label, settings, config, code=code)
            continue
        if isinstance(settings, Imported):
            read_responses(Path(settings.responses))
        if settings.model:
            try:
                found[label] = find_model(settings.model, revision=settings.revision, code=code)
            except UserError as error:
                raise UserError(f"models.{label}.model: {error}") from None
    return found


def other_base(files: ModelFiles, base: ModelFiles) -> str:
    """The base model that an adapter says it was tuned over, where that is not `base` by name; else empty."""
    if not files.is_adapter:
        return ""
    told = orjson.loads((files.path / "adapter_config.json").read_bytes()).get("base_model_name_or_path")
    names = {Path(base.name).name, base.path.name}
    return str(told) if told and Path(str(told)).name not in names else ""


def _check_tuning(label: str, settings: Lft | Sft, config: transformers.PretrainedConfig, device: torch.device) -> None:
    if settings.packing and getattr(config, "is_encoder_decoder", False):
        raise UserError(
            f"models.{label}.packing: encoder-decoder models can't be tuned on packed rows; set it to false"
        )
    if device.type == "cuda" and settings.processes > torch.cuda.device_count():
        raise UserError(
            f"models.{label}.processes: {settings.processes} want as many GPUs; torch sees {torch.cuda.device_count()}"
        )
    for tracker in settings.report_to:
        if not any(importlib.util.find_spec(package) for package in _PACKAGES[tracker]):
            raise UserError(
                f"models.{label}.report_to: {tracker} wants the package {_PACKAGES[tracker][0]}, which is not "
                f"installed: pip install {_PACKAGES[tracker][0]}, or leave it out"
            )
    if device.type == "mps" and settings.processes > 1:
        raise UserError(f"models.{label}.processes: mps has one device; set it to 1")


def _check_targets(label: str, settings: Lft, config: transformers.PretrainedConfig, *, code: bool) -> None:
    """peft complains only where no name of several is found, and after the model has been loaded."""
    if settings.target_modules == ["all-linear"]:
        return
    auto = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    # Without weights a model of any size is made in a moment.
    with torch.device("meta"):
        model = auto.from_config(config, trust_remote_code=code)
    names = [name for name, _ in model.named_modules()]
    for target in settings.target_modules:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            linear = {
                name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)
            }
            raise UserError(
                f"models.{label}.target_modules: the base model has no module {target!r}; it has "
                f"{', '.join(sorted(linear))}"
            )
