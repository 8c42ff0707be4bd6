"""Shift by position: how the classes and KL of a model's answers lie from the first token on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itaudit.analysis.shift import CLASSES, ShiftClass, Thresholds, class_codes

FEWEST = 5
"""Answers that must reach a stretch of positions for it to be told; all of them where there are fewer."""
_GROWTH = 1.3
_USUAL = Thresholds()


@dataclass(frozen=True, slots=True)
class ByPosition:
    """Figures by stretch of positions. Shares are 0-1 of the positions in the stretch, KL their mean in nats.

    `starts` are the stretches' first positions, 0-based, `ends` one behind their last; `answers` tells how many reach
    it. `kl` is None where the tuned model's distribution is not known.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    answers: tuple[int, ...]
    shares: dict[ShiftClass, tuple[float, ...]]
    kl: tuple[float, ...] | None


def by_position(
    ranks: Sequence[npt.ArrayLike], kl: Sequence[npt.ArrayLike] | None, thresholds: Thresholds = _USUAL
) -> ByPosition:
    """The figures of answers given the base ranks and KL of their positions, a list of one value a position each.

    Stretches are one position long at first, where tuning shows most, and grow from there on.
    """
    lengths = np.asarray([len(np.asarray(one)) for one in ranks], dtype=np.int64)
    edges = _edges(int(lengths.max(initial=0)))
    fewest = min(FEWEST, int((lengths > 0).sum()))
    reached = [int((lengths > start).sum()) for start in edges[:-1]]
    kept = sum(count >= fewest for count in reached) if fewest else 0
    edges = edges[: kept + 1]
    positions = np.concatenate([np.arange(length) for length in lengths]) if len(lengths) else np.empty(0, np.int64)
    codes = class_codes(_joined(ranks), thresholds)
    stretch = np.searchsorted(np.asarray(edges), positions, side="right") - 1
    inside = stretch < kept
    count = np.bincount(stretch[inside], minlength=kept)
    shares = {name: _means(stretch[inside], codes[inside] == code, count, kept) for code, name in enumerate(CLASSES)}
    means = None if kl is None else _means(stretch[inside], _joined(kl)[inside], count, kept)
    return ByPosition(tuple(edges[:-1]), tuple(edges[1:]), tuple(reached[:kept]), shares, means)


def _edges(longest: int) -> list[int]:
    """Where stretches begin, and the end of the last one."""
    edges = [0]
    while edges[-1] < longest:
        edges.append(max(edges[-1] + 1, round(edges[-1] * _GROWTH)))
    return edges


def _joined(values: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
    return np.concatenate([np.asarray(one, dtype=np.float64) for one in values]) if len(values) else np.empty(0)


def _means(
    stretch: npt.NDArray[np.int64], values: npt.NDArray[np.generic], count: npt.NDArray[np.int64], kept: int
) -> tuple[float, ...]:
    sums = np.bincount(stretch, weights=values.astype(np.float64), minlength=kept)
    return tuple((sums / np.maximum(count, 1)).tolist())
