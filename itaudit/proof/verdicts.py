"""Verdicts: what the finished units of a proof say of each target, in numbers and in one sentence."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from itaudit.proof.plan import BEFORE, LEAST_CONTROLS, Plan
from itaudit.proof.results import Reading, Unit
from itaudit.proof.spec import ProofSpec, SourceEffect, Verdict
from itaudit.proof.statistics import (
    CONFIDENCE,
    MARGIN,
    Comparison,
    area_under_curve,
    compare,
    verdict_word,
)
from itaudit.sanitize import visible_line

_LEVEL = 0.05
_SHOWN = 60


def verdict_of(name: str, spec: ProofSpec, plan: Plan, units: Mapping[str, Unit], target: int) -> Verdict:
    """The verdict on one target of a proof by the units that are there."""
    if spec.kind == "tail-patch":
        return _patched(name, spec, plan, units, target)
    return _retrained(name, spec, plan, units, target)


def _start(name: str, spec: ProofSpec, target: int, text: str, *, done: bool = False) -> Verdict:
    asked = spec.targets[target]
    return Verdict(name, spec.model, asked, spec.kind, spec.replace, "not decided", text, done=done)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The readings of one target: without its sources, and of each control arm, under the same seeds."""

    seeds: tuple[int, ...]
    dropped: tuple[Reading, ...]
    controls: tuple[tuple[Reading, ...], ...]


def _retrained(name: str, spec: ProofSpec, plan: Plan, units: Mapping[str, Unit], target: int) -> Verdict:
    total = len(plan.units())
    pairs = _pairs(plan, units, target)
    if pairs is None:
        done = sum(unit in units for unit in plan.units())
        return _start(name, spec, target, f"Not decided yet: {done} of {total} retrainings are done.")
    whole = len(pairs.seeds) == len(plan.seeds) and len(pairs.controls) == len(plan.control_arms(target))
    dropped = [reading.logprob for reading in pairs.dropped]
    controls = [[reading.logprob for reading in arm] for arm in pairs.controls]
    found = compare([statistics.fmean(dropped)], [statistics.fmean(arm) for arm in controls])
    per_seed = tuple(statistics.fmean(arm[at] for arm in controls) - without for at, without in enumerate(dropped))
    said_without = _share([reading.said for reading in pairs.dropped])
    said_with = _share([reading.said for arm in pairs.controls for reading in arm])
    word = verdict_word(found, per_seed)
    verdict = replace(
        _start(name, spec, target, "", done=whole),
        verdict=word,
        effect=found.effect,
        low=found.low,
        high=found.high,
        p=found.p,
        seeds=len(pairs.seeds),
        controls=len(controls),
        per_seed=per_seed,
        said_with=said_with,
        said_without=said_without,
    )
    return replace(verdict, text=_retrained_text(verdict, found))


def _pairs(plan: Plan, units: Mapping[str, Unit], target: int) -> _Pairs | None:
    """What can be compared so far: the seeds of the sources' drop, and the control arms that have all of them.

    None where there are fewer than three such arms. A seed whose controls are under way waits for them.
    """

    def reading(arm: str, seed: int) -> Reading | None:
        unit = units.get(f"{arm}:{seed}")
        return unit.readings[target] if unit is not None else None

    drop, arms = plan.drop_arm(target), plan.control_arms(target)
    finished = [seed for seed in plan.seeds if reading(drop.name, seed) is not None]
    whole = [seed for seed in finished if all(reading(arm.name, seed) is not None for arm in arms)]
    # A seed that is not complete yet counts only where no other one is there.
    seeds = whole or finished[:1]
    dropped = [reading(drop.name, seed) for seed in seeds]
    controls = [[reading(arm.name, seed) for seed in seeds] for arm in arms]
    usable = [tuple(r for r in arm if r is not None) for arm in controls]
    usable = [arm for arm in usable if seeds and len(arm) == len(seeds)]
    if len(usable) < LEAST_CONTROLS:
        return None
    return _Pairs(tuple(seeds), tuple(r for r in dropped if r is not None), tuple(usable))


def _share(said: Sequence[bool | None]) -> float | None:
    known = [one for one in said if one is not None]
    return sum(known) / len(known) if known else None


