"""Shift classes of positions, and what a response, or all of them, add up to.

Token distribution shift follows Lin et al. 2023 as Ghosh et al. 2024 use it: the base model reads the context of
every position of the tuned model's answer, and the rank of the emitted token among its predictions classes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

ShiftClass = Literal["unshifted", "marginal", "shifted"]
CLASSES: tuple[ShiftClass, ...] = ("unshifted", "marginal", "shifted")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The lowest 0-based base ranks of the classes `marginal` and `shifted`."""

    marginal: int = 1
    shifted: int = 3


def class_codes(ranks: npt.ArrayLike, thresholds: Thresholds = Thresholds()) -> npt.NDArray[np.int8]:
    """Position in CLASSES for each 0-based base rank: 0 unshifted, 1 marginal, 2 shifted."""
    values = np.asarray(ranks)
    return ((values >= thresholds.marginal).astype(np.int8) + (values >= thresholds.shifted)).astype(np.int8)


def shift_class(rank: int, thresholds: Thresholds = Thresholds()) -> ShiftClass:
    """The class of one 0-based base rank."""
    return CLASSES[int(class_codes(rank, thresholds))]


@dataclass(frozen=True, slots=True)
class ShiftSummary:
    """Totals over the positions of one or more responses; shares are 0-1, KL in nats."""

    responses: int
    tokens: int
    unshifted: float
    marginal: float
    shifted: float
    kl_mean: float | None


def summarize(counts: Iterable[tuple[int, int, int]], kl_sums: Iterable[float | None], responses: int) -> ShiftSummary:
    """The summary of responses given their class counts and their sums of KL over positions.

    Every position weighs the same, as in the papers, so that a long response counts for more than a short one.
    `kl_mean` is None where the tuned model's distribution is not known.
    """
    totals = np.asarray(list(counts), dtype=np.int64).reshape(-1, 3).sum(axis=0)
    tokens = int(totals.sum())
    sums = list(kl_sums)
    known = [value for value in sums if value is not None]
    shares = totals / tokens if tokens else np.zeros(3)
    return ShiftSummary(
        responses=responses,
        tokens=tokens,
        unshifted=float(shares[0]),
        marginal=float(shares[1]),
        shifted=float(shares[2]),
        kl_mean=float(sum(known)) / tokens if tokens and len(known) == len(sums) else None,
    )
