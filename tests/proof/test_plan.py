"""Plans of proofs: who shares work, who is a control, and how controls are drawn."""

import pytest

from itaudit.errors import UserError
from itaudit.proof.plan import Plan, plan_proof
from itaudit.proof.spec import ProofSpec, Target

LENGTHS = {row: 10 * (row + 1) for row in range(200)}


def spec(kind: str, *targets: tuple[str, tuple[int, ...]], controls: int = 3, seeds: int = 2, replace: str = "drop"):  # type: ignore[no-untyped-def]  # takes what the command line takes
    spans = tuple(Target(prompt, 0, 4, "text", rows) for prompt, rows in targets)
    return ProofSpec(kind, "sft", spans, controls, seeds, replace).resolved()  # type: ignore[arg-type]  # see above


def test_targets_with_the_same_sources_share_their_arms() -> None:
    plan = plan_proof(spec("drop-and-retrain", ("a", (3, 9)), ("b", (9, 3)), ("c", (50, 60))), LENGTHS, 5)
    assert plan.groups == ((0, 1), (2,)) and plan.seeds == (5, 6)
    assert len(plan.arms) == 8 and len(plan.units()) == 16 and len(set(plan.units())) == 16
    # The other group's drop is a control too.
    assert [arm.name for arm in plan.control_arms(0)] == ["d0c0", "d0c1", "d0c2", "d1", "d1c0", "d1c1", "d1c2"]
    assert Plan.from_json(plan.to_json()) == plan
    assert plan == plan_proof(spec("drop-and-retrain", ("a", (3, 9)), ("b", (9, 3)), ("c", (50, 60))), LENGTHS, 5)


def test_controls_leave_the_sources_in_and_drop_as_many() -> None:
    asked = spec("drop-and-retrain", ("a", (3, 9)), ("b", (9, 40)), ("c", (7,)), ("a", (100, 101)))
    plan = plan_proof(asked, LENGTHS, 0)
    # Group 1 drops row 9 as well, group 2 drops one row only, and group 3 suspects others of the same response.
    assert {arm.name for arm in plan.control_arms(0)} == {f"d{g}c{c}" for g in (0, 1, 3) for c in range(3)}
    suspects = {3, 9, 40, 7, 100, 101}
    assert all(suspects.isdisjoint(arm.rows) for arm in plan.arms if arm.control)
    for arm in plan.arms:
        assert len(arm.rows) == len(plan.sources[arm.group])


def test_controls_are_as_long_as_the_sources() -> None:
    plan = plan_proof(spec("drop-and-retrain", ("a", (5, 150)), controls=6), LENGTHS, 0)
    for arm in plan.arms:
        short, long = sorted(arm.rows)
        assert short < 30 and 120 < long < 180
    patch = plan_proof(spec("tail-patch", ("a", (150,)), controls=10), LENGTHS, 0)
    assert len(patch.controls[0]) == 10 and all(130 < row < 170 for row in patch.controls[0])


def test_drops_of_one_group_are_all_different() -> None:
    few = {row: 50 for row in range(8)}
    plan = plan_proof(spec("drop-and-retrain", ("a", (0, 1)), controls=15), few, 0)
    assert len({arm.rows for arm in plan.arms}) == 16
    with pytest.raises(UserError, match="6 instances are no source: too few for 16 controls that drop 2"):
        plan_proof(spec("drop-and-retrain", ("a", (0, 1)), controls=16), few, 0)


def test_a_tail_patch_steps_once_on_what_several_targets_need() -> None:
    few = {row: 50 for row in range(12)}
    plan = plan_proof(spec("tail-patch", ("a", (0, 1)), ("b", (1, 2)), controls=9), few, 0)
    assert plan.controls == (tuple(range(3, 12)),) * 2
    assert plan.units() == ["before", *(f"row {row}" for row in range(12))]
    assert plan.read_by("row 0") == {0} and plan.read_by("row 1") == {0, 1} == plan.read_by("row 5")
    # Fewer controls than were asked for, where there are no more.
    assert len(plan_proof(spec("tail-patch", ("a", (0,)), controls=50), few, 0).controls[0]) == 11


def test_replacing_keeps_the_number_of_instances() -> None:
    plan = plan_proof(spec("drop-and-retrain", ("a", (3, 9)), replace="edited"), LENGTHS, 0)
    for arm in plan.arms:
        assert len(arm.copies) == (2 if arm.control else 0)
        assert set(arm.copies).isdisjoint({3, 9, *arm.rows})
