"""Agreement of people who rate on an ordinal scale: Krippendorff's alpha (2004) with its interval over prompts.

Alpha is 1 for perfect agreement, 0 for what chance would bring, and below 0 for systematic disagreement. Ordinal: two
ratings are as far apart as the ratings that were given between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itaudit.analysis.intervals import FEWEST, RESAMPLES, Estimate, estimate, expanded_tail

Units = Mapping[str, Sequence[Sequence[int]]]
"""By prompt the answers to it, each with the values that its raters gave it."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OrdinalAgreement:
    """Agreement over the `units` that at least two people rated.

    `alpha` has no value where it is not defined, and `reason` says why; `equal` is the share of the pairs of ratings of
    the same answer that are equal, `near` of those that are at most one apart, both 0 to 1.
    """

    units: int
    alpha: Estimate
    reason: str
    equal: Estimate
    near: Estimate


def ordinal_agreement(units: Units, lowest: int, highest: int) -> OrdinalAgreement:
    """The agreement of ratings from `lowest` to `highest`; whoever rated what counts, how many did does not matter."""
    scale = highest - lowest + 1
    counts = {
        prompt_id: np.array([np.bincount(np.subtract(values, lowest), minlength=scale) for values in told])
        for prompt_id, several in units.items()
        if (told := [values for values in several if len(values) > 1])
    }
    prompts = len(counts)
    if not counts:
        nothing = Estimate(None)
        return OrdinalAgreement(0, nothing, "no answer was rated by two people", nothing, nothing)
    whole = np.concatenate(list(counts.values()))
    equal, near = (_pairs(counts, reach) for reach in (0, 1))
    given = np.flatnonzero(whole.sum(axis=0))
    if len(given) == 1:
        reason = f"every rating is {given[0] + lowest}"
        return OrdinalAgreement(len(whole), Estimate(None, prompts=prompts), reason, equal, near)
    # It takes long to import, and most readers of a run want no agreement.
    import krippendorff

    domain = np.arange(lowest, highest + 1)
    value = float(krippendorff.alpha(value_counts=whole, value_domain=domain, level_of_measurement="ordinal"))
    alpha = Estimate(value, *_interval(counts), prompts=prompts)
    return OrdinalAgreement(len(whole), alpha, "", equal, near)


def _pairs(counts: Mapping[str, npt.NDArray[np.int64]], reach: int) -> Estimate:
    """The share of pairs of ratings of the same answer that are at most `reach` apart."""
    totals = {}
    for prompt_id, told in counts.items():
        both = told[:, :, None] * told[:, None, :] - told[:, :, None] * np.eye(told.shape[1], dtype=np.int64)
        values = np.arange(told.shape[1])
        close = np.abs(values[:, None] - values[None, :]) <= reach
        totals[prompt_id] = (float(both[:, close].sum()), float(both.sum()))
    return estimate(totals)


def _interval(counts: Mapping[str, npt.NDArray[np.int64]]) -> tuple[float | None, float | None]:
    """Hesterberg's expanded percentile interval, by bootstrap over prompts; none of fewer than FEWEST, and where a
    resample has no alpha.
    """
    prompts = len(counts)
    if prompts < FEWEST:
        return None, None
    coincidences = np.stack([coincidence(told) for told in counts.values()])
    times = np.random.default_rng(0).multinomial(prompts, np.full(prompts, 1 / prompts), size=RESAMPLES)
    drawn = ordinal_alphas(np.einsum("rp,pcd->rcd", times.astype(np.float64), coincidences, optimize=True))
    if not np.isfinite(drawn).all():
        return None, None
    tail = expanded_tail(prompts)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def coincidence(counts: npt.NDArray[np.int64]) -> Floats:
    """[values, values] Krippendorff's coincidence matrix of [units, values] counts of ratings, at least two a unit."""
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    return np.asarray((pairs / (counts.sum(axis=1) - 1)[:, None, None]).sum(axis=0), dtype=np.float64)


def ordinal_alphas(coincidences: Floats) -> Floats:
    """[several] ordinal alphas of [several, values, values] coincidence matrices; NaN where all ratings are equal.

    The library's function of one matrix, for thousands of resamples at once.
    """
    given = coincidences.sum(axis=2)
    middles = np.cumsum(given, axis=1) - given / 2
    apart = (middles[:, :, None] - middles[:, None, :]) ** 2
    observed = (coincidences * apart).sum(axis=(1, 2))
    by_chance = (given[:, :, None] * given[:, None, :] * apart).sum(axis=(1, 2)) / (given.sum(axis=1) - 1)
    found = np.full(len(coincidences), np.nan)
    np.divide(observed, by_chance, out=found, where=by_chance > 0)
    return np.asarray(1 - found, dtype=np.float64)