def _patched(name: str, spec: ProofSpec, plan: Plan, units: Mapping[str, Unit], target: int) -> Verdict:
    group = plan.group_of(target)
    before = units.get(BEFORE)
    start = before.readings[target] if before is not None else None

    def effects(rows: Sequence[int]) -> dict[int, float]:
        found = {}
        for row in rows:
            unit = units.get(f"row {row}")
            reading = unit.readings[target] if unit is not None else None
            if start is not None and reading is not None:
                found[row] = reading.logprob - start.logprob
        return found

    sources, controls = effects(plan.sources[group]), effects(plan.controls[group])
    whole = len(sources) == len(plan.sources[group]) and len(controls) == len(plan.controls[group])
    if not sources or len(controls) < LEAST_CONTROLS:
        done, total = sum(unit in units for unit in plan.units()), len(plan.units())
        return _start(name, spec, target, f"Not decided yet: {done} of {total} steps are done.")
    # What raises the span is the effect, so that the roles of value and control are turned round.
    found = compare([-value for value in sources.values()], [-value for value in controls.values()])
    auc, p = area_under_curve(list(sources.values()), list(controls.values()))
    singles = tuple(
        SourceEffect(row, effect, 1 + above, (1 + above) / (1 + len(controls)))
        for row, effect in sorted(sources.items(), key=lambda item: -item[1])
        for above in [sum(control >= effect for control in controls.values())]
    )
    points = p <= _LEVEL
    quiet = auc <= 0.5 and all(single.p > _LEVEL for single in singles)
    verdict = replace(
        _start(name, spec, target, "", done=whole),
        verdict="no effect seen" if quiet else "not decided",
        effect=found.effect,
        low=found.low,
        high=found.high,
        p=p,
        seeds=1,
        controls=len(controls),
        auc=auc,
        sources=singles,
        points=points,
    )
    return replace(verdict, text=_patched_text(verdict))


def _retrained_text(verdict: Verdict, found: Comparison) -> str:
    target = verdict.target
    span, rows = _quoted(target.text), _rows(target.sources)
    many = len(target.sources) > 1
    if verdict.replace == "edited":
        how = f"with the edited {rows}"
        beside = f"with {len(target.sources) if many else 'one'} simplified at random"
    else:
        how = f"without {rows}"
        beside = f"without {len(target.sources)} at random" if many else "without one at random"
    direction = "loses" if found.effect >= 0 else "gains"
    figures = (
        f"retrained {how}, {span} {direction} {abs(found.effect):.2f} nats against retraining {beside} "
        f"({CONFIDENCE:.0%} interval {found.low:.2f} to {found.high:.2f}; {_count(verdict.seeds, 'seed')}, "
        f"{verdict.controls} controls)"
    )
    said = ""
    if verdict.said_with is not None and verdict.said_without is not None:
        said = f"; the model still says it in {verdict.said_without:.0%} of these, and {verdict.said_with:.0%} of those"
    if verdict.verdict == "cause shown":
        return f"Cause shown: {figures}{said}."
    if verdict.verdict == "no effect seen":
        return f"No effect seen: {figures}, which rules out {MARGIN:.2f} nats, a halving{said}."
    return f"Not decided: {figures}: {_doubt(verdict, found)}{said}."


def _doubt(verdict: Verdict, found: Comparison) -> str:
    """What keeps a retraining from deciding."""
    if found.low <= 0:
        return "the interval holds both no effect and a halving"
    if found.effect < MARGIN:
        return f"more than chance, but less than a halving, {MARGIN:.2f} nats"
    if verdict.seeds == 1:
        return "a single seed may be luck"
    if not found.stands_out:
        return f"{found.alike} of {found.controls} controls lower it as much"
    return f"under one seed only {min(verdict.per_seed):.2f} nats"


def _patched_text(verdict: Verdict) -> str:
    span, rows = _quoted(verdict.target.text), _rows(verdict.target.sources)
    best = verdict.sources[0]
    figures = (
        f"one step on {rows} moves {span} {_nats(verdict.effect)} nats beyond what {verdict.controls} random "
        f"instances do on average (AUC {verdict.auc:.2f}, p {verdict.p:.3f}; best row {best.row}: "
        f"{_nats(best.effect)} by itself, rank {best.rank} of {verdict.controls + 1})"
    )
    if verdict.verdict == "no effect seen":
        return f"No effect seen: {figures}."
    if verdict.points:
        return f"Not decided by a single step, which points to the sources: {figures}; drop and retrain decides."
    return f"Not decided: {figures}."


def _nats(value: float | None) -> str:
    # One step of a small learning rate moves little.
    return f"{value or 0.0:+.2f}" if abs(value or 0.0) >= 0.1 else f"{value or 0.0:+.4f}"


def _quoted(text: str) -> str:
    shown = visible_line(text)
    return f"“{shown}”" if len(shown) <= _SHOWN else f"“{shown[: _SHOWN - 1]}…”"


def _rows(rows: Sequence[int]) -> str:
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) > 8:
        return f"{len(rows)} rows ({rows[0]}, {rows[1]} …)"
    return f"rows {', '.join(map(str, rows[:-1]))} and {rows[-1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
