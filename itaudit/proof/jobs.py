"""Proofs of a run: made, started, watched and read. Each is a folder, `RUN/proofs/NAME/`, with a worker of its own.

`proof.json` says what was asked and planned, so that the job depends on nothing that changes; `results.jsonl` grows by
a line a unit; `status.json` is the worker's last word.
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.proof.plan import Plan, plan_proof
from itaudit.proof.replacements import Changes, edited_sources
from itaudit.proof.results import Unit, read_units
from itaudit.proof.spec import ProofSpec, Target, Verdict
from itaudit.proof.verdicts import verdict_of
from itaudit.runs import jobs
from itaudit.runs.run import BASE, Run
from itaudit.runs.status import last_word, read_status
from itaudit.runs.worker_log import log_tail
from itaudit.units import duration_text

ProofState = Literal["new", "queued", "running", "done", "failed", "cancelled"]

_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ProofStatus:
    """How far a proof is, in units: retrainings, or steps. `doing` is the unit at work, in words.

    `seconds_left` is None where nothing can be said yet; `error` is one line on why the job failed.
    """

    state: ProofState
    done: int
    total: int
    seconds_left: float | None = None
    doing: str = ""
    error: str = ""
    waiting_for: str = ""

    @property
    def at_work(self) -> bool:
        return self.state in ("queued", "running")


class Proof:
    """One proof of a run. Opening reads `proof.json`; results are read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the folder is no proof."""
        self.folder = folder.resolve()
        self.name = self.folder.name
        self.results_path = self.folder / "results.jsonl"
        self.status_path = self.folder / "status.json"
        self.log_path = self.folder / "worker.log"
        told = _read(self.folder / "proof.json")
        self.created: float = told["created"]
        self.spec: ProofSpec = told["spec"]
        self.plan: Plan = told["plan"]
        self.replacements: Mapping[int, Changes] = told["replacements"]
        self._units: dict[str, Unit] = {}
        self._read_at: tuple[int, int] | None = None

    @property
    def run_path(self) -> Path:
        return self.folder.parent.parent

    def units(self) -> dict[str, Unit]:
        """The finished units of the plan, by name."""
        try:
            stat = self.results_path.stat()
        except FileNotFoundError:
            return {}
        # Screens ask at every step, and the file seldom grows.
        if self._read_at != (stat.st_size, stat.st_mtime_ns):
            planned, targets = set(self.plan.units()), len(self.spec.targets)
            read = read_units(self.results_path, targets)
            self._units = {n: u for n, u in read.items() if n in planned}
            self._read_at = (stat.st_size, stat.st_mtime_ns)
        return self._units

    def start(self) -> int:
        """Starts a detached worker, which goes on where another one stopped; returns its pid.

        Raises UserError where one is at work already.
        """
        worker = ["itaudit.engine.proof_worker", str(self.folder), "--announced"]
        return jobs.launch(worker, folder=self.folder, log=self.log_path, status=self.status_path)

    def cancel(self) -> int:
        """Asks the worker to stop; what is done stays. Returns its pid; raises UserError where none is at work."""
        return jobs.stop(self.folder, read_status(self.status_path))

    def status(self) -> ProofStatus:
        """How far the proof is, by its files; a worker that died without a word, and results that can't be read, are
        a failure.
        """
        # The status first: a worker that ends in between has written its last result before.
        told, died = last_word(self.status_path)
        total = len(self.plan.units())
        try:
            done = len(self.units())
        except UserError as unread:
            return ProofStatus("failed", 0, total, error=str(unread))
        if told is None:
            return ProofStatus("done" if done >= total else "new", done, total)
        state, error = told.state, told.error
        if died:
            state = "failed"
            error = " ".join(log_tail(self.log_path, 1)).strip() or "the worker died without a word"
        if done >= total:
            state, error = "done", ""
        elif state == "done":
            # Its worker said so, and somebody took lines away since: as done it could not be resumed.
            state, error = "failed", f"{self.results_path.name} holds {done} of {total} results; resume makes the rest"
        progress = told.stages[0] if told.stages else {}
        at_work = state == "running"
        return ProofStatus(
            state if state in ("queued", "running", "done", "failed", "cancelled") else "failed",  # type: ignore[arg-type]  # one of them
            done,
            total,
            seconds_left=progress.get("seconds_left") if at_work else None,
            doing=str(progress.get("doing", "")) if at_work else "",
            error=error,
            waiting_for=str(progress.get("waiting_for", "")) if state == "queued" else "",
        )

    def progress(self, status: ProofStatus | None = None) -> str:
        """How far the proof is, in one line; of a status that was read already, if it is given."""
        status = status or self.status()
        unit = "retrainings" if self.plan.arms else "steps"
        line = f"{status.state} · {status.done} of {status.total} {unit}"
        if status.waiting_for:
            line += f" · waits for {status.waiting_for}"
        if status.doing:
            line += f" · {status.doing}"
        if status.seconds_left is not None:
            line += f" · {duration_text(status.seconds_left)} left"
        return f"{line} · {status.error}" if status.error else line

    def verdict(self, target: int) -> Verdict:
        """The verdict on the target at a position of the spec, by the units that are done.

        Raises UserError where the results can't be read.
        """
        return verdict_of(self.name, self.spec, self.plan, self.units(), target)

    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts on all targets, in the order of the spec, as far as the units that are done tell.

        None where the results can't be read; the status says why.
        """
        try:
            return tuple(self.verdict(target) for target in range(len(self.spec.targets)))
        except UserError:
            return ()

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of the worker's output."""
        return log_tail(self.log_path, lines)


