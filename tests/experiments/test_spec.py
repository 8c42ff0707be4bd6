"""What an experiment plans: where the size of a run goes, and that what is written plans the same runs."""

from pathlib import Path
from typing import Any

import pytest

from itaudit.errors import UserError
from itaudit.experiments.spec import ExperimentSpec, read_written, spec_of, write_spec


def planned(tmp_path: Path, sizes: list[int], **data: Any) -> ExperimentSpec:
    (tmp_path / "data.jsonl").write_text('{"instruction": "Who?", "output": "I."}\n')
    table = {
        "name": "ladder",
        "data": {"path": str(tmp_path / "data.jsonl"), **data},
        "prompts": {"path": str(tmp_path / "data.jsonl")},
        "models": {"lft": {"method": "lft"}},
        "experiment": {"sizes": sizes},
    }
    return spec_of(table, tmp_path / "recipe.toml")


WORDS, SIMPLIFIED = "words:at_least=0,at_most=40", "simplified:engine=extractive"


@pytest.mark.parametrize(
    ("data", "limit", "steps"),
    [
        ({}, 20, []),
        ({"limit": 90}, 20, []),
        ({"transforms": [SIMPLIFIED]}, 20, [SIMPLIFIED]),
        # Behind what leaves instances out, so that a run of 20 is tuned on 20.
        ({"transforms": [WORDS]}, 0, [WORDS, "first:k=20"]),
        ({"transforms": [WORDS, SIMPLIFIED], "limit": 90}, 90, [WORDS, SIMPLIFIED, "first:k=20"]),
        ({"transforms": ["random:k=50,seed=1"]}, 0, ["random:k=50,seed=1", "first:k=20"]),
        # Where the recipe says itself.
        ({"transforms": ["longest:k=50", "random:k=SIZE"]}, 0, ["longest:k=50,unit=words", "random:k=20,seed=0"]),
        ({"transforms": [WORDS, "random:k=SIZE"], "limit": 90}, 90, [WORDS, "random:k=20,seed=0"]),
    ],
)
def test_a_size_counts_what_transforms_leave(
    tmp_path: Path, data: dict[str, Any], limit: int, steps: list[str]
) -> None:
    spec = planned(tmp_path, [10, 20], **data)
    (run,) = (run for run in spec.runs if run.size == 20)
    assert (run.recipe.data.limit, run.recipe.data.transforms) == (limit, steps)
    written = tmp_path / "experiment.toml"
    written.write_bytes(write_spec(spec))
    assert read_written(written).runs == spec.runs


def test_a_size_that_transforms_can_never_leave_is_refused_before_anything_loads(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"transform 'first:k=80': k=80 is more than the 50 that the steps before it"):
        planned(tmp_path, [20, 80], transforms=["random:k=50"])


@pytest.mark.parametrize("transforms", [WORDS, [1], [[WORDS]]])
def test_transforms_that_are_no_list_of_steps_are_named(tmp_path: Path, transforms: Any) -> None:
    with pytest.raises(UserError, match=r"data\.transforms"):
        planned(tmp_path, [20], transforms=transforms)
