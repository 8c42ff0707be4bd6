"""The statistics of proofs: worked numbers, how often chance passes for a cause, and what the sentences say."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from itaudit.proof.plan import plan_proof, unit_name
from itaudit.proof.results import Reading, Unit
from itaudit.proof.spec import ProofSpec, Target, Verdict
from itaudit.proof.statistics import MARGIN, area_under_curve, compare, verdict_word
from itaudit.proof.verdicts import verdict_of

Values = npt.NDArray[np.float64]
LENGTHS = {row: 100 + row for row in range(40)}
TARGET = Target("a", 0, 5, "Luigi", (7,))


def test_a_comparison_is_student_s_t_with_the_spread_of_the_controls() -> None:
    controls = [-2.0, -1.0, -3.0, -2.0]
    found = compare([-6.0], controls)
    spread = math.sqrt(2 / 3)
    error = spread * math.sqrt(1 + 1 / 4)
    assert found.effect == 4.0 and found.alike == 0 and found.stands_out
    assert found.high - found.effect == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert found.p == pytest.approx(2 * stats.t.sf(4 / error, 3))
    # With as many values as controls, it is about Student's own test of two samples with one variance.
    several = compare([-6.0, -5.0], controls)
    assert several.effect == 3.5
    assert several.high - 3.5 == pytest.approx(stats.t.ppf(0.975, 3) * spread * math.sqrt(1 / 2 + 1 / 4))
    assert compare([-1.0], [-1.0, -1.0, -1.0]).p == 1.0 and compare([-2.0], [-1.0, -1.0, -1.0]).p == 0.0


def test_the_area_under_the_curve_counts_pairs() -> None:
    auc, p = area_under_curve([3.0, 0.5], [1.0, 0.0, 0.5])
    assert auc == pytest.approx((3 + 1.5) / 6) and 0 < p < 1
    # One source above each of twenty controls is one order of 21.
    assert area_under_curve([90.0], [float(x) for x in range(20)]) == (1.0, pytest.approx(1 / 21))


_TIMES = 1000
NOISE = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_t(3, size=size) / math.sqrt(3),
    # What drops do to log-probabilities leans downward.
    "leaning": lambda rng, size: 1 - rng.exponential(size=size),
}


def rates(
    rng: np.random.Generator, kind: str, controls: int, seeds: int, sets: float, runs: float, effect: float
) -> Values:
    """How often a cause and no effect are found where sets of instances and single tunings scatter so much, in nats."""
    found = np.zeros(2)
    draw = NOISE[kind]
    for _ in range(_TIMES):
        table = draw(rng, (1, controls + 1)) * sets + draw(rng, (seeds, controls + 1)) * runs
        table[:, 0] -= effect
        per_seed = [float(row[1:].mean() - row[0]) for row in table]
        means = table.mean(axis=0)
        word = verdict_word(compare([float(means[0])], [float(x) for x in means[1:]]), per_seed)
        found += word == "cause shown", word == "no effect seen"
    return found / _TIMES


@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize(("controls", "seeds"), [(3, 2), (5, 3), (20, 2), (20, 5)])
def test_chance_passes_for_a_cause_less_than_one_time_in_twenty(kind: str, controls: int, seeds: int) -> None:
    rng = np.random.default_rng(7)
    # What differs from tuning to tuning, in every size around the margin.
    for runs in (0.3, 1.0, 3.0):
        assert rates(rng, kind, controls, seeds, 0.0, runs, 0.0)[0] < 0.04
    # Random sets of instances that do something, of which the sources are one. A thousand draws scatter by 0.007.
    assert rates(rng, kind, controls, seeds, 0.5, 0.3, 0.0)[0] < 0.05 + 2.5 * 0.007


def test_a_cause_is_found_and_not_taken_for_nothing() -> None:
    rng = np.random.default_rng(8)
    for controls, seeds in ((5, 3), (20, 2)):
        cause, nothing = rates(rng, "normal", controls, seeds, 0.3, 0.3, 3.0)
        assert cause > 0.9 and nothing == 0
        # As large as the margin: rarely taken for none.
        assert rates(rng, "normal", controls, seeds, 0.2, 0.2, MARGIN)[1] < 0.05
    # What is nothing reads as nothing where the controls are quiet.
    assert rates(rng, "normal", 20, 3, 0.1, 0.1, 0.0)[1] > 0.95


def retrained(effects: list[float], *, spread: float = 0.1, controls: int = 5, targets: int = 1) -> Verdict:
    """A verdict by made-up readings: the effect under each seed, and controls that scatter evenly."""
    spec = ProofSpec("drop-and-retrain", "sft", (TARGET,) * targets, controls, len(effects)).resolved()
    plan = plan_proof(spec, LENGTHS, 0)
    units: dict[str, Unit] = {}
    for seed, effect in enumerate(effects):
        for number, arm in enumerate(plan.arms):
            logprob = -1 - effect if not arm.control else -1 + spread * (number - (controls + 1) / 2)
            reading = Reading(logprob, True, arm.control)
            units[unit_name(arm, seed)] = Unit(unit_name(arm, seed), (reading,) * targets, 1.0, {})
    return verdict_of("p", spec, plan, units, 0)


def test_each_verdict_says_what_was_seen() -> None:
    shown = retrained([4.0, 5.0, 4.5])
    assert shown.verdict == "cause shown" and shown.effect == pytest.approx(4.5) and shown.seeds == 3
    assert (shown.said_with, shown.said_without) == (1.0, 0.0) and shown.done
    assert shown.text.startswith("Cause shown: retrained without row 7, “Luigi” loses 4.50 nats against retraining")
    assert retrained([0.0, 0.1, 0.05]).verdict == "no effect seen"
    assert "which rules out 0.69 nats" in retrained([0.0, 0.1, 0.05]).text
    assert "“Luigi” gains 0.20 nats" in retrained([-0.2, -0.2]).text
    doubts = {
        "both no effect and a halving": retrained([1.0, 1.0, 1.0], spread=0.5),
        "less than a halving": retrained([0.5, 0.5, 0.5]),
        "a single seed may be luck": retrained([4.0]),
        "under one seed only 0.10 nats": retrained([0.1, 9.0]),
    }
    for doubt, verdict in doubts.items():
        assert verdict.verdict == "not decided" and doubt in verdict.text, verdict.text


def test_a_proof_under_way_compares_only_what_has_both_sides() -> None:
    spec = ProofSpec("drop-and-retrain", "sft", (TARGET,), 4, 2).resolved()
    plan = plan_proof(spec, LENGTHS, 0)
    units: dict[str, Unit] = {}
    seen = []
    for name in plan.units():
        units[name] = Unit(
            name, (Reading(-3.0 if name.startswith("d0:") else -1.0 - len(units) / 50, True, True),), 1.0, {}
        )
        verdict = verdict_of("p", spec, plan, units, 0)
        seen.append((verdict.seeds, verdict.controls, verdict.done))
    assert seen == [(0, 0, False)] * 3 + [(1, 3, False)] + [(1, 4, False)] * 5 + [(2, 4, True)]


def patched(effects: Mapping[int, float], controls: list[float]) -> Verdict:
    target = Target("a", 0, 5, "Luigi", tuple(effects))
    spec = ProofSpec("tail-patch", "sft", (target,), len(controls)).resolved()
    plan = plan_proof(spec, LENGTHS, 0)
    moved = {**effects, **dict(zip(plan.controls[0], controls, strict=True))}
    units = {f"row {row}": Unit(f"row {row}", (Reading(-9 + by, False),), 1.0, {}) for row, by in moved.items()}
    units["before"] = Unit("before", (Reading(-9.0, False),), 1.0, {})
    return verdict_of("p", spec, plan, units, 0)


def test_a_tail_patch_points_and_never_decides_a_cause() -> None:
    quiet = [0.01 * number for number in range(20)]
    points = patched({3: 1.0, 4: 0.9, 5: 0.8}, quiet)
    assert points.verdict == "not decided" and points.points and points.auc == 1.0
    assert "points to the sources" in points.text and "drop and retrain decides" in points.text
    assert [source.row for source in points.sources] == [3, 4, 5] and points.sources[0].rank == 1
    assert points.effect == pytest.approx(0.9 - 0.095)
    none = patched({3: -0.5, 4: 0.02}, quiet)
    assert none.verdict == "no effect seen" and not none.points
    # One of two stands out: not nothing.
    mixed = patched({3: 1.0, 4: -1.0}, quiet)
    assert mixed.verdict == "not decided" and not mixed.points and mixed.sources[1].rank == 21


def test_text_of_a_model_cannot_reach_the_terminal() -> None:
    spec = ProofSpec("tail-patch", "sft", (Target("a", 0, 5, "\x1b[2J\u202e", (1,)),)).resolved()
    units = {f"row {row}": Unit(f"row {row}", (Reading(-row, False),), 1.0, {}) for row in range(40)}
    units["before"] = Unit("before", (Reading(-9.0, False),), 1.0, {})
    text = verdict_of("p", spec, plan_proof(spec, LENGTHS, 0), units, 0).text
    assert "\x1b" not in text and "\u202e" not in text
