"""What a tuning reports to W&B and trackio: a tracked run for each model, with which a resumed tuning goes on.

The trainer's own callbacks log into whatever run is open; they would put all models of a worker into one.
"""

import os
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.tuning_settings import Tuning

PROJECT = "itaudit"
"""The project in trackio, and in W&B unless WANDB_PROJECT names another."""
_REACH_SECONDS = 30.0
"""How long W&B's server may take to begin a run, unless WANDB_INIT_TIMEOUT says otherwise."""
_UPLOAD_SECONDS = 60.0
"""How long it may take to get the last of a tuning; what it did not get is on the disk, for `wandb sync`."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A tracked run: trackio knows it by its name, W&B by its id."""

    name: str
    id: str


def check_login(tuned: Mapping[str, Tuning]) -> None:
    """Raises UserError where a model that is to be tuned reports to W&B, and W&B does not let it.

    Nobody is at the worker's terminal to be asked for a key, and hours of work may come before the first loss.
    """
    label = next((label for label, settings in tuned.items() if "wandb" in settings.report_to), None)
    if label is not None:
        import wandb

        try:
            # Offline it returns at once.
            wandb.login(verify=True)
        except wandb.errors.Error as error:
            raise _unreachable(label, error) from None


@contextmanager
def reporting(trainer: Any, label: str, name: str, memory: Path, folder: Path) -> Iterator[None]:
    """Has a trainer report into a tracked run of that name while it trains.

    The file `memory` remembers the run for a resumed tuning; W&B's files stand in `folder`. Raises UserError where W&B
    can't be reached.
    """
    trackers = {"wandb", "trackio"} & set(trainer.args.report_to)
    if not trackers or not trainer.is_world_process_zero():
        yield
        return
    tracked = _remembered(memory) or _new(memory, name, trackers)
    trainer.args.run_name = tracked.name
    if "wandb" not in trackers:
        yield
        return
    import wandb

    _begin_in_wandb(label, tracked, folder)
    try:
        yield
    finally:
        wandb.finish(exit_code=0 if trainer.state.global_step >= trainer.state.max_steps > 0 else 1)


def _remembered(memory: Path) -> Tracked | None:
    try:
        return Tracked(**orjson.loads(memory.read_bytes()))
    except (OSError, orjson.JSONDecodeError, TypeError):
        return None


def _new(memory: Path, name: str, trackers: Collection[str]) -> Tracked:
    """A run whose name gets a number where trackio has that name already: it would go on with that run."""
    taken = _names_in_trackio() if "trackio" in trackers else set()
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    made = Tracked(next(one for one in names if one not in taken), secrets.token_hex(4))
    memory.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(memory, orjson.dumps(asdict(made)))
    return made


def _begin_in_wandb(label: str, tracked: Tracked, folder: Path) -> None:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"init_timeout": float(os.environ.get("WANDB_INIT_TIMEOUT") or _REACH_SECONDS)}
    if "finish_timeout" in wandb.Settings.model_fields:
        settings["finish_timeout"] = _UPLOAD_SECONDS
    try:
        wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=tracked.name,
            id=tracked.id,
            resume="allow",
            dir=os.environ.get("WANDB_DIR") or str(folder),
            settings=wandb.Settings(**settings),
        )
    except wandb.errors.Error as error:
        raise _unreachable(label, error) from None


def _unreachable(label: str, error: Exception) -> UserError:
    told = str(error).splitlines()[0].rstrip(".")
    return UserError(
        f"models.{label}.report_to: W&B does not answer as it should: {told}; log in with `wandb login`, or set "
        "WANDB_MODE=offline, or leave wandb out"
    )


def _names_in_trackio() -> set[str]:
    import trackio

    try:
        return {str(run.name) for run in trackio.Api().runs(PROJECT)}
    except ValueError:
        # There is no such project yet.
        return set()
