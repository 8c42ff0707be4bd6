"""The tune stage: LoRA or full-parameter tuning of the base model, by TRL's trainer (transformers' for T5).

Run as `python -m itaudit.engine.tune RUN_DIR LABEL` under torch's launcher where a recipe asks for several
processes; the worker calls `tune_model` itself for one.
"""

import math
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import datasets
import orjson
import peft
import torch
import transformers
import trl
from transformers.integrations import TensorBoardCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from itaudit.engine.context import ContextBuilder, Example, has_loss
from itaudit.engine.device import choose_device, choose_dtype
from itaudit.engine.examples import run_examples
from itaudit.engine.heart import Cancelled
from itaudit.engine.models import (
    ModelFiles,
    find_model,
    load_tokenizer,
    load_weights,
    max_positions,
    pad_id,
    save_directory,
)
from itaudit.engine.reporter import Reporter
from itaudit.engine.tracking import PROJECT, reporting
from itaudit.errors import UserError
from itaudit.experiments.experiment import name_in_all
from itaudit.runs.run import Run
from itaudit.tuning_settings import Lft, Sft


def tune_model(run: Run, label: str, base: ModelFiles, reporter: Reporter) -> None:
    """Tunes one model of the run's recipe and saves it in `models/LABEL`; goes on from its last checkpoint."""
    target = run.model_dir(label)
    if target.is_dir():
        return
    recipe, settings = run.recipe, run.recipe.tuned_here()[label]
    device = choose_device(recipe.device)
    transformers.set_seed(recipe.seed)
    model = load_weights(base, dtype=tuning_dtype(settings, device), code=recipe.base.trust_remote_code)
    tokenizer = load_tokenizer(base, code=recipe.base.trust_remote_code)
    model = ready_to_tune(model, settings)
    max_length = longest_example(model, settings)
    examples = run_examples(run, context_builder(run, tokenizer, model), max_length)
    kept = [example for example in examples if has_loss(example)]
    truncated, dropped = sum(example.truncated for example in examples), len(examples) - len(kept)
    if not kept:
        raise UserError(f"models.{label}: no instance has anything to learn within max_length = {max_length}")
    checkpoints, tracking = run.path / "checkpoints" / label, run.path / "tracking" / label
    arguments = training_arguments(settings, device, recipe.seed, checkpoints) | {
        "save_strategy": "steps",
        "save_total_limit": 1,
        "report_to": list(settings.report_to) or "none",
        "project": PROJECT,
    }
    trainer = make_trainer(model, tokenizer, kept, settings, device, arguments)
    keep_logs(trainer, tracking)
    # Packing has made fewer rows out of the instances.
    rows = len(trainer.train_dataset)
    steps = optimiser_steps(rows, settings)
    trainer.args.save_steps = settings.checkpoint_steps or _checkpoint_steps(rows, steps, settings)
    checkpoint = last_checkpoint(checkpoints)
    done = _steps_of(checkpoint)
    tokens = sum(len(example.ids) for example in kept)
    trainer.add_callback(
        _Progress(label, reporter, tokens / len(trainer.train_dataset), speaks=trainer.is_world_process_zero())
    )
    if trainer.is_world_process_zero():
        _remove_torn(checkpoints)
        if truncated:
            reporter.note(
                f"{label}: {truncated} of {len(examples)} instances were longer than {max_length} tokens and "
                f"lost their end; {dropped} of them lost all of their response and were left out"
            )
        reporter.stage_started("tune", label, total=steps, unit="steps", done=done)
    reporter.check()
    started = time.monotonic()
    with reporting(trainer, label, f"{name_in_all(run)}-{label}", checkpoints / "tracked.json", tracking):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.accelerator.wait_for_everyone()
    if trainer.state.global_step < trainer.state.max_steps:
        raise Cancelled
    if trainer.is_world_process_zero():
        _save(trainer, tokenizer, target, choose_dtype(recipe.base.dtype, device))
        shutil.rmtree(checkpoints, ignore_errors=True)
        reporter.stage_done(
            "tune",
            label,
            seconds=time.monotonic() - started,
            instances=len(kept),
            rows=rows,
            tokens=tokens,
            truncated=truncated,
            dropped=dropped,
            trainable=sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        )


def tune_in_processes(run: Run, label: str, settings: Lft | Sft, reporter: Reporter) -> None:
    """Tunes on several processes of this machine, each on a GPU of its own where there are GPUs."""
    # What `accelerate launch` starts for several GPUs; it would start one process alone where the device is a CPU.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += [str(settings.processes), "--module", "itaudit.engine.tune", str(run.path), label]
    with subprocess.Popen(command) as process:
        told = False
        while process.poll() is None:
            time.sleep(0.2)
            if reporter.cancelled and not told:
                told = True
                process.terminate()
    reporter.check()
    if process.returncode:
        raise UserError(f"models.{label}: tuning on {settings.processes} processes failed; see {run.log_path}")