def create(run: Run, spec: ProofSpec, name: str = "") -> Proof:
    """Makes the folder of a proof, planned in full; `Proof.start` sets to work. Without a name it gets the next free.

    Raises UserError where the spec does not fit the run: a model that it did not tune, a span that does not stand in
    the response, rows that were not tuned on, too few instances for controls.
    """
    spec = _fitted(run, spec)
    replacements: dict[int, Changes] = {}
    if spec.replace == "edited":
        spec, replacements = _edited(run, spec)
    plan = plan_proof(spec, _lengths(run), run.recipe.seed)
    folder = _free_folder(run, spec, name)
    content = {
        "v": _VERSION,
        "created": time.time(),
        "spec": spec.to_json(),
        "plan": plan.to_json(),
        "replacements": {str(row): changes for row, changes in replacements.items()},
    }
    try:
        atomic.write_bytes(folder / "proof.json", orjson.dumps(content, option=orjson.OPT_INDENT_2))
    except OSError as error:
        raise UserError(f"{folder}: can't write the proof: {error.strerror}") from None
    return Proof(folder)


def open_proof(run: Run, name: str) -> Proof:
    """A proof of a run by its name. Raises UserError, code 2, where there is none."""
    if not _NAME.fullmatch(name) or not (run.path / "proofs" / name / "proof.json").is_file():
        raise UserError(f"{run.path}: no proof {name!r}; `itaudit prove {run.path} --list` lists them", code=2)
    return Proof(run.path / "proofs" / name)


def proofs(run: Run, unread: Callable[[str], object] | None = None) -> tuple[Proof, ...]:
    """The proofs of a run, newest first; `unread` is told of each that can't be read, in a line."""
    found = []
    for path in (run.path / "proofs").glob("*/proof.json"):
        try:
            found.append(Proof(path.parent))
        except UserError as error:
            if unread is not None:
                unread(str(error))
    return tuple(sorted(found, key=lambda proof: -proof.created))


def plan_of(run: Run, spec: ProofSpec) -> Plan:
    """What a proof would consist of. Raises what `create` does."""
    spec = _fitted(run, spec)
    if spec.replace == "edited":
        spec, _ = _edited(run, spec)
    return plan_proof(spec, _lengths(run), run.recipe.seed)


def estimate(run: Run, spec: ProofSpec) -> float | None:
    """About how many seconds a proof will take, by earlier proofs of the model or by how long its tuning took.

    None where neither is known. Raises what `create` does.
    """
    plan = plan_of(run, spec)
    for proof in proofs(run):
        units: Mapping[str, Unit] = {}
        if (proof.spec.model, proof.spec.kind) == (spec.model, spec.kind):
            with suppress(UserError):
                units = proof.units()
        if units:
            mean = sum(unit.seconds for unit in units.values()) / len(units)
            return mean * len(plan.units())
    facts = run.state().stages.get(f"tune:{spec.model}")
    seconds = facts.facts.get("seconds") if facts is not None else None
    if facts is None or not isinstance(seconds, int | float) or not facts.total:
        return None
    # A patch is a step on one instance, and reading the span again; an arm is a tuning, and an answer.
    return len(plan.units()) * float(seconds) / (facts.total if spec.kind == "tail-patch" else 1)


