"""KL by the number of instances, a curve a model, with intervals, and the published figures beside."""

import math
from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Table
from itaudit.sanitize import visible_line
from itaudit.tui.widgets.curves import Axis, Curve, CurvesPlot, legend

LADDERS = ("size_ladder", "published_ladder")
"""The names of the tables that are drawn."""


class LadderPlot(Vertical):
    """The plot with its legend; the axis of sizes grows by factors."""

    DEFAULT_CSS = """
    LadderPlot { height: auto; }
    LadderPlot #ladder-legend { height: 1; }
    """

    def compose(self) -> ComposeResult:
        yield Static(id="ladder-legend", markup=False)
        yield CurvesPlot(id="ladder-curves")

    def show(self, tables: Mapping[str, Table]) -> None:
        """Draws what the tables called LADDERS tell."""
        ladder, published = (tables.get(name) for name in LADDERS)
        curves = [*_ladder(ladder), *_published(published)]
        sizes = sorted({size for curve in curves for size in curve.xs})
        axis = Axis(tuple(sizes), tuple(f"{math.exp(size):,.0f}" for size in sizes))
        self.query_one(CurvesPlot).show(curves, axis)
        text = legend([curve.name for curve in curves], self.app.theme_variables)
        self.query_one("#ladder-legend", Static).update(text)


def has_ladder(tables: Mapping[str, Table]) -> bool:
    """Whether there is something to draw."""
    return bool(_ladder(tables.get("size_ladder")))


def _ladder(table: Table | None) -> list[Curve]:
    curves = []
    for row in table.rows if table else ():
        name = " ".join(str(row[key]) for key in ("variant", "model") if row.get(key))
        rungs = sorted(
            (int(key.removeprefix("kl_")), value)
            for key, value in row.items()
            if key.startswith("kl_") and isinstance(value, Estimate) and value.value is not None
        )
        if rungs:
            curves.append(
                Curve(
                    visible_line(name),
                    tuple(math.log(size) for size, _ in rungs),
                    tuple(kl.value or 0.0 for _, kl in rungs),
                    tuple(kl.low for _, kl in rungs),
                    tuple(kl.high for _, kl in rungs),
                )
            )
    return curves


def _published(table: Table | None) -> list[Curve]:
    """The published ladder, a curve a method: figures without intervals."""
    curves = []
    for method in ("lft", "sft"):
        points = [
            (row["size"], row[f"kl_{method}"])
            for row in (table.rows if table else ())
            if str(row.get("from", "")).startswith("published") and isinstance(row.get(f"kl_{method}"), float)
        ]
        if points:
            xs = tuple(math.log(float(size)) for size, _ in points if isinstance(size, int))
            ys = tuple(kl for _, kl in points if isinstance(kl, float))
            curves.append(Curve(f"{method}, published", xs, ys, joined=False))
    return curves
