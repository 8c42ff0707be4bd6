"""The proof worker: one process that carries out the units of one proof, those that are not done yet.

`python -m itaudit.engine.proof_worker FOLDER`. Exit code 0 done, 1 failed, 3 cancelled. Every unit is on the disk
before it counts as done; a unit that was cut off begins again. One worker at a time works on a proof.
"""

import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import filelock
import psutil
import torch

from itaudit.engine.base_weights import BaseWeights
from itaudit.engine.context import Example, has_loss
from itaudit.engine.device import choose_device, release_memory
from itaudit.engine.device_lock import held_device
from itaudit.engine.heart import Cancelled, Heart
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
from itaudit.runs.status import Status, read_status

HEARTBEAT_SECONDS = 0.5
_ANNOUNCED_WITHIN = 10.0


class Job:
    """What a worker says of itself, in `status.json` with a heartbeat, and whether it was asked to stop.

    The worker changes `progress`, which is what there is to show, in place.
    """

    def __init__(self, folder: Path, progress: dict[str, Any]) -> None:
        self.folder = folder
        self.progress = progress
        self.state = "running"
        self.error = ""
        self.waiting_for = ""
        self._started = time.time()
        self._lock = threading.Lock()
        self._heart = Heart(self.tell, HEARTBEAT_SECONDS)

    def __enter__(self) -> Self:
        self._heart.__enter__()
        self.tell()
        return self

    def __exit__(self, *told: object) -> None:
        self._heart.__exit__(*told)
        with suppress(OSError):
            self.tell()

    @property
    def cancelled(self) -> bool:
        return self._heart.cancelled

    def check(self) -> None:
        """Raises Cancelled where the user asked to stop."""
        self._heart.check()

    def wait(self, device: str) -> None:
        """Says that the job is queued behind another one on a device."""
        self.waiting_for = device

    def tell(self) -> None:
        """Writes the status."""
        with self._lock:
            Status(
                state="queued" if self.waiting_for and self.state == "running" else self.state,
                pid=os.getpid(),
                pid_started=psutil.Process().create_time(),
                host=socket.gethostname(),
                started=self._started,
                heartbeat=time.time(),
                stages=[{**self.progress, "waiting_for": self.waiting_for}],
                error=self.error,
            ).write(self.folder / "status.json")


class Prover:
    """The units of one proof on one device."""

    def __init__(self, proof: Proof, job: Job, device: torch.device) -> None:
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
            self.job.progress["doing"] = f"{doing}: step {step} of {steps}"
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
        self.job.progress["doing"] = doing
        self._foresee(time.monotonic(), 0.0)
        return time.monotonic()

    def _foresee(self, started: float, share: float) -> None:
        """Says how long the rest will take, by the units that are done and how far the one at work is."""
        elapsed = time.monotonic() - started
        each = sum(self._spent) / len(self._spent) if self._spent else elapsed / share if share else None
        self.job.progress["seconds_left"] = None if each is None else max(0.0, each * (self._left - share))

    def _end(self, name: str, readings: Sequence[Reading | None], started: float, facts: dict[str, float]) -> None:
        seconds = time.monotonic() - started
        append_unit(self.proof.results_path, Unit(name, tuple(readings), seconds, facts))
        if name != BEFORE:
            self._spent.append(seconds)
        self._left -= 1
        self.job.progress["done"] += 1


def work_on(proof: Proof) -> int:
    """Carries out a proof and says in its status how it ended; returns the exit code."""
    progress = {"stage": "prove", "done": len(proof.units()), "total": len(proof.plan.units()), "doing": ""}
    with Job(proof.folder, progress) as job:
        try:
            if progress["done"] != progress["total"]:
                device = choose_device(Run(proof.run_path).recipe.device)
                with held_device(device, waiting=job.wait, check=job.check):
                    job.waiting_for = ""
                    job.progress["doing"] = "loading the base model"
                    Prover(proof, job, device).work()
                release_memory(device)
        except Cancelled:
            job.state = "cancelled"
            return 3
        except UserError as error:
            job.state, job.error = "failed", str(error)
            print(f"error: {error}", file=sys.stderr)
            return 1
        except torch.OutOfMemoryError as error:
            job.state = "failed"
            job.error = (
                "out of device memory: lower the model's micro_batch_size or generate.batch_size in recipe.toml, or "
                f"set gradient_checkpointing = true ({str(error).splitlines()[0]})"
            )
            print(f"error: {job.error}", file=sys.stderr)
            return 1
        except Exception as error:  # noqa: BLE001  # whatever broke, the proof must say so instead of looking at work
            traceback.print_exc()
            told = str(error).splitlines()[0] if str(error) else ""
            job.state, job.error = "failed", f"{type(error).__name__}: {told}"
            return 1
        job.state = "done"
        job.progress["doing"] = ""
        return 0


def _await_announcement(folder: Path) -> None:
    """Waits until whoever started us has said so, or their words would replace our first."""
    until = time.monotonic() + _ANNOUNCED_WITHIN
    while time.monotonic() < until:
        told = read_status(folder / "status.json")
        if told is not None and told.pid == os.getpid():
            return
        time.sleep(0.01)


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["--announced"]):
        print("usage: python -m itaudit.engine.proof_worker FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        proof = Proof(folder)
        if len(arguments) == 2:
            _await_announcement(folder)
        with filelock.FileLock(folder / "worker.lock", blocking=False):
            return work_on(proof)
    except filelock.Timeout:
        print(f"error: {folder}: another worker is at work on it", file=sys.stderr)
        return 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
