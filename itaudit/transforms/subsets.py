"""Steps that choose instances: by length, at random, by a number. What is chosen keeps the order of the dataset."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from itaudit.data.dataset import Dataset
from itaudit.errors import UserError
from itaudit.sanitize import visible
from itaudit.steps import Order, Random, Score

ROWS_SHOWN = 3
"""Rows that an error names one by one."""


def response_lengths(dataset: Dataset, unit: Literal["words", "characters"]) -> npt.NDArray[np.int64]:
    """[instances] words (runs without white space) or characters of each response; 0 where there is none."""
    responses = dataset.table.column("response")
    if unit == "characters":
        lengths = pc.utf8_length(responses)
    else:
        # An empty response splits into one empty word.
        stripped = pc.utf8_trim_whitespace(responses)
        counts = pc.list_value_length(pc.utf8_split_whitespace(stripped))
        lengths = pc.if_else(pc.equal(stripped, ""), 0, counts)
    found: npt.NDArray[np.int64] = pc.fill_null(lengths, 0).to_numpy().astype(np.int64)
    return found


def random_positions(dataset: Dataset, step: Random) -> list[int]:
    """`k` positions drawn by seed and id alone, so that neither row order, process nor library version matters."""
    ids = dataset.table.column("id").to_pylist()
    draws = [hashlib.sha256(f"{step.seed}\0{id}".encode("utf-8", "surrogatepass")).digest() for id in ids]
    return sorted(sorted(range(len(draws)), key=lambda position: draws[position])[: step.k])


def column_numbers(dataset: Dataset, step: Score) -> npt.NDArray[np.float64]:
    """[instances] the numbers in a column. Raises UserError that names rows without one."""
    numbers = np.empty(len(dataset))
    faults: list[tuple[int, Any]] = []
    names: dict[str, None] = {}
    for position, instance in enumerate(dataset):
        names.update(dict.fromkeys(instance.extra))
        value = instance.extra.get(step.column)
        number = _number(value)
        if number is None:
            faults.append((instance.index, value if step.column in instance.extra else None))
        else:
            numbers[position] = number
    if step.column not in names:
        there = f"it has {', '.join(map(visible, names))}" if names else "it has none beyond the fields of its format"
        raise UserError(f"{visible(dataset.path)} has no column {visible(step.column)!r}; {there}", code=2)
    if faults:
        shown = ", ".join(f"row {row}: {visible(_short(value))}" for row, value in faults[:ROWS_SHOWN])
        more = f" and {len(faults) - ROWS_SHOWN:,} more" if len(faults) > ROWS_SHOWN else ""
        raise UserError(
            f"column {visible(step.column)!r} of {visible(dataset.path)} holds no number in {shown}{more}; "
            "mend or leave out these rows first"
        )
    return numbers


def ranked(values: npt.NDArray[Any], k: int, order: Order) -> list[int]:
    """The `k` positions with the highest or lowest values, ascending; of equal values the earlier positions."""
    keys = -values if order == "highest" else values
    return sorted(np.argsort(keys, kind="stable")[:k].tolist())


def check_size(k: int, available: int, what: str = "instances") -> None:
    """Raises UserError where fewer are there than asked for."""
    if k > available:
        raise UserError(
            f"k={k:,} is more than the {available:,} {what} there are; ask for at most {available:,}", code=2
        )


def finite(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Values as an array, NaN where there is none."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _number(value: Any) -> float | None:
    """A finite number, also as a text: CSV files have no other numbers."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
