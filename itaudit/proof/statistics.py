"""How a value compares with controls; the formulae, and why these, are in docs/proof.md."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from itaudit.proof.spec import Word

MARGIN = math.log(2)
"""Nats. A smaller effect, one that does not even halve the span's probability, counts as none."""
CONFIDENCE = 0.95
_LEVEL = 0.05
_EXACT = 20_000
"""Pairs up to which the distribution of U is computed exactly."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean of the controls minus mean of the values, with a 95 % interval and a two-sided p, and how many of the
    controls are as low as the values' mean."""

    effect: float
    low: float
    high: float
    p: float
    alike: int
    controls: int

    @property
    def stands_out(self) -> bool:
        """Whether as few controls are as low as one draw in twenty would find below it; none of fewer than 39.

        From 19 controls on, this alone keeps chance under 5 %, whatever the distribution.
        """
        return self.alike == 0 or (1 + self.alike) / (1 + self.controls) <= _LEVEL


def compare(values: Sequence[float], controls: Sequence[float]) -> Comparison:
    """Compares values with at least two controls, which would be drawn alike if the sources were any instances.

    Student's t with the spread of the controls: the interval is for the difference of a draw of `len(values)` from the
    mean of the controls. Controls that are all equal have no spread, and any difference is beyond it.
    """
    # `scipy.stats` would do, and takes a second to import, which a screen would stand still for.
    from scipy.special import stdtr, stdtrit

    count, spread = len(controls), statistics.stdev(controls)
    center = statistics.fmean(values)
    effect = statistics.fmean(controls) - center
    error = spread * math.sqrt(1 / len(values) + 1 / count)
    reach = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
    p = 2 * float(stdtr(count - 1, -abs(effect) / error)) if error else float(effect == 0)
    alike = sum(control <= center for control in controls)
    return Comparison(effect, effect - reach, effect + reach, p, alike, count)


def verdict_word(found: Comparison, per_seed: Sequence[float]) -> Word:
    """What a retraining without the sources shows, by its comparison with control drops, and its effect by seed.

    A cause is beyond what random drops do, and matters under each of several seeds.
    """
    steady = len(per_seed) > 1 and min(per_seed) >= MARGIN
    if steady and found.low > 0 and found.stands_out:
        return "cause shown"
    if found.high < MARGIN:
        return "no effect seen"
    return "not decided"


def area_under_curve(sources: Sequence[float], controls: Sequence[float]) -> tuple[float, float]:
    """The chance that a source is above a control (ties count half), and the one-sided p of Mann and Whitney's U."""
    from scipy import stats

    # Ties are rare, and between sources and controls rarer: an approximation by the normal would cost more.
    method = "exact" if len(sources) * len(controls) <= _EXACT else "asymptotic"
    found = stats.mannwhitneyu(sources, controls, alternative="greater", method=method)
    return float(found.statistic) / (len(sources) * len(controls)), float(found.pvalue)
