"""Whether the values of a column are what a filter's term asks for."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from itaudit.data.filters import Term
from itaudit.data.searching import Flags, flags
from itaudit.errors import UserError

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_COMPARE = {">": pc.greater, ">=": pc.greater_equal, "<": pc.less, "<=": pc.less_equal}
_TRUTH = {"true": True, "false": False}


def column_holds(term: Term, column: pa.ChunkedArray) -> Flags:
    """Which values are equal to one of the term's, or compare as it asks; null never does.

    Raises UserError, code 2, where the term's values do not fit the column.
    """
    kind = column.type
    if pa.types.is_boolean(kind):
        if term.operator != ":" or not set(term.values) <= _TRUTH.keys():
            raise _misfit(term, f"{term.name} is true or false; write {term.name}:true")
        return flags(pc.is_in(column, pa.array([_TRUTH[value] for value in term.values])))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if term.operator == ":":
            return _within_ranges(term, column, "..")
        return flags(_COMPARE[term.operator](column, _number(term, term.values[0])))
    if term.operator == ":":
        return flags(pc.is_in(column, pa.array(term.values, kind)))
    return flags(_COMPARE[term.operator](column, pa.scalar(term.values[0], kind)))


def row_holds(term: Term, indices: pa.ChunkedArray) -> Flags:
    """Which rows of the source a term on their numbers selects; ranges may be written with `-`."""
    if term.operator == ":":
        return _within_ranges(term, indices, "-", "..")
    return column_holds(term, indices)


def _within_ranges(term: Term, column: pa.ChunkedArray, *signs: str) -> Flags:
    found = np.zeros(len(column), dtype=bool)
    for value in term.values:
        low, high = _ends(value, signs)
        if low and high and _number(term, low).as_py() > _number(term, high).as_py():
            raise _misfit(term, f"{value!r} ends before it begins")
        holds = np.ones(len(column), dtype=bool)
        if low:
            holds &= flags(pc.greater_equal(column, _number(term, low)))
        if high:
            holds &= flags(pc.less_equal(column, _number(term, high)))
        if not low and not high:
            raise _misfit(term, f"{value!r} is no number and no range like 10{signs[-1]}20")
        found |= holds
    return found


def _ends(value: str, signs: tuple[str, ...]) -> tuple[str, str]:
    """The ends of a range, of which one may be open; twice the same for a number."""
    for sign in signs:
        # The first character may be a minus.
        place = value.find(sign, 1 if sign == "-" else 0)
        if place >= 0:
            return value[:place], value[place + len(sign) :]
    return value, value


def _number(term: Term, value: str) -> Any:
    if not _NUMBER.fullmatch(value):
        raise _misfit(term, f"{value!r} is no number, and {term.name} is one")
    try:
        number = int(value)
    except ValueError:
        return pa.scalar(float(value))
    return pa.scalar(number) if -(2**63) <= number < 2**63 else pa.scalar(float(number))


def _misfit(term: Term, reason: str) -> UserError:
    return UserError(f"filter: {term.text!r}: {reason}", code=2)
