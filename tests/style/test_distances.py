"""Distances from a dataset: SciPy's Wasserstein distance is the oracle, and intervals hold what they say."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from itaudit.style import distances
from itaudit.style.distances import distance, nearness


def by_prompt(values: np.ndarray) -> dict[str, list[float]]:
    return {str(n): [float(value)] for n, value in enumerate(values)}


def test_the_distance_is_the_first_wasserstein_distance() -> None:
    rng = np.random.default_rng(0)
    model, other, dataset = rng.poisson(30, 40), rng.poisson(50, 40), rng.poisson(28, 300)
    found = nearness(by_prompt(model), by_prompt(other), dataset)
    assert found.model.value == pytest.approx(wasserstein_distance(model, dataset))
    assert found.other.value == pytest.approx(wasserstein_distance(other, dataset))
    assert found.nearer.value == pytest.approx(found.other.value - found.model.value)
    assert found.nearer.apart_from(0) and distance(by_prompt(model), dataset).value == pytest.approx(found.model.value)


def test_of_shares_it_is_their_difference() -> None:
    found = distance(by_prompt(np.array([1, 1, 1, 0])), [1.0, 0.0, 0.0, 0.0])
    assert found.value == pytest.approx(0.5)


def test_seeds_of_one_prompt_are_one_unit() -> None:
    twice = distance({"a": [1.0, 3.0], "b": [5.0, 5.0]}, [0.0])
    assert twice.value == pytest.approx(3.5) and twice.prompts == 2


def test_a_large_dataset_is_told_by_its_quantiles() -> None:
    rng = np.random.default_rng(1)
    model, dataset = rng.gamma(2, 20, 60), rng.gamma(2, 30, 60_000)
    assert distance(by_prompt(model), dataset).value == pytest.approx(wasserstein_distance(model, dataset), rel=0.01)


def test_a_model_that_is_no_nearer_is_seldom_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "RESAMPLES", 250)
    rng = np.random.default_rng(2)
    dataset = rng.poisson(20, 200)
    said = 0
    for _ in range(60):
        found = nearness(by_prompt(rng.poisson(30, 25)), by_prompt(rng.poisson(30, 25)), dataset)
        said += found.nearer.apart_from(0)
    assert said <= 8


def test_the_interval_of_a_model_that_is_on_the_dataset_holds_its_distance() -> None:
    rng = np.random.default_rng(3)
    dataset = rng.poisson(30, 200)
    found = distance(by_prompt(np.quantile(dataset, np.linspace(0.02, 0.98, 40))), dataset)
    assert found.value is not None and found.low is not None and found.high is not None
    assert 0 < found.low <= found.value < found.high


def test_only_prompts_that_both_answered_count() -> None:
    found = nearness({"a": [1.0], "b": [2.0]}, {"b": [4.0], "c": [9.0]}, [2.0])
    assert (found.model.value, found.other.value, found.nearer.value) == (0.0, 2.0, 2.0)


def test_nothing_to_compare_is_no_distance() -> None:
    assert distance({}, [1.0]).value is None
    assert distance({"a": [1.0]}, []).value is None
    assert nearness({"a": [1.0]}, {"b": [1.0]}, [1.0]).nearer.value is None