def check_tuned(run: Run, label: str) -> None:
    """Raises UserError, code 2, unless the run tuned the model itself, and so can tune it again."""
    recipe = run.recipe
    if label == BASE:
        raise UserError("the base model was not tuned; take one of the tuned ones", code=2)
    if label not in recipe.models:
        raise UserError(f"{run.path}: no model {label!r}; there are {', '.join(run.labels)}", code=2)
    if label not in recipe.tuned_here():
        raise UserError(
            f"models.{label}: is {recipe.models[label].method}; only a model that the run tuned itself (lft, sft) can "
            "be tuned again",
            code=2,
        )


def _fitted(run: Run, spec: ProofSpec) -> ProofSpec:
    """The spec with its defaults and texts filled in; raises UserError where it does not fit the run."""
    spec = spec.resolved()
    check_tuned(run, spec.model)
    return replace(spec, targets=tuple(_fitted_target(run, spec.model, target) for target in spec.targets))


def _fitted_target(run: Run, model: str, target: Target) -> Target:
    run.prompt(target.prompt_id)
    response = run.response(model, target.prompt_id)
    where = f"prompt {target.prompt_id}, span {target.start}:{target.end}"
    if response is None:
        raise UserError(f"{run.path}: {model} has not answered prompt {target.prompt_id!r} yet", code=2)
    if not 0 <= target.start < target.end <= len(response.response):
        raise UserError(f"{where}: the response of {model} has {len(response.response)} characters", code=2)
    text = response.response[target.start : target.end]
    if not text.strip():
        raise UserError(f"{where}: holds nothing but white space", code=2)
    if target.text and target.text != text:
        raise UserError(f"{where}: holds {text!r}, not {target.text!r}", code=2)
    for row in target.sources:
        try:
            instance = run.dataset[run.dataset.position(row)]
        except KeyError:
            raise UserError(f"{where}: row {row} is not among the instances of the run", code=2) from None
        if not instance.response:
            raise UserError(f"{where}: row {row} has no response, so that nothing was learned from it", code=2)
    return replace(target, text=text)


def _edited(run: Run, spec: ProofSpec) -> tuple[ProofSpec, dict[int, Changes]]:
    """The spec with the sources that are edited alone, and what the edits changed."""
    rows = {row for target in spec.targets for row in target.sources}
    changes = edited_sources(run, sorted(rows))
    targets = []
    for target in spec.targets:
        sources = tuple(row for row in target.sources if row in changes)
        if not sources:
            raise UserError(
                f"prompt {target.prompt_id}, span {target.start}:{target.end}: none of its sources is edited in the "
                "workshop; simplify one first, or drop them",
                code=2,
            )
        targets.append(replace(target, sources=sources))
    return replace(spec, targets=tuple(targets)), changes


def _lengths(run: Run) -> dict[int, int]:
    """Characters of the response of each instance that has one, by row."""
    table = run.dataset.table
    rows = zip(table["index"].to_pylist(), table["response"].to_pylist(), strict=True)
    return {index: len(response) for index, response in rows if response}


def _free_folder(run: Run, spec: ProofSpec, name: str) -> Path:
    parent = run.path / "proofs"
    if name and not _NAME.fullmatch(name):
        raise UserError(f"{name!r} can't name a proof; use up to 64 of A-Z, a-z, 0-9, . _ and -", code=2)
    for number in range(1, 10_000):
        folder = parent / (name or f"{spec.kind}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if name:
                raise UserError(f"{folder}: there is such a proof; give another name", code=2) from None
            continue
        except OSError as error:
            raise UserError(f"{folder}: can't make the folder: {error.strerror}") from None
        return folder
    raise UserError(f"{parent}: too many proofs; give this one a name", code=2)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = orjson.loads(path.read_bytes())
        if told["v"] != _VERSION:
            raise UserError(f"{path}: was made by another version of itaudit; make the proof again")
        spec, plan = ProofSpec.from_json(told["spec"]), Plan.from_json(told["plan"])
        if not plan.fits(spec):
            raise ValueError("the plan is of another proof")
        return {
            "created": float(told["created"]),
            "spec": spec,
            "plan": plan,
            "replacements": {int(row): changes for row, changes in told["replacements"].items()},
        }
    except OSError as error:
        raise UserError(f"{path.parent}: is no proof: {error.strerror}") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise UserError(f"{path}: can't be read as a proof; make it again") from None


def document(proof: Proof) -> dict[str, Any]:
    """A proof as JSON: what was asked, how far it is, and its verdicts."""
    return {
        "name": proof.name,
        "folder": str(proof.folder),
        "created": proof.created,
        "spec": proof.spec.to_json(),
        "status": asdict(proof.status()),
        "verdicts": [verdict.to_json() for verdict in proof.verdicts()],
    }
