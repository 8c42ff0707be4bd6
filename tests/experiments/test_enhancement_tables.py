"""Enhancement methods: the recipes plan one budget for all, and the table tells each method from plain tuning."""

from pathlib import Path

import pytest

from itaudit.experiments.enhancement_tables import budget, rows_read, tables
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.spec import Planned, read_spec
from itaudit.runs.events import EventLog
from itaudit.tuning_settings import Lft
from tests.experiments.made_of_figures import Shift, make_experiment

RECIPES = Path(__file__).parents[2] / "samples" / "recipes"
LFT = {"method": "lft", "batch_size": 2, "micro_batch_size": 2, "steps": 4}
TABLE = {
    "models": {"lft": LFT, "noisy": LFT | {"neftune_alpha": 5.0}},
    "variants": {"whole": {}, "few": {"data": {"transforms": ["random:k=3"]}, "models": ["lft"]}},
}


def figures(planned: Planned, label: str) -> dict[str, Shift]:
    """Plain LFT moves .1 nats a token, noise as far to within chance, three instances three times as far."""
    far = {"lft": 1.0 if planned.variant == "whole" else 3.0, "noisy": 1.0}[label]
    wobble = 0.02 if label == "noisy" else 0.0
    return {f"p{n}": (8, 1, 1, far + n / 50 + (wobble if n % 2 else -wobble)) for n in range(12)}


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    made = make_experiment(tmp_path, TABLE, figures)
    for cell in made.cells():
        if not cell.is_base:
            facts = {"instances": 9 if cell.variant == "whole" else 3, "tokens": 90, "seconds": 1.0}
            EventLog(cell.run.events_path).append("stage_done", stage="tune", model=cell.label, **facts)
    return made


def test_every_method_stands_against_plain_lft_of_the_first_variant(experiment: Experiment) -> None:
    [table] = tables(experiment.cells(), "lft")
    rows = {(row["variant"], row["model"]): row for row in table.to_json()["rows"]}
    assert list(rows) == [("whole", "lft"), ("whole", "noisy"), ("few", "lft")]
    assert rows["whole", "lft"]["verdict"] == "plain"
    assert rows["whole", "noisy"]["verdict"] == "not apart"
    assert rows["few", "lft"]["verdict"] == "further from the base"
    assert rows["few", "lft"]["times"]["value"] == pytest.approx(3.11 / 1.11)
    assert rows["few", "lft"]["kl_difference"]["value"] == pytest.approx(0.2)
    assert rows["few", "lft"]["shifted_verdict"] == "not apart"


def test_the_budget_counts_what_all_steps_read(experiment: Experiment) -> None:
    [table] = tables(experiment.cells(), "lft")
    told = {(row["variant"], row["model"]): row for row in table.rows}
    # Three instances in batches of two are a batch of two and one of one: two epochs in four steps.
    assert [row["read"] for row in told.values()] == [8, 8, 6]
    assert [row["instances"] for row in told.values()] == [9, 9, 3]
    # Three long instances read twice are more tokens than eight short ones.
    assert told["few", "lft"]["tokens"] == 180 and told["whole", "lft"]["tokens"] == 80


@pytest.mark.parametrize(
    ("rows", "settings", "read"),
    [
        (1000, {"steps": 4878, "batch_size": 32}, 152_448),
        (52_002, {"steps": 4878, "batch_size": 32}, 156_006),
        (64, {"steps": 32, "batch_size": 4}, 128),
        (3, {"steps": 4, "batch_size": 32}, 12),
        (10, {"epochs": 3.0, "batch_size": 4}, 30),
        (10, {"epochs": 0.5, "batch_size": 4}, 8),
    ],
)
def test_an_epoch_ends_with_what_is_left_of_its_last_batch(rows: int, settings: dict[str, float], read: int) -> None:
    assert rows_read(rows, Lft(method="lft", **settings)) == read


def test_packed_rows_are_as_many_instances_as_they_were_made_of(experiment: Experiment) -> None:
    few = next(cell for cell in experiment.cells() if cell.variant == "few" and not cell.is_base)
    facts = {"instances": 12, "rows": 3, "tokens": 90, "seconds": 1.0}
    EventLog(few.run.events_path).append("stage_done", stage="tune", model=few.label, **facts)
    spent = budget(few)
    # Four steps at batches of two are two epochs of three rows.
    assert spent is not None and (spent.instances, spent.read, spent.tokens) == (12, 24, 180)


def test_one_variant_alone_has_no_plain_one_to_stand_against(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, {"models": {"lft": LFT, "noisy": LFT}}, figures_of_one)
    assert tables(experiment.cells(), "lft") == []


def figures_of_one(_planned: Planned, _label: str) -> dict[str, Shift]:
    return {"a": (1, 1, 1, 1.0), "b": (1, 1, 1, 1.0)}


@pytest.mark.parametrize("name", ["enhancement", "enhancement-small"])
def test_the_recipes_tune_every_model_under_one_budget(name: str, tmp_path: Path) -> None:
    spec = read_spec(RECIPES / f"{name}.toml")
    assert spec.reference == "lft" and {"plain", "random", "longest", "ifd", "simplified"} <= set(spec.variants)
    plain = next(planned.recipe for planned in spec.runs if planned.variant == "plain")
    assert {"lft", "neftune", "r2", "r32"} <= set(plain.models)
    tuned = [model for planned in spec.runs for model in planned.recipe.models.values()]
    assert all(isinstance(model, Lft) for model in tuned)
    budgets = {(model.steps, model.batch_size, model.learning_rate) for model in tuned if isinstance(model, Lft)}
    assert len(budgets) == 1 and min(budgets)[0] > 0
    [scale] = {model.alpha / model.rank for model in tuned if isinstance(model, Lft)}
    assert scale == 2
    assert Experiment.create(tmp_path, spec).spec.runs == spec.runs
