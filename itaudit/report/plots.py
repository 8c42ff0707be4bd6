"""Plots of tables: the ladder of sizes, figures with their intervals, shares of shift classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itaudit.analysis.by_position import ByPosition
from itaudit.analysis.intervals import Estimate
from itaudit.analysis.shift import CLASSES
from itaudit.analysis.table import Table, Value, shown
from itaudit.report.svg import HATCHES, INK, MARKERS, drawing, series_colour, svg_of
from itaudit.report.telling import largest_cells
from itaudit.runs.cells import Cell
from itaudit.runs.compare import Side
from itaudit.runs.side_by_side import shift_by_position
from itaudit.sanitize import visible_line

_WIDTH = 5.2
"""Inches; narrow enough that its text can still be read when a phone shrinks it."""
_ROW = 0.3
MOST_LINES = 6
"""Models of a plot by position."""
MOST_ROWS = 40
"""Rows of a plot; a longer table is read as a table."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure: `name` is a slug, `alt` says in words what it shows, `svg` is an element to put into a page."""

    name: str
    title: str
    alt: str
    svg: str


@dataclass(frozen=True, slots=True)
class Dots:
    """A table's column that is drawn as a figure with its interval for each row.

    `line` is where a comparison says nothing; `only` keeps the rows with these values.
    """

    table: str
    key: str
    line: float | None = None
    only: tuple[tuple[str, str], ...] = ()


_OF_ALL = (("aspect", "all five"),)
DOTS = (
    Dots("against_plain", "times", 1),
    Dots("task_comparisons", "score"),
    Dots("task_comparisons", "random_difference", 0),
    Dots("judge_differences", "difference", 0, _OF_ALL),
    Dots("judge_pairs", "preferred", 0.5),
    Dots("rating_differences", "difference", 0, _OF_ALL),
)


def plots_of(tables: Sequence[Table], prefix: str, cells: Sequence[Cell] = ()) -> list[Plot]:
    """The plots of the tables of one subject, and of its cells by position; their names begin with `prefix`."""
    by_name = {table.name: table for table in tables}
    # A model has one colour in all plots; base models stand in some tables alone, and come last.
    told = [table for name in ("methods", *(dots.table for dots in DOTS)) if (table := by_name.get(name))]
    models = list(dict.fromkeys(str(row.get("model", "")) for table in told for row in table.rows))
    plots: list[Plot] = []
    if ladder := by_name.get("size_ladder"):
        plots += _ladders(ladder, prefix, models)
    if methods := by_name.get("methods"):
        # The ladder shows the same figures.
        plots += [] if ladder else _dots(methods, Dots("methods", "kl"), prefix, models)
        plots += _shares(methods, prefix)
    plots += _positions(cells, prefix, models)
    for dots in DOTS:
        if table := by_name.get(dots.table):
            plots += _dots(table, dots, prefix, models)
    return plots


def _positions(cells: Sequence[Cell], prefix: str, models: Sequence[str]) -> list[Plot]:
    """Mean KL by position in the answer, of each model at its largest size."""
    shown_cells = [*largest_cells(cells)]
    variants = len({cell.variant for cell in shown_cells}) > 1
    lines: list[tuple[str, int, ByPosition]] = []
    for cell in shown_cells[:MOST_LINES]:
        found = shift_by_position(Side(cell.run, cell.label))
        if found is not None and found.kl is not None and len(found.kl) > 1:
            # Lines of one model in several variants have to differ too.
            series = len(lines) if variants else models.index(cell.label)
            lines.append((f"{cell.label} · {cell.variant}" if variants else cell.label, series, found))
    if not lines:
        return []
    title = "KL by position in the answer"
    with drawing(_WIDTH, 3.3) as figure:
        axes = figure.add_subplot()
        told = []
        for label, series, found in lines:
            kl = found.kl or ()
            # A stretch is drawn at its middle, counted from 1, as people count.
            middles = [(start + end + 1) / 2 for start, end in zip(found.starts, found.ends, strict=True)]
            axes.plot(middles, kl, label=label, markersize=5, **_style(series))
            told.append(f"{label}: {kl[0]:.2f} nats at the first token, {kl[-1]:.2f} at the last stretch")
        axes.set_xscale("log")
        axes.set_xlabel("token of the answer, from 1 (log scale)")
        axes.set_ylabel("mean KL(tuned‖base), nats")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(axis="y")
        axes.legend()
        alt, slug = f"{title}. {'; '.join(told)}.", f"{prefix}-positions"
        return [Plot(slug, title, alt, svg_of(figure, slug, title, alt))]


