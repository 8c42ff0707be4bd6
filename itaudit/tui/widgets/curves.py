"""Curves over an axis, with intervals where they are known, in the theme's colours."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.color import Color
from textual_plotext import PlotextPlot

MARKERS = ("•", "×", "+", "o", "*", "#")
"""Curves are told by their marker as well as by their colour."""
COLORS = ("primary", "shifted", "evidence", "hallucinated", "marginal", "cursor")


@dataclass(frozen=True, slots=True)
class Curve:
    """Points by x, ascending; `lows` and `highs` are empty where there are no intervals.

    A curve that is not `joined` is drawn as points alone, as figures of others are.
    """

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    lows: tuple[float | None, ...] = ()
    highs: tuple[float | None, ...] = ()
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Axis:
    """Where marks stand on the x axis, and what they say."""

    ticks: tuple[float, ...] = ()
    words: tuple[str, ...] = ()


class CurvesPlot(PlotextPlot):  # type: ignore[misc]  # the library has no types
    """A plot with a y axis from zero; each curve has the marker and colour of its place."""

    DEFAULT_CSS = """
    CurvesPlot { color: $foreground 80%; background: $background; height: 1fr; min-height: 5; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        # Plotext's theme without colours leaves those of the frame to the widget's style, and so to our theme.
        self.theme = "clear"
        self.curves: tuple[Curve, ...] = ()
        self._axis = Axis()
        self._share = False

    def on_mount(self) -> None:
        super().on_mount()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def show(self, curves: Sequence[Curve], axis: Axis, *, share: bool = False) -> None:
        """Draws curves; a `share` of 0 to 1 is told in per cent."""
        self.curves, self._axis, self._share = tuple(curves), axis, share
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        plot = self.plt
        plot.clear_data()
        plot.clear_figure()
        tops = [0.0]
        for number, curve in enumerate(self.curves):
            color = Color.parse(color_of(number, self.app.theme_variables)).rgb
            if curve.joined and len(curve.xs) > 1:
                plot.plot(curve.xs, curve.ys, marker="braille", color=color)
            for x, low, high in zip(curve.xs, curve.lows, curve.highs, strict=False):
                if low is not None and high is not None:
                    plot.plot([x, x], [low, high], marker="│", color=color)
                    tops.append(high)
            plot.scatter(curve.xs, curve.ys, marker=MARKERS[number % len(MARKERS)], color=color)
            tops += curve.ys
        self._axes(max(tops) or 1.0)
        self.refresh()

    def _axes(self, highest: float) -> None:
        plot = self.plt
        plot.xaxes(True, False)
        plot.yaxes(True, False)
        ticks = round_ticks(highest, 2 if self.size.height < 9 else 4)
        plot.ylim(0, max(ticks[-1], highest))
        plot.yticks(ticks, [f"{100 * tick:g} %" if self._share else f"{tick:g}" for tick in ticks])
        if self._axis.ticks:
            plot.xticks(*self._fitting())
            first, last = self._ends()
            # What stands at the edges would be drawn over the axis, and lose its mark.
            pad = 0.05 * (last - first) or 1.0
            plot.xlim(first - pad, last + pad)

    def _ends(self) -> tuple[float, float]:
        """The first and last x of curves and marks."""
        places = [*self._axis.ticks, *(x for curve in self.curves for x in curve.xs)]
        return min(places), max(places)

    def _fitting(self) -> tuple[list[float], list[str]]:
        """The marks of the x axis that have room."""
        first, last = self._ends()
        room = max(self.size.width - 10, 8)
        kept: list[tuple[float, str]] = []
        end = float("inf")
        # From the largest on: how far the axis goes matters most.
        for tick, words in sorted(zip(self._axis.ticks, self._axis.words, strict=True), reverse=True):
            place = (tick - first) / (last - first) * room if last > first else 0.0
            if place + len(words) / 2 + 1 < end:
                kept.insert(0, (tick, words))
                end = place - len(words) / 2
        return [tick for tick, _ in kept], [words for _, words in kept]


def round_ticks(highest: float, marks: int) -> list[float]:
    """About so many marks from zero on, at numbers that are easy to read; the last is not below the highest value."""
    size = 10.0 ** math.floor(math.log10(highest / marks))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times * marks >= highest * 0.999)
    count = math.ceil(round(highest / step, 6))
    return [round(step * number, 10) for number in range(count + 1)]


def color_of(number: int, variables: dict[str, str]) -> str:
    """The theme's colour for the curve at a place."""
    return variables.get(COLORS[number % len(COLORS)], variables["primary"])


def legend(names: Sequence[str], variables: dict[str, str]) -> Text:
    """Which marker and colour stands for what; names that are safe to show."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for number, name in enumerate(names):
        text.append(
            f"{'   ' if number else ''}{MARKERS[number % len(MARKERS)]} ", f"bold {color_of(number, variables)}"
        )
        text.append(name)
    return text
