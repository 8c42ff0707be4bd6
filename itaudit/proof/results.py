"""`results.jsonl` of a proof: one whole line a finished unit, only ever appended to; a torn last line is no unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from itaudit import atomic
from itaudit.errors import UserError


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model makes of one target: the span's log-probability in nats, teacher-forced within its response.

    `here` tells whether greedy decoding says the span after the very words that stand before it, `said` whether its
    own answer says it anywhere up to where it stood; None where nobody decoded.
    """

    logprob: float
    here: bool
    said: bool | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A finished unit: an arm under a seed (`3:17`), or a patched row (`row 17`; `before` is the untouched model).

    `readings` holds one a target, None where the target is not read in this unit. `facts` are figures of the tuning.
    """

    name: str
    readings: tuple[Reading | None, ...]
    seconds: float
    facts: Mapping[str, Any]


def append_unit(path: Path, unit: Unit) -> None:
    """Puts a unit on the disk, to stay. Raises UserError where it can't be written."""
    readings = [r and {"logprob": r.logprob, "here": r.here, "said": r.said} for r in unit.readings]
    line = orjson.dumps(
        {"v": 1, "unit": unit.name, "readings": readings, "seconds": unit.seconds, "facts": dict(unit.facts)}
    )
    try:
        atomic.append_line(path, line, sync=True)
    except OSError as error:
        raise UserError(f"{path}: can't write the results: {error.strerror}") from None


def read_units(path: Path, targets: int) -> dict[str, Unit]:
    """The finished units by name; lines that can't be read as one with a reading a target, or None, are passed over.

    The first of a name counts.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path}: can't read the results: {error.strerror}") from None
    units: dict[str, Unit] = {}
    for line in lines:
        try:
            told = orjson.loads(line)
            readings = tuple(r and Reading(float(r["logprob"]), bool(r["here"]), r["said"]) for r in told["readings"])
            unit = Unit(str(told["unit"]), readings, float(told["seconds"]), dict(told["facts"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            continue
        if len(unit.readings) == targets:
            units.setdefault(unit.name, unit)
    return units