def _style(series: int) -> dict[str, Any]:
    """Colour, marker and line of a series: each tells it by itself."""
    return {
        "color": series_colour(series),
        "marker": MARKERS[series % len(MARKERS)],
        "linestyle": ("-", "--", ":", "-.")[series % 4],
    }


def _ladders(table: Table, prefix: str, models: Sequence[str]) -> list[Plot]:
    """KL by size, a plot a variant."""
    sizes = [int(column.key.removeprefix("kl_")) for column in table.columns if column.key.startswith("kl_")]
    variants = dict.fromkeys(str(row.get("variant") or "") for row in table.rows)
    plots = []
    for number, variant in enumerate(variants):
        rows = [row for row in table.rows if (row.get("variant") or "") == variant]
        named = f" ({variant})" if len(variants) > 1 else ""
        title = f"KL by the number of instances{named}"
        with drawing(_WIDTH, 3.3) as figure:
            axes = figure.add_subplot()
            for row in rows:
                points = [(size, value) for size in sizes if isinstance(value := row.get(f"kl_{size}"), Estimate)]
                _line(axes, points, models.index(str(row["model"])), str(row["model"]))
            axes.set_xscale("log")
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axes.minorticks_off()
            axes.set_xlabel("instances (log scale)")
            axes.set_ylabel("KL(tuned‖base), nats")
            axes.set_ylim(bottom=0)
            axes.grid(axis="y")
            axes.legend()
            alt = f"{title}. {'. '.join(_read(row, table, 'kl_') for row in rows)}."
            name = f"{prefix}-ladder-{number}" if len(variants) > 1 else f"{prefix}-ladder"
            plots.append(Plot(name, title, alt, svg_of(figure, name, title, alt)))
    return plots


def _line(axes: Any, points: Sequence[tuple[int, Estimate]], series: int, label: str) -> None:
    known = [(size, one.value, one) for size, one in points if one.value is not None]
    if not known:
        return
    values = [value for _, value, _ in known]
    axes.errorbar(
        [size for size, _, _ in known],
        values,
        yerr=_bars([one for _, _, one in known]),
        markersize=6,
        capsize=3,
        label=label,
        **_style(series),
    )


def _dots(table: Table, dots: Dots, prefix: str, models: Sequence[str]) -> list[Plot]:
    """One figure of each row with its interval; nothing where fewer than two rows have it, or too many."""
    column = next((column for column in table.columns if column.key == dots.key), None)
    rows = [
        (row, one)
        for row in table.rows
        if isinstance(one := row.get(dots.key), Estimate)
        and one.value is not None
        and all(row.get(key) == value for key, value in dots.only)
    ]
    if column is None or not (1 if dots.line is not None else 2) <= len(rows) <= MOST_ROWS:
        return []
    title = f"{table.title}: {column.title}"
    unit = {"share": "per cent", "points": "percentage points"}.get(column.kind, "")
    scale = 100 if unit else 1
    with drawing(_WIDTH, 0.9 + _ROW * len(rows)) as figure:
        axes = figure.add_subplot()
        for at, (row, one) in enumerate(rows):
            series = models.index(str(row.get("model", "")))
            bars = _bars([one], scale)
            value = scale * (one.value or 0.0)
            axes.errorbar([value], [at], xerr=bars, markersize=6, capsize=3, **_style(series))
        axes.set_yticks(range(len(rows)), [_place(row, table) for row, _ in rows])
        axes.invert_yaxis()
        axes.set_xlabel(f"{column.title}, {unit}" if unit else column.title)
        if dots.line is None:
            axes.set_xlim(left=min(0, axes.get_xlim()[0]))
        else:
            axes.axvline(scale * dots.line, color=INK, linewidth=1, linestyle="--")
        axes.grid(axis="x")
        beside = f" The dashed line at {scale * dots.line:g} is no difference." if dots.line is not None else ""
        alt = f"{title}. {'; '.join(f'{_place(row, table)}: {shown(one, column)}' for row, one in rows)}.{beside}"
        slug = f"{prefix}-{table.name}-{dots.key}"
        return [Plot(slug, title, alt, svg_of(figure, slug, title, alt))]


