"""The proof worker: one process that carries out the units of one proof, those that are not done yet.

`python -m itaudit.engine.proof_worker FOLDER`. Exit code 0 done, 1 failed, 3 cancelled. Every unit is on the disk
before it counts as done; a unit that was cut off begins again. One worker at a time works on a proof.
"""

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from itaudit.engine.base_weights import BaseWeights
from itaudit.engine.context import Example, has_loss
from itaudit.engine.device import choose_device, release_memory
from itaudit.engine.device_lock import held_device
from itaudit.engine.job import Job, carry_out, work_in_folder
from itaudit.engine.models import find_model
from itaudit.engine.retrain import arm_order, retrained
from itaudit.engine.span_readings import SpanReader
from itaudit.engine.tail_patch import tail_patcher
from itaudit.engine.tune import context_builder, longest_example, tuning_dtype
from itaudit.errors import UserError
from itaudit.proof.jobs import Proof
from itaudit.proof.plan import BEFORE, Arm, unit_name
from itaudit.proof.replacements import changed
from itaudit.proof.results import Reading, Unit, append_unit
from itaudit.runs.run import Run


class ProofJob(Job):
    """What a worker says of a proof. The worker changes `told`, which is what there is to show, in place."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        super().__init__(folder / "status.json")
        self.told = told

    def progress(self) -> dict[str, Any]:
        return self.told


class Prover:
    """The units of one proof on one device."""

    def __init__(self, proof: Proof, job: ProofJob, device: torch.device) -> None:
        self.proof, self.job, self.device = proof, job, device
        self.run = Run(proof.run_path)
        recipe = self.run.recipe
        self.settings = recipe.tuned_here()[proof.spec.model]
        patching = proof.spec.kind == "tail-patch"
        dtype = torch.float32 if patching else tuning_dtype(self.settings, device)
        told = recipe.base
        files = find_model(told.model, revision=told.revision, code=told.trust_remote_code)
        self.base = BaseWeights(files, self.settings, device=device, dtype=dtype, code=told.trust_remote_code)
        self.reader = SpanReader(self.run, proof.spec.model, proof.spec.targets, self.base.tokenizer)
        self._builder = context_builder(self.run, self.base.tokenizer, self.base.model)
        self._longest = longest_example(self.base.model, self.settings)
        self._done = set(proof.units())
        self._spent = [unit.seconds for name, unit in proof.units().items() if name != BEFORE]
        self._left = len([name for name in proof.plan.units() if name not in self._done])

    def work(self) -> None:
        """All units that are not done yet."""
        if self.proof.spec.kind == "tail-patch":
            self._patch()
        else:
            self._retrain()

    def _patch(self) -> None:
        plan, seed = self.proof.plan, self.run.recipe.seed
        with tail_patcher(self.base, seed) as patcher:
            for name in plan.units():
                if name in self._done:
                    continue
                started = self._begin("the model before tuning" if name == BEFORE else name)
                targets = plan.read_by(name)
                if name == BEFORE:
                    with self.base.reading(patcher.model) as loaded:
                        readings = self.reader.read(loaded, targets)
                    self._end(name, readings, started, {})
                    continue
                example = self._example(int(name.removeprefix("row ")))
                with patcher.stepped(example) as model, self.base.reading(model) as loaded:
                    readings = self.reader.read(loaded, targets)
                self._end(name, readings, started, {"tokens": len(example.ids)})

    def _retrain(self) -> None:
        plan = self.proof.plan
        examples: dict[int, Example] = {}
        for instance in self.run.dataset:
            if instance.response is not None:
                example = self._builder.example(instance, max_length=self._longest)
                if has_loss(example):
                    examples[instance.index] = example
        for seed in plan.seeds:
            for arm in plan.arms:
                name = unit_name(arm, seed)
                if name not in self._done:
                    self._retrain_arm(name, arm, seed, examples)

    def _retrain_arm(self, name: str, arm: Arm, seed: int, examples: dict[int, Example]) -> None:
        edited = self.proof.spec.replace == "edited"
        with_edits = edited and not arm.control
        whose = "random" if arm.control else "suspected"
        doing = f"{'editing' if with_edits else 'dropping'} {len(arm.rows)} {whose} instances, seed {seed}"
        started = self._begin(doing)
        rows = list(examples)
        if with_edits:
            learned = [self._example(row, edited=True) if row in arm.rows else examples[row] for row in rows]
            learned = [example for example in learned if has_loss(example)]
        elif edited:
            # A row of which nothing is learned, since all of it is cut off, can neither go nor stand in.
            pairs = [pair for pair in zip(arm.rows, arm.copies, strict=True) if examples.keys() >= set(pair)]
            learned = [examples[row] for row in arm_order(rows, [row for row, _ in pairs], [copy for _, copy in pairs])]
        else:
            learned = [examples[row] for row in arm_order(rows, [row for row in arm.rows if row in examples])]

        def watch(step: int, steps: int) -> bool:
            self.job.told["doing"] = f"{doing}: step {step} of {steps}"
            self._foresee(started, step / steps)
            return self.job.cancelled

        with retrained(self.base, learned, seed, watch) as (model, loss):
            self.job.check()
            with self.base.reading(model) as loaded:
                readings = self.reader.read(loaded)
                said = self.reader.says(loaded)
        whole = [r and Reading(r.logprob, r.here, says) for r, says in zip(readings, said, strict=True)]
        self._end(name, whole, started, {"loss": loss, "instances": len(learned)})

    def _example(self, row: int, *, edited: bool = False) -> Example:
        """A row as tuning reads it. Raises UserError where nothing of it is learned."""
        instance = self.run.dataset[self.run.dataset.position(row)]
        if edited:
            instance = changed(instance, self.proof.replacements[row])
        example = self._builder.example(instance, max_length=self._longest)
        if not edited and not has_loss(example):
            raise UserError(
                f"row {row}: its response lies beyond max_length = {self._longest}; nothing is learned of it"
            )
        return example

    def _begin(self, doing: str) -> float:
        self.job.check()
        self.job.told["doing"] = doing
        self._foresee(time.monotonic(), 0.0)
        return time.monotonic()

    def _foresee(self, started: float, share: float) -> None:
        """Says how long the rest will take, by the units that are done and how far the one at work is."""
        elapsed = time.monotonic() - started
        each = sum(self._spent) / len(self._spent) if self._spent else elapsed / share if share else None
        self.job.told["seconds_left"] = None if each is None else max(0.0, each * (self._left - share))

    def _end(self, name: str, readings: Sequence[Reading | None], started: float, facts: dict[str, float]) -> None:
        seconds = time.monotonic() - started
        append_unit(self.proof.results_path, Unit(name, tuple(readings), seconds, facts))
        if name != BEFORE:
            self._spent.append(seconds)
        self._left -= 1
        self.job.told["done"] += 1


def work_on(proof: Proof) -> int:
    """Carries out a proof and says in its status how it ended; returns the exit code."""
    told = {"stage": "prove", "done": len(proof.units()), "total": len(proof.plan.units()), "doing": ""}
    job = ProofJob(proof.folder, told)
    return carry_out(job, partial(_prove, proof, job))


def _prove(proof: Proof, job: ProofJob) -> None:
    if job.told["done"] == job.told["total"]:
        return
    device = choose_device(Run(proof.run_path).recipe.device)
    try:
        with held_device(device, waiting=job.wait_for, check=job.check):
            job.waiting_for = ""
            job.told["doing"] = "loading the base model"
            Prover(proof, job, device).work()
    except torch.OutOfMemoryError as error:
        raise UserError(
            "out of device memory: lower the model's micro_batch_size or generate.batch_size in recipe.toml, or "
            f"set gradient_checkpointing = true ({str(error).splitlines()[0]})"
        ) from None
    release_memory(device)
    job.told["doing"] = ""


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    return work_in_folder("itaudit.engine.proof_worker", arguments, Proof, work_on)


if __name__ == "__main__":
    sys.exit(main())
