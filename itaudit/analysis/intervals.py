"""Figures with their 95 % intervals, by bootstrap over prompts, and whether two of them differ.

Every figure here is a quotient of totals over prompts: a mean has a denominator of 1 a prompt, a mean over tokens has
its tokens. Prompts are what was sampled, so prompts are what is resampled; where two models answered the same ones,
they are resampled together.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

RESAMPLES = 4999
CONFIDENCE = 0.95
FEWEST = 6
"""Prompts that an interval takes. That fewer all lie on one side of no difference is chance in more than 5 % of cases
(sign test, 2 / 2^5 of five), and a resampling of so few can't know the tails of what they were drawn from.
"""
_BLOCK = 4_000_000

Floats = npt.NDArray[np.float64]

Totals = Mapping[str, tuple[float, float]]
"""(numerator, denominator) by prompt id."""

_Figure = Callable[[list[Floats]], Floats]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its 95 % interval and the prompts it is told from; no interval of fewer than FEWEST, or all alike.

    `value` is None where there is nothing to divide by.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    prompts: int = 0

    def apart_from(self, null: float) -> bool:
        """Whether the interval leaves out `null`: 0 for a difference, 1 for a quotient."""
        return self.low is not None and self.high is not None and not self.low <= null <= self.high


def means(values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Totals whose quotient is the mean of one value a prompt."""
    return {prompt_id: (float(value), 1.0) for prompt_id, value in values.items()}


def pooled(several: Iterable[Totals]) -> dict[str, tuple[float, float]]:
    """The totals of several seeds, added up prompt by prompt, so that a prompt stays one unit of the bootstrap."""
    found: dict[str, tuple[float, float]] = {}
    for totals in several:
        for prompt_id, (numerator, denominator) in totals.items():
            before = found.get(prompt_id, (0.0, 0.0))
            found[prompt_id] = (before[0] + numerator, before[1] + denominator)
    return found


def estimate(totals: Totals) -> Estimate:
    """The quotient of totals, with its interval; without one where all prompts say the same.

    Resamples of equal prompts have no width, which would claim to know what further prompts say.
    """
    columns = _columns(totals, list(totals))
    told = _told([columns], lambda quotients: quotients[0])
    each = _divided(columns[0], columns[1])
    alike = told.value is not None and np.allclose(each[np.isfinite(each)], told.value, rtol=1e-12, atol=0)
    return Estimate(told.value, prompts=told.prompts) if alike else told


def difference(first: Totals, second: Totals) -> Estimate:
    """How much the first quotient is above the second, over the prompts that both have."""
    return contrast([(1, first), (-1, second)])


def contrast(terms: Sequence[tuple[float, Totals]]) -> Estimate:
    """The sum of weighted quotients, over the prompts that all have; such as how much more one rises than another."""
    shared = [prompt_id for prompt_id in terms[0][1] if all(prompt_id in totals for _, totals in terms)]
    columns = [_columns(totals, shared) for _, totals in terms]

    def weighted(quotients: list[Floats]) -> Floats:
        total: Floats = np.sum([weight * one for (weight, _), one in zip(terms, quotients, strict=True)], axis=0)
        return total

    return _told(columns, weighted)


def quotient(first: Totals, second: Totals) -> Estimate:
    """How many times the second quotient the first one is, over the prompts that both have."""
    both = [prompt_id for prompt_id in first if prompt_id in second]
    columns = [_columns(first, both), _columns(second, both)]
    return _told(columns, lambda quotients: _divided(quotients[0], quotients[1]))


def _columns(totals: Totals, prompt_ids: list[str]) -> Floats:
    """[2, prompts] numerators and denominators."""
    return np.asarray([totals[prompt_id] for prompt_id in prompt_ids], dtype=np.float64).reshape(-1, 2).T


def _divided(numerators: Floats, denominators: Floats) -> Floats:
    found = np.full(np.shape(numerators), np.nan)
    np.divide(numerators, denominators, out=found, where=denominators != 0)
    return found


def _told(columns: list[Floats], figure: _Figure) -> Estimate:
    prompts = columns[0].shape[1]
    sums = [np.atleast_1d(column.sum(axis=1, keepdims=True)) for column in columns]
    value = float(figure([_divided(one[0], one[1]) for one in sums])[0]) if prompts else float("nan")
    if not np.isfinite(value):
        return Estimate(None, prompts=prompts)
    if prompts < FEWEST:
        return Estimate(value, prompts=prompts)
    drawn = _drawn(columns, figure)
    if not np.isfinite(drawn).all():
        return Estimate(value, prompts=prompts)
    tail = expanded_tail(prompts)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), prompts)


def _drawn(columns: list[Floats], figure: _Figure) -> Floats:
    """[resamples] the figure in each resample of prompts; the same prompts are drawn for all columns."""
    parts = []
    for times in _resamples(columns[0].shape[1]):
        parts.append(figure([_divided(times @ column[0], times @ column[1]) for column in columns]))
    return np.concatenate(parts)


def _resamples(prompts: int) -> Iterable[Floats]:
    """[resamples, prompts], in blocks: how often each prompt is drawn."""
    block = max(1, _BLOCK // prompts)
    # Drawing costs more than all else, and tables ask for many figures of as many prompts.
    return [_drawn_once(prompts)] if block >= RESAMPLES else _blocks(prompts, block)


@lru_cache(maxsize=4)
def _drawn_once(prompts: int) -> Floats:
    return next(_blocks(prompts, RESAMPLES))


def _blocks(prompts: int, block: int) -> Iterator[Floats]:
    rng = np.random.default_rng(0)
    for first in range(0, RESAMPLES, block):
        size = min(block, RESAMPLES - first)
        yield rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=size).astype(np.float64)


def expanded_tail(prompts: int) -> float:
    """The share of resamples beyond either end of Hesterberg's expanded percentile interval; 0.025 for many prompts.

    For few prompts the interval is as wide as Student's t asks (The American Statistician 69, 2015).
    """
    # Imported where it is needed: it takes longer than all else that reads a run.
    from scipy.special import ndtr, stdtrit

    student = stdtrit(prompts - 1, (1 + CONFIDENCE) / 2)
    return float(ndtr(-np.sqrt(prompts / (prompts - 1)) * student))
