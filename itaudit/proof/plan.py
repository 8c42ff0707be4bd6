"""Plans: which units a proof consists of, and which random instances stand beside the sources as controls.

Targets with the same sources form a group, so that they share all work. Controls are drawn at random from the
instances that are no target's source, each among those whose responses are about as long as a source's.
"""

import math
import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from itaudit.errors import UserError
from itaudit.proof.spec import ProofSpec, Target

LEAST_CONTROLS = 3
"""Fewer controls tell nothing about chance."""
_NEIGHBOURS = 16
_SHARE = 20
"""A control is one of the nearest sixteen by length, or of the nearest twentieth of a large dataset."""

_TRIES = 10_000

BEFORE = "before"


@dataclass(frozen=True, slots=True)
class Arm:
    """A retraining: without these rows. `group` is whose sources, or controls, they are.

    Where the proof replaces instead of dropping, a control has `copies`: rows that stand a second time in the places
    of those that it drops, so that every arm has as many instances.
    """

    name: str
    group: int
    control: bool
    rows: tuple[int, ...]
    copies: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All units of a proof. `prompts` holds the prompt of each target, `groups` the positions of each group's targets,
    `controls` the control rows of each group (tail patch), `arms` the retrainings (drop and retrain), each under each
    of `seeds`."""

    prompts: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    sources: tuple[tuple[int, ...], ...]
    controls: tuple[tuple[int, ...], ...]
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]

    def units(self) -> list[str]:
        """The names of all units in the order of work: seed by seed, or the sources before the controls."""
        if self.arms:
            return [unit_name(arm, seed) for seed in self.seeds for arm in self.arms]
        rows = [row for group in (*self.sources, *self.controls) for row in group]
        return [BEFORE, *dict.fromkeys(f"row {row}" for row in rows)]

    def control_arms(self, target: int) -> list[Arm]:
        """The arms that are controls for a target: they leave all its sources in, and change as many instances.

        The suspects of another span of the same response may well be the cause of this one too, and are none.
        """
        own = set(self.sources[self.group_of(target)])
        prompt = self.prompts[target]
        related = {
            number for number, group in enumerate(self.groups) if any(self.prompts[one] == prompt for one in group)
        }
        return [
            arm
            for arm in self.arms
            if len(arm.rows) == len(own) and own.isdisjoint(arm.rows) and (arm.control or arm.group not in related)
        ]

    def drop_arm(self, target: int) -> Arm:
        group = self.group_of(target)
        return next(arm for arm in self.arms if arm.group == group and not arm.control)

    def group_of(self, target: int) -> int:
        return next(number for number, members in enumerate(self.groups) if target in members)

    def read_by(self, unit: str) -> set[int]:
        """The positions of the targets that are read in a unit."""
        if unit == BEFORE or self.arms:
            return {target for group in self.groups for target in group}
        row = int(unit.removeprefix("row "))
        return {
            target
            for group, sources, controls in zip(self.groups, self.sources, self.controls, strict=True)
            if row in sources or row in controls
            for target in group
        }

    def fits(self, spec: ProofSpec) -> bool:
        """Whether it says of each target of a spec what it is compared with."""
        numbers = range(len(self.groups))
        dropped = sorted(arm.group for arm in self.arms if not arm.control)
        return (
            sorted(target for group in self.groups for target in group) == list(range(len(spec.targets)))
            and len(self.prompts) == len(spec.targets)
            and len(self.sources) == len(self.groups)
            and (len(self.controls) == len(self.groups) if spec.kind == "tail-patch" else dropped == list(numbers))
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Plan":
        """The plan of a JSON object. Raises KeyError or TypeError where it is none."""
        return cls(
            prompts=tuple(content["prompts"]),
            groups=tuple(map(tuple, content["groups"])),
            sources=tuple(map(tuple, content["sources"])),
            controls=tuple(map(tuple, content["controls"])),
            arms=tuple(
                Arm(**arm | {"rows": tuple(arm["rows"]), "copies": tuple(arm["copies"])}) for arm in content["arms"]
            ),
            seeds=tuple(content["seeds"]),
        )


def unit_name(arm: Arm, seed: int) -> str:
    """What the results call an arm under a seed."""
    return f"{arm.name}:{seed}"


def plan_proof(spec: ProofSpec, lengths: Mapping[int, int], seed: int) -> Plan:
    """The plan of a resolved spec. `lengths` holds the length of the response of each row that can be learned from.

    The same arguments give the same plan. Raises UserError where there are too few instances for controls.
    """
    groups, sources = _groups(spec.targets)
    prompts = tuple(target.prompt_id for target in spec.targets)
    taken = {row for group in sources for row in group}
    pool = [row for row in lengths if row not in taken]
    draws = _Draws(pool, lengths, random.Random(f"proof:{seed}"))
    if spec.kind == "tail-patch":
        rows = tuple(draws.instances(group, spec.controls) for group in sources)
        return Plan(prompts, groups, sources, rows, (), (seed,))
    arms: list[Arm] = []
    for number, group in enumerate(sources):
        arms.append(Arm(f"d{number}", number, False, group))
        drawn = draws.sets(group, spec.controls)
        for draw, dropped in enumerate(drawn):
            copies = draws.others(dropped) if spec.replace == "edited" else ()
            arms.append(Arm(f"d{number}c{draw}", number, True, dropped, copies))
    seeds = tuple(range(seed, seed + spec.seeds))
    plan = Plan(prompts, groups, sources, (), tuple(arms), seeds)
    for target in range(len(spec.targets)):
        if (found := len(plan.control_arms(target))) < LEAST_CONTROLS:
            raise UserError(
                f"prompt {spec.targets[target].prompt_id}: {found} control drops are too few to tell chance; "
                f"{LEAST_CONTROLS} at least, so raise --controls",
                code=2,
            )
    return plan


def _groups(targets: Sequence[Target]) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    members: dict[tuple[int, ...], list[int]] = {}
    for position, target in enumerate(targets):
        members.setdefault(target.sources, []).append(position)
    return tuple(map(tuple, members.values())), tuple(members)


class _Draws:
    """Random instances from a pool, matched by the length of their responses."""

    def __init__(self, pool: Sequence[int], lengths: Mapping[int, int], rng: random.Random) -> None:
        self._lengths = lengths
        self._rng = rng
        self._pool = sorted(pool, key=lambda row: (lengths[row], row))
        self._sorted = [lengths[row] for row in self._pool]
        self._near = max(_NEIGHBOURS, len(pool) // _SHARE)
        # The same instances are drawn first wherever they match, so that groups of a tail patch share them.
        self._order = {row: rng.random() for row in self._pool}

    def instances(self, sources: Sequence[int], count: int) -> tuple[int, ...]:
        """`count` instances for a group, fewer where there are not as many."""
        if len(self._pool) < LEAST_CONTROLS:
            raise UserError(f"{len(self._pool)} instances are no source: too few for controls; name fewer sources")
        taken: set[int] = set()
        for number in range(min(count, len(self._pool))):
            near = self._nearest(self._lengths[sources[number % len(sources)]], taken)
            taken.add(min(near, key=self._order.__getitem__))
        return tuple(sorted(taken))

    def sets(self, sources: Sequence[int], count: int) -> list[tuple[int, ...]]:
        """`count` different sets of as many instances as there are sources; sets share none while there are enough."""
        if len(self._pool) < len(sources) or math.comb(len(self._pool), len(sources)) < count:
            raise UserError(
                f"{len(self._pool)} instances are no source: too few for {count} controls that drop {len(sources)}; "
                "name fewer sources, or lower --controls"
            )
        found: dict[tuple[int, ...], None] = {}
        taken: set[int] = set()
        tries = 0
        while len(found) < count:
            tries += 1
            if tries > _TRIES:
                raise UserError(f"no {count} different controls that drop {len(sources)} were found; lower --controls")
            if len(self._pool) - len(taken) < len(sources):
                taken = set()
            drawn: set[int] = set()
            for source in sources:
                near = self._nearest(self._lengths[source], taken | drawn)
                drawn.add(self._rng.choice(near))
            taken |= drawn
            found[tuple(sorted(drawn))] = None
        return list(found)

    def others(self, rows: Sequence[int]) -> tuple[int, ...]:
        """As many other instances, each about as long as one of `rows`, in their order."""
        taken = set(rows)
        found = []
        for row in rows:
            near = self._nearest(self._lengths[row], taken)
            found.append(self._rng.choice(near) if near else row)
            taken.add(found[-1])
        return tuple(found)

    def _nearest(self, length: int, taken: set[int]) -> list[int]:
        """The rows of the pool whose responses are nearest in length, as a ratio, without those that are taken."""
        at = bisect_left(self._sorted, length)
        reach = self._near + len(taken)
        window = self._pool[max(0, at - reach) : at + reach]
        free = [row for row in window if row not in taken]
        return sorted(free, key=lambda row: (_ratio(self._lengths[row], length), row))[: self._near]


def _ratio(one: int, other: int) -> float:
    return abs(math.log((one + 1) / (other + 1)))
