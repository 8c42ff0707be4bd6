"""How far the responses of a model are from the answers of a dataset, with intervals by bootstrap over prompts.

The distance of two distributions of one measure is the first Wasserstein distance: in the measure's own unit, and for
shares their difference. The dataset is what it is; prompts are what was sampled, so prompts are what is resampled,
those of two models together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itaudit.analysis.intervals import FEWEST, Estimate, expanded_tail

RESAMPLES = 1999
QUANTILES = 512
"""Points that stand for a dataset's distribution."""
_BLOCK = 250

Floats = npt.NDArray[np.float64]
Values = Mapping[str, Sequence[float]]
"""The values of one measure by prompt id, one a seed."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How far a model and another one are from a dataset, and how much nearer the model is than the other."""

    model: Estimate
    other: Estimate
    nearer: Estimate


def distance(model: Values, dataset: npt.ArrayLike) -> Estimate:
    """How far a model's distribution is from the dataset's; no interval of a distance reaches below 0."""
    return _told(_Grid([model], dataset, list(model)), len(model))[0]


def nearness(model: Values, other: Values, dataset: npt.ArrayLike) -> Nearness:
    """The distances of two models from a dataset, over the prompts that both answered."""
    both = [prompt_id for prompt_id in model if prompt_id in other]
    return Nearness(*_told(_Grid([model, other], dataset, both), len(both)))


class _Grid:
    """Distributions as shares at the values that occur: [prompts, grid] for each model, [grid] for the dataset."""

    def __init__(self, models: Sequence[Values], dataset: npt.ArrayLike, prompt_ids: Sequence[str]) -> None:
        reference = np.asarray(dataset, dtype=np.float64)
        if len(reference) > QUANTILES:
            places = (np.arange(QUANTILES) + 0.5) / QUANTILES
            reference = np.quantile(reference, places, method="inverted_cdf")
        there = [value for model in models for prompt_id in prompt_ids for value in model[prompt_id]]
        self.points = np.unique(np.concatenate([reference, np.asarray(there, dtype=np.float64)]))
        counts = np.bincount(np.searchsorted(self.points, reference), minlength=len(self.points))
        self.reference = np.cumsum(counts) / max(len(reference), 1)
        self.models = [np.array([self._shares(model[one]) for one in prompt_ids]) for model in models]
        self.usable = bool(len(reference) and len(prompt_ids))

    def _shares(self, values: Sequence[float]) -> Floats:
        shares = np.bincount(np.searchsorted(self.points, values), minlength=len(self.points)) / len(values)
        found: Floats = np.cumsum(shares)
        return found

    def distances(self, weights: Floats) -> list[Floats]:
        """[resamples] the distance of each model, where prompts weigh `weights` [resamples, prompts]."""
        widths = np.diff(self.points)
        found = []
        for shares in self.models:
            apart = np.abs(weights @ shares / weights.sum(axis=1, keepdims=True) - self.reference)
            found.append(apart[:, :-1] @ widths)
        return found


def _told(grid: _Grid, prompts: int) -> list[Estimate]:
    """The estimate of each model's distance, and of two models the difference: how much farther the second is."""
    if not grid.usable:
        return [Estimate(None)] * (2 * len(grid.models) - 1)
    values = _with_difference(grid.distances(np.ones((1, prompts))))
    if prompts < FEWEST:
        return [Estimate(float(value[0]), prompts=prompts) for value in values]
    drawn = [np.concatenate(parts) for parts in zip(*_resampled(grid, prompts), strict=True)]
    tail = expanded_tail(prompts)
    bounds = [np.quantile(one, [tail, 1 - tail]) for one in drawn]
    # Resamples repeat prompts, and so lie farther off than what they are drawn from; the interval reaches the value.
    return [
        Estimate(float(value[0]), min(float(low), float(value[0])), max(float(high), float(value[0])), prompts)
        for value, (low, high) in zip(values, bounds, strict=True)
    ]


def _resampled(grid: _Grid, prompts: int) -> Iterator[list[Floats]]:
    rng = np.random.default_rng(0)
    for first in range(0, RESAMPLES, _BLOCK):
        draws = min(_BLOCK, RESAMPLES - first)
        weights = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=draws).astype(np.float64)
        yield _with_difference(grid.distances(weights))


def _with_difference(distances: list[Floats]) -> list[Floats]:
    return distances if len(distances) == 1 else [*distances, distances[1] - distances[0]]
