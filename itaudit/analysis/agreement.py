"""Agreement of raters who say yes or no of the same units: Krippendorff's alpha (2004), with missing values.

A rater is a detector or a person, a unit a content word. Alpha is 1 for perfect agreement, 0 for what chance would
bring, and below 0 for systematic disagreement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Ratings = Mapping[str, Sequence[bool | None]]
"""For each rater a value a unit: whether it flags it, or None where it did not look. All of one length."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's alpha of some raters over the `units` that at least two of them rated.

    `alpha` is None where it is not defined, and `reason` says why; `agreed` is the share of the pairs of ratings of the
    same unit that are equal, 0 to 1, and None where there is none.
    """

    raters: tuple[str, ...]
    units: int
    alpha: float | None
    reason: str
    agreed: float | None


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two raters: their agreement, and on how many of the units that both rated both, or one alone, said yes."""

    agreement: Agreement
    both: int
    only_first: int
    only_second: int


def agreement(ratings: Ratings) -> Agreement:
    """The agreement of all raters."""
    raters = tuple(ratings)
    values = _matrix(ratings)
    counts = np.sum(~np.isnan(values), axis=0)
    shared = values[:, counts > 1]
    units = shared.shape[1]
    if not units:
        return Agreement(raters, 0, None, "no word was looked at by two of them", None)
    yes, looked = np.nansum(shared, axis=0), counts[counts > 1]
    no = looked - yes
    pairs = float(np.sum(looked * (looked - 1)))
    agreed = float(np.sum(yes * (yes - 1) + no * (no - 1))) / pairs
    if not yes.any():
        return Agreement(raters, units, None, "nobody flags a word", agreed)
    if not no.any():
        return Agreement(raters, units, None, "everybody flags every word", agreed)
    return Agreement(raters, units, _alpha(shared), "", agreed)


def pair_agreements(ratings: Ratings) -> list[PairAgreement]:
    """The agreement of each two raters, in the order of the raters."""
    found = []
    for first, second in combinations(ratings, 2):
        one, other = ratings[first], ratings[second]
        both = sum(a is True and b is True for a, b in zip(one, other, strict=True))
        only_first = sum(a is True and b is False for a, b in zip(one, other, strict=True))
        only_second = sum(a is False and b is True for a, b in zip(one, other, strict=True))
        told = agreement({first: one, second: other})
        found.append(PairAgreement(told, both, only_first, only_second))
    return found


def _matrix(ratings: Ratings) -> npt.NDArray[np.float64]:
    rows = [[np.nan if value is None else float(value) for value in row] for row in ratings.values()]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def _alpha(values: npt.NDArray[np.float64]) -> float:
    # It takes long to import, and most readers of a run want no agreement.
    import krippendorff

    return float(krippendorff.alpha(reliability_data=values, value_domain=[0.0, 1.0], level_of_measurement="nominal"))
