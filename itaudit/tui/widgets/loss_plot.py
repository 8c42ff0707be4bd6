"""The loss curves of the models that a run tunes."""

import math
from collections.abc import Mapping, Sequence

from textual.color import Color
from textual_plotext import PlotextPlot

from itaudit.runs.state import LossPoint

# Curves are told by their marker as well as by their colour.
_MARKERS = ("braille", "•", "*", "+", "x", "o")
_COLORS = ("primary", "shifted", "evidence", "hallucinated", "marginal", "cursor")


class LossPlot(PlotextPlot):  # type: ignore[misc]  # the library has no types
    """Loss in nats a token over optimiser steps, one curve a model, in the colours of the theme."""

    DEFAULT_CSS = """
    LossPlot { color: $foreground 80%; background: $background; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        # Plotext's theme without colours leaves those of the frame to the widget's style, and so to our theme.
        self.theme = "clear"
        self._curves: dict[str, list[tuple[int, float]]] = {}

    def on_mount(self) -> None:
        super().on_mount()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def show(self, losses: Mapping[str, Sequence[LossPoint]]) -> None:
        """Draws the curves; points whose loss is no number are left out."""
        curves = {
            label: [(point.step, point.loss) for point in points if math.isfinite(point.loss)]
            for label, points in losses.items()
        }
        if curves != self._curves:
            self._curves = curves
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        plot = self.plt
        plot.clear_data()
        plot.clear_figure()
        variables = self.app.theme_variables
        for number, (label, points) in enumerate(self._curves.items()):
            if not points:
                continue
            color = Color.parse(variables.get(_COLORS[number % len(_COLORS)], variables["primary"])).rgb
            steps, values = zip(*points, strict=True)
            marker = _MARKERS[number % len(_MARKERS)]
            plot.plot(steps, values, marker=marker, color=color, label=label)
            if len(points) == 1:
                plot.scatter(steps, values, marker="•", color=color)
        plot.xaxes(True, False)
        plot.yaxes(True, False)
        last = max((points[-1][0] for points in self._curves.values() if points), default=0)
        marks = max(2, min(6, self.size.width // 16))
        if last:
            # Steps are whole numbers; left to itself the plot would count them in decimals.
            ticks = sorted({1, *(round(last * number / marks) for number in range(1, marks + 1))} - {0})
            plot.xticks(ticks, [str(tick) for tick in ticks])
        self.refresh()
