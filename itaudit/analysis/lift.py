"""How far a rate is above what chance gives: lift, its interval by bootstrap, and a permutation p-value.

Numbers are totals a prompt, since words of one response hang together and prompts are what was sampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itaudit.analysis.intervals import FEWEST, expanded_tail

Floats = npt.NDArray[np.float64]

RESAMPLES, TUNING_RESAMPLES = 4999, 499
CONFIDENCE = 0.95
DEFINED = 0.95
"""The least share of resamples in which chance finds anything; below it an interval would tell of the rest alone."""
FARTHEST = 10.0
"""The most that an interval is stretched; prompts that ask for more are too few, or too much alike, to resample."""
_CELLS, _SMALL = 4_000_000, 1e-9


@dataclass(frozen=True, slots=True)
class Lift:
    """Observed and expected totals, their quotient, and its 95 % interval; `reason` tells in a few words what is None.

    `prompts` are those that had anything to observe.
    """

    observed: float
    expected: float
    prompts: int
    lift: float | None
    low: float | None
    high: float | None
    reason: str = ""


def lift(
    observed: npt.ArrayLike, expected: npt.ArrayLike, *, nulls: Sequence[npt.ArrayLike] = (), seed: int = 0
) -> Lift:
    """The lift of totals [prompts] over those expected by chance [prompts], resampled over prompts.

    The interval is Hesterberg's expanded percentile interval (The American Statistician 69, 2015), which for few
    prompts is as wide as Student's t asks. Each end is stretched, on the scale of logarithms, until it is on its side
    of 1 in 97.5 % of the draws of each of `nulls` [prompts, draws], totals that chance gives (calibration: Loh, JASA
    82, 1987): prompts that share instances and words vary together, which resampling alone can't see. Leave out
    prompts that had nothing to observe.
    """
    found, chance = np.asarray(observed, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    total, wanted, prompts = float(found.sum()), float(chance.sum()), len(found)

    def told(reason: str, quotient: float | None = None) -> Lift:
        return Lift(total, wanted, prompts, quotient, None, None, reason)

    if not prompts:
        return told("nothing to observe")
    if wanted <= 0:
        return told("chance finds nothing")
    quotient = total / wanted
    if total <= 0:
        return told("nothing is found", 0.0)
    if prompts < FEWEST:
        return told(f"fewer than {FEWEST} prompts", quotient)
    quotients = _resampled(found, chance, seed)
    if len(quotients) < DEFINED * RESAMPLES:
        return told("chance finds anything in too few prompts", quotient)
    tail = expanded_tail(prompts)
    low, high = np.quantile(quotients, [tail, 1 - tail])
    stretches = [(1.0, 1.0), *(_stretches(np.asarray(null, dtype=np.float64), tail, seed) for null in nulls)]
    down, up = np.max(stretches, axis=0)
    if max(down, up) > FARTHEST:
        return told("too few unlike prompts", quotient)
    low, high = quotient * (low / quotient) ** down, quotient * (high / quotient) ** up
    return Lift(total, wanted, prompts, quotient, float(low), float(high))


def permutation_p(observed: float, draws: npt.ArrayLike) -> float:
    """The share of draws, the observed one among them, that reach what is observed: one-sided."""
    values = np.asarray(draws, dtype=np.float64)
    # Sums of shares differ in their last bits according to their order.
    tolerance = 1e-9 * max(1.0, abs(observed)) if np.isfinite(observed) else 0.0
    return (1 + int((values >= observed - tolerance).sum())) / (1 + len(values))


def studentised(differences: npt.ArrayLike) -> Floats:
    """Sums over prompts, the first axis, in units of their standard error; sums as they are for a single prompt.

    Permutation tests of studentised sums hold their level where the permuted ones spread less than the observed
    (Chung and Romano, The Annals of Statistics 41, 2013). Without any spread a sum is infinitely far off, or not at
    all.
    """
    values = np.asarray(differences, dtype=np.float64)
    totals = np.asarray(values.sum(axis=0))
    if len(values) < 2:
        return totals
    spread = np.sqrt(((values - values.mean(axis=0)) ** 2).sum(axis=0))
    flat = spread <= 1e-12
    far = np.where(totals > 1e-9, np.inf, np.where(totals < -1e-9, -np.inf, 0.0))
    return np.where(flat, far, totals / np.where(flat, 1.0, spread))


def _resampled(found: Floats, chance: Floats, seed: int) -> Floats:
    """The quotients of resamples of prompts in which chance finds anything."""
    rng = np.random.default_rng([seed, 3])
    prompts, block = len(found), max(1, _CELLS // len(found))
    parts = []
    for first in range(0, RESAMPLES, block):
        times = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=min(block, RESAMPLES - first))
        above, below = times @ found, times @ chance
        parts.append(above[below > 0] / below[below > 0])
    return np.concatenate(parts)


def _stretches(null: Floats, tail: float, seed: int) -> tuple[float, float]:
    """How far the interval of each draw has to be stretched to its lower and to its upper side, to hold 1 so often."""
    rng = np.random.default_rng([seed, 4])
    prompts = len(null)
    times = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=TUNING_RESAMPLES).astype(np.float64)
    expected = times @ null.mean(axis=1)
    times, expected = times[expected > 0], expected[expected > 0]
    quotients = np.log(np.maximum(null.sum(axis=0) / null.mean(axis=1).sum(), _SMALL))
    first = int(tail * (len(times) - 1))
    ends = (first, len(times) - 1 - first)
    drawn = np.partition((null.T @ times.T) / expected, ends, axis=1)
    low, high = (quotients - np.log(np.maximum(drawn[:, end], _SMALL)) for end in ends)
    needed_down = np.where(quotients > 0, quotients / np.maximum(low, _SMALL), 0.0)
    needed_up = np.where(quotients < 0, quotients / np.minimum(high, -_SMALL), 0.0)
    share = (1 + CONFIDENCE) / 2
    return float(np.quantile(needed_down, share)), float(np.quantile(needed_up, share))