def _shares(table: Table, prefix: str) -> list[Plot]:
    """Stacked shares of the shift classes of each row."""
    columns = {column.key: column for column in table.columns if column.key in CLASSES}
    rows = [row for row in table.rows if all(isinstance(row.get(name), Estimate) for name in CLASSES)]
    if len(columns) < len(CLASSES) or not rows or len(rows) > MOST_ROWS:
        return []
    title = "Shares of the shift classes"
    with drawing(_WIDTH, 1.1 + _ROW * len(rows)) as figure:
        axes = figure.add_subplot()
        lefts = [0.0] * len(rows)
        for number, name in enumerate(CLASSES):
            widths = [100 * _value(row[name]) for row in rows]
            axes.barh(
                range(len(rows)),
                widths,
                left=lefts,
                height=0.7,
                color="none" if not number else series_colour(4 if number == 1 else 1),
                alpha=(1, 0.35, 0.75)[number],
                edgecolor=INK,
                linewidth=0.6,
                hatch=HATCHES[number],
                label=name,
            )
            lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
        axes.set_yticks(range(len(rows)), [_place(row, table) for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("per cent of positions")
        figure.legend(loc="outside upper center", ncols=3)
        told = (
            f"{_place(row, table)}: " + ", ".join(f"{name} {shown(row[name], columns[name])}" for name in CLASSES)
            for row in rows
        )
        alt = f"{title}. {'; '.join(told)}."
        slug = f"{prefix}-classes"
        return [Plot(slug, title, alt, svg_of(figure, slug, title, alt))]


def _value(value: Value) -> float:
    return value.value or 0.0 if isinstance(value, Estimate) else 0.0


def _bars(estimates: Sequence[Estimate], scale: int = 1) -> Any:
    """[2, points] how far the intervals reach below and above; nothing where one has no interval."""
    ends = [
        (one.value - one.low, one.high - one.value)
        for one in estimates
        if one.value is not None and one.low is not None and one.high is not None
    ]
    # A bootstrap's interval may leave out the figure itself by a hair.
    return [[scale * max(end[side], 0.0) for end in ends] for side in (0, 1)] if len(ends) == len(estimates) else None


def _place(row: Mapping[str, Value], table: Table) -> str:
    """What a row is of, in one line."""
    there = {column.key: column for column in table.columns}
    variants = len({row.get("variant") for row in table.rows}) > 1
    keys = ("tasks", *(("variant",) if variants else ()), "model", "against")
    parts = [shown(row.get(key), there[key]) for key in keys if key in there and row.get(key)]
    parts += [f"n = {row['size']:,}"] if isinstance(row.get("size"), int) else []
    return visible_line(" · ".join(parts))


def _read(row: Mapping[str, Value], table: Table, prefix: str) -> str:
    told = [
        f"{column.title}: {shown(row[column.key], column)}"
        for column in table.columns
        if column.key.startswith(prefix) and row.get(column.key) is not None
    ]
    return f"{row.get('model')}: " + ", ".join(told)
