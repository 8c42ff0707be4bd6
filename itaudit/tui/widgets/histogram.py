"""How often numbers lie where, as bars over an axis."""

import itertools

from textual.color import Color
from textual_plotext import PlotextPlot

from itaudit.data.statistics import Distribution
from itaudit.tui.statistics_text import number_text


class Histogram(PlotextPlot):  # type: ignore[misc]  # the library has no types
    """One distribution: a bar for each of its bins, in the theme's colours; the last bin holds all that lies beyond."""

    DEFAULT_CSS = """
    Histogram { color: $foreground 80%; background: $background; height: 1fr; min-height: 6; }
    """

    def __init__(self, distribution: Distribution, unit: str) -> None:
        super().__init__()
        self.theme = "clear"
        self.distribution = distribution
        self.unit = unit

    def on_mount(self) -> None:
        super().on_mount()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        plot, bins = self.plt, self.distribution
        plot.clear_data()
        plot.clear_figure()
        if not bins.counts:
            return
        variables = self.app.theme_variables
        color = Color.parse(variables["primary"]).rgb
        places = list(range(len(bins.counts)))
        plot.bar(places, bins.counts, color=color, width=0.9)
        labels = max(2, min(len(places), self.size.width // 9))
        every = max(1, -(-len(places) // labels))
        ticks = places[::every]
        widths = [after - before for before, after in itertools.pairwise(bins.edges)]
        # What lies beyond the bulk stands in one bin, however wide.
        beyond = len(widths) > 2 and widths[-1] > 1.5 * widths[0]
        names = [number_text(bins.edges[place]) for place in ticks]
        if beyond:
            if ticks[-1] != places[-1] and places[-1] - ticks[-1] < every:
                ticks, names = ticks[:-1], names[:-1]
            if not ticks or ticks[-1] != places[-1]:
                ticks, names = [*ticks, places[-1]], [*names, ""]
            names[-1] = f"≥{number_text(bins.edges[-2])}"
        plot.xticks(ticks, names)
        plot.xaxes(True, False)
        plot.yaxes(True, False)
        top = max(bins.counts)
        marks = sorted({0, top // 2, top})
        plot.yticks(marks, [f"{mark:,}" for mark in marks])
        plot.ylim(0, top)
        self.refresh()