def last_checkpoint(directory: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    return max(filter(_complete, directory.glob(f"{PREFIX_CHECKPOINT_DIR}-*")), key=_steps_of, default=None)


def _complete(checkpoint: Path) -> bool:
    # The trainer's state is the last file that it writes.
    try:
        orjson.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return True


def _remove_torn(directory: Path) -> None:
    """Removes checkpoints that a kill cut off: the trainer would keep the highest step, and delete a whole one."""
    for path in directory.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
        if not _complete(path):
            shutil.rmtree(path, ignore_errors=True)


def _steps_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0


def optimiser_steps(rows: int, settings: Lft | Sft) -> int:
    """How many steps tuning on so many rows takes in all."""
    return settings.steps or max(math.ceil(settings.epochs * _steps_per_epoch(rows, settings)), 1)


def _steps_per_epoch(rows: int, settings: Lft | Sft) -> int:
    batches = math.ceil(rows / (settings.micro_batch_size * settings.processes))
    accumulate = settings.batch_size // (settings.micro_batch_size * settings.processes)
    return max(math.ceil(batches / accumulate), 1)


def _checkpoint_steps(rows: int, steps: int, settings: Lft | Sft) -> int:
    """Steps between checkpoints: about an epoch."""
    epochs = steps / _steps_per_epoch(rows, settings) if settings.steps else settings.epochs
    return max(1, math.ceil(steps / math.ceil(epochs)))


def keep_logs(trainer: Any, directory: Path) -> None:
    """Has TensorBoard's files written to a directory, unless TENSORBOARD_LOGGING_DIR names another."""
    for callback in trainer.callback_handler.callbacks:
        # They would stand among the checkpoints, which go when tuning is done.
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(directory)


def tuning_dtype(settings: Lft | Sft, device: torch.device) -> torch.dtype:
    """The type of the weights while they are tuned.

    Full tuning keeps float32 weights, since bfloat16 ones swallow small updates; autocast does the arithmetic.
    """
    half = device.type == "cuda" and torch.cuda.is_bf16_supported() and isinstance(settings, Lft)
    return torch.bfloat16 if half else torch.float32


def ready_to_tune(model: Any, settings: Lft | Sft) -> Any:
    """The base model as the method tunes it: with a new adapter over it, or as it is.

    The seed that was set last decides how an adapter begins.
    """
    if isinstance(settings, Lft):
        modules: str | list[str] = settings.target_modules
        config = peft.LoraConfig(
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules="all-linear" if modules == ["all-linear"] else modules,
            task_type="SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM",
        )
        try:
            model = peft.get_peft_model(model, config)
        except ValueError as error:
            raise UserError(f"target_modules: {str(error).splitlines()[0]}") from None
        if settings.gradient_checkpointing:
            model.enable_input_require_grads()
    model.config.use_cache = False
    return model


def longest_example(model: Any, settings: Lft | Sft) -> int:
    """Where instances are cut off, in tokens."""
    # No model reads beyond its last position: some would fail there, others answer nonsense.
    return min(settings.max_length, max_positions(model) or settings.max_length)


def context_builder(run: Run, tokenizer: Any, model: Any) -> ContextBuilder:
    """What makes token ids of the run's instances."""
    context = run.recipe.context
    kind: Literal["causal", "seq2seq"] = "seq2seq" if model.config.is_encoder_decoder else "causal"
    return ContextBuilder(tokenizer, kind, template=context.template, system=context.system)


def training_arguments(settings: Lft | Sft, device: torch.device, seed: int, directory: Path) -> dict[str, Any]:
    """What the trainer is told; checkpoints, if it is to write any, stand in `directory`."""
    return {
        "output_dir": str(directory),
        "per_device_train_batch_size": settings.micro_batch_size,
        "gradient_accumulation_steps": settings.batch_size // (settings.micro_batch_size * settings.processes),
        "learning_rate": settings.learning_rate,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.steps or -1,
        "lr_scheduler_type": settings.scheduler,
        # A share of all steps, which only the trainer knows; 1 would mean a single step.
        "warmup_steps": min(settings.warmup_ratio, 1 - 1e-9),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "neftune_noise_alpha": settings.neftune_alpha or None,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": device.type == "cuda" and torch.cuda.is_bf16_supported(),
        "use_cpu": device.type == "cpu",
        "seed": seed,
        "data_seed": seed,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": device.type == "cuda",
    }


def make_trainer(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    settings: Lft | Sft,
    device: torch.device,
    arguments: dict[str, Any],
) -> Any:
    """The trainer of a model over examples; it prints nothing."""
    trainer = _trainer_of(model, tokenizer, examples, settings, device, arguments)
    # Losses are events; printing them too would bury what the log is for.
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def _trainer_of(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    settings: Lft | Sft,
    device: torch.device,
    arguments: dict[str, Any],
) -> Any:
    rows = datasets.Dataset.from_list([{"input_ids": e.ids, "labels": e.labels} for e in examples])
    if model.config.is_encoder_decoder:
        return transformers.Seq2SeqTrainer(
            model=model,
            args=on_one_gpu(transformers.Seq2SeqTrainingArguments(**arguments), device),
            train_dataset=rows,
            data_collator=transformers.DataCollatorForSeq2Seq(tokenizer, model=model),
            processing_class=tokenizer,
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = pad_id(tokenizer)
    config = trl.SFTConfig(
        **arguments,
        # Length and loss mask are settled already; the trainer is to take the rows as they are, unless it packs.
        max_length=settings.max_length if settings.packing else None,
        packing=settings.packing,
        dataset_kwargs={"skip_prepare_dataset": not settings.packing},
    )
    return trl.SFTTrainer(model=model, args=on_one_gpu(config, device), train_dataset=rows, processing_class=tokenizer)


def on_one_gpu(arguments: Any, device: torch.device) -> Any:
    """The trainer's arguments, bound to the recipe's GPU.

    A trainer of one process takes all GPUs that it sees, by nn.DataParallel: TRL refuses that, and transformers'
    trainer would multiply the batch. Processes of a launcher have their GPU already.
    """
    if device.type == "cuda" and arguments.parallel_mode != transformers.training_args.ParallelMode.DISTRIBUTED:
        torch.cuda.set_device(device)
        arguments._n_gpu = 1
        # What `arguments.device` computed once, and returns from then on.
        arguments.__dict__["_setup_devices"] = device
    return arguments


class _Progress(transformers.TrainerCallback):  # type: ignore[misc]  # transformers carries no types
    """Loss and throughput as events, from the process that `speaks`; a checkpoint and a stop when asked to cancel."""

    def __init__(self, label: str, reporter: Reporter, tokens_per_row: float, *, speaks: bool) -> None:
        self._label = label
        self._reporter = reporter
        self._speaks = speaks
        self._tokens_per_row = tokens_per_row
        self._step_started = 0.0
        self._step_seconds = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._step_started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._step_seconds = time.monotonic() - self._step_started
        if self._speaks:
            self._reporter.progress("tune", self._label, state.global_step)
        if state.global_step >= state.max_steps:
            # The model itself is saved next; a checkpoint of its last step would only cost time.
            control.should_save = False
        elif self._cancelled(args):
            control.should_save = control.should_training_stop = True

    def _cancelled(self, args: Any) -> bool:
        """Whether any process was asked to stop: one that stopped alone would leave the others waiting for it."""
        if args.world_size == 1:
            return self._reporter.cancelled
        asked = torch.tensor(int(self._reporter.cancelled), device=args.device)
        torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
        return bool(asked)

    def on_log(self, args: Any, state: Any, _control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if not self._speaks or not logs or "loss" not in logs:
            return
        batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        self._reporter.loss(
            self._label,
            step=state.global_step,
            steps=state.max_steps,
            epoch=float(state.epoch or 0.0),
            loss=float(logs["loss"]),
            learning_rate=float(logs.get("learning_rate", 0.0)),
            tokens_per_second=batch * self._tokens_per_row / max(self._step_seconds, 1e-9),
        )


def _save(trainer: Any, tokenizer: Any, target: Path, dtype: torch.dtype) -> None:
    """Saves weights, in the type that they will be read in, or an adapter, as safetensors, whole or not at all."""
    scratch = target.with_name(f".{target.name}.saving")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.config.use_cache = True
    if not isinstance(model, peft.PeftModel):
        model.to(dtype)
    model.save_pretrained(scratch, safe_serialization=True)
    tokenizer.save_pretrained(scratch)
    save_directory(scratch, target)


def main() -> None:
    """One of the processes of a multi-process tuning."""
    run, label = Run(Path(sys.argv[1])), sys.argv[2]
    recipe = run.recipe
    base = find_model(recipe.base.model, revision=recipe.base.revision, code=recipe.base.trust_remote_code)
    with Reporter(run, owner=False) as reporter:
        tune_model(run, label, base, reporter)


if __name__ == "__main__":
    main()
