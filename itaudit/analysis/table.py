"""Tables of results: what is counted once, and shown alike by the command line, the screens and the report."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from itaudit.analysis.intervals import Estimate

Kind = Literal["text", "count", "number", "share", "difference", "points", "times"]
"""How a column's values read: `share` is 0-1 and shown in per cent; `difference` has a sign; `points` is a difference
of shares, shown in percentage points; `times` is a quotient."""

_UNITS: Mapping[Kind, str] = {"share": " %", "points": " pp", "times": " ×"}
"""What follows a figure; its interval does without."""
_ROUNDING = 1e-9

Value = str | int | float | Estimate | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key in JSON, CSV and Parquet, its title with the unit, and how its values read."""

    key: str
    title: str
    kind: Kind = "number"
    digits: int = 3


@dataclass(frozen=True, slots=True)
class Table:
    """A named table; a row maps column keys to values, and a key that it lacks is nothing to tell.

    `name` is a short slug that files are called by; `note` says in a sentence or two how to read it, and what its
    intervals are; `source` is where published figures come from.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Value], ...]
    note: str = ""
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        """`{name, title, note, source, rows: [{key: value, …}]}`; an estimate is `{value, low, high, prompts}`."""
        rows = [{column.key: _plain(row.get(column.key)) for column in self.columns} for row in self.rows]
        return {"name": self.name, "title": self.title, "note": self.note, "source": self.source, "rows": rows}

    def flat_keys(self, column: Column) -> tuple[str, ...]:
        """What a column is in CSV and Parquet: three where it holds estimates, `KEY`, `KEY_low` and `KEY_high`."""
        estimates = any(isinstance(row.get(column.key), Estimate) for row in self.rows)
        return (column.key, f"{column.key}_low", f"{column.key}_high") if estimates else (column.key,)

    def flat_rows(self) -> list[dict[str, str | int | float | None]]:
        """Rows for CSV and Parquet, by the keys that `flat_keys` tells."""
        keys = [(column.key, self.flat_keys(column)) for column in self.columns]
        return [
            {flat: value for key, told in keys for flat, value in zip(told, _parts(row.get(key)), strict=False)}
            for row in self.rows
        ]


def _parts(value: Value) -> tuple[str | int | float | None, float | None, float | None]:
    return (value.value, value.low, value.high) if isinstance(value, Estimate) else (value, None, None)


def telling_columns(columns: Iterable[Column], rows: Sequence[Mapping[str, Value]]) -> tuple[Column, ...]:
    """The columns that some row has something to tell in."""
    return tuple(column for column in columns if any(row.get(column.key) not in (None, "") for row in rows))


def shown(value: Value, column: Column) -> str:
    """A value as people read it; an estimate as `value (low to high)`. `–` where there is nothing to tell.

    Small numbers get as many more digits as two that tell something need; differences keep theirs, since what is near
    0 beside its interval tells nothing.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, Estimate):
        return _number(value, column, digits_of(value, column.digits))
    ends = (value.low, value.high) if value.low is not None and value.high is not None else ()
    digits = digits_of(max((abs(one) for one in (value.value, *ends) if one is not None), default=0), column.digits)
    text = _number(value.value, column, digits)
    if not ends:
        return text
    unit = _UNITS.get(column.kind, "")
    interval = " to ".join(_number(end, column, digits).removesuffix(unit) for end in ends)
    return f"{text} ({interval})"


def digits_of(value: float | int | None, digits: int) -> int:
    """Digits after the point that show at least two of a number's own; what is left of rounding has none."""
    if not value or abs(value) >= 10 ** (1 - digits) or abs(value) < _ROUNDING:
        return digits
    return 1 - math.floor(math.log10(abs(value)))


def _number(value: float | int | None, column: Column, digits: int) -> str:
    if value is None:
        return "–"
    match column.kind:
        case "count":
            return f"{value:,.0f}"
        case "share":
            return f"{100 * value:.{max(column.digits - 2, 0)}f}{_UNITS['share']}"
        case "difference":
            return f"{value:+.{column.digits}f}"
        case "points":
            return f"{100 * value:+.{max(column.digits - 2, 0)}f}{_UNITS['points']}"
        case "times":
            # 1,229.55 times says no more than 1,230.
            return f"{value:,.{column.digits if abs(value) < 100 else 0}f}{_UNITS['times']}"
        case _:
            return f"{value:.{digits}f}"


def _plain(value: Value) -> Any:
    if isinstance(value, Estimate):
        return {"value": value.value, "low": value.low, "high": value.high, "prompts": value.prompts}
    return value
