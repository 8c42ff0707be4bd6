"""KL and shift classes by position, a curve for each of several models."""

import math
from collections.abc import Callable
from typing import Literal

import orjson
from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from itaudit.analysis.by_position import ByPosition
from itaudit.analysis.shift import ShiftClass
from itaudit.runs.side_by_side import shift_by_position
from itaudit.sanitize import visible_line
from itaudit.tui.background import Background
from itaudit.tui.beside import Beside
from itaudit.tui.widgets.curves import Axis, Curve, CurvesPlot, legend

Figure = Literal["KL", "shifted", "marginal", "unshifted"]
FIGURES: tuple[Figure, ...] = ("KL", "shifted", "marginal", "unshifted")
_TITLES = {
    "KL": "KL (nats) by position",
    "shifted": "share shifted by position",
    "marginal": "share marginal by position",
    "unshifted": "share unshifted by position",
}
_FOUR = 120
"""Columns from which all figures are shown at once; one at a time below."""
_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
Counted = tuple[ByPosition | None, ...]


class PositionPlots(Container):
    """Counts beside the screen, and draws what is counted; the position axis grows by factors."""

    DEFAULT_CSS = """
    PositionPlots { layout: vertical; height: 1fr; }
    PositionPlots #legend, PositionPlots #remark { height: 1; padding: 0 1; }
    PositionPlots #remark { color: $foreground-muted; }
    PositionPlots #figures { height: 1fr; layout: grid; grid-size: 1; }
    PositionPlots.-four #figures { grid-size: 2 2; }
    PositionPlots .figure { height: 1fr; border-top: solid $foreground 30%; border-title-color: $primary; }
    PositionPlots .figure { display: none; }
    PositionPlots .figure.-chosen, PositionPlots.-four .figure { display: block; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.figure: Figure = FIGURES[0]
        self.counted: Counted = ()
        self._names: tuple[str, ...] = ()
        self._asked: object = None
        self._counting: Background[Counted] = Background(self)

    def compose(self) -> ComposeResult:
        yield Static(id="legend", markup=False)
        with Container(id="figures"):
            for figure in FIGURES:
                with Vertical(classes="figure", id=f"figure-{figure}") as box:
                    box.border_title = Content(f" {_TITLES[figure]} ")
                    yield CurvesPlot(id=f"curves-{figure}")
        yield Static(id="remark", markup=False)

    def on_mount(self) -> None:
        self._arrange()

    def on_unmount(self) -> None:
        self._counting.cancel()

    def on_resize(self, _: events.Resize) -> None:
        self._arrange()

    def show(self, beside: Beside) -> None:
        """Counts anew where there is more than was counted."""
        sides = beside.compared.sides
        asked = (beside.names, tuple(side.version() for side in sides))
        if asked == self._asked:
            return
        self._asked, self._names = asked, beside.names

        def work(report: Callable[[Counted], None]) -> None:
            # The base model read its own answers: there is no shift in them.
            report(tuple(None if side.label == "base" else shift_by_position(side) for side in sides))

        self.query_one("#remark", Static).update("counting …")
        self._counting.start(work, self._take, fail=self._fail)

    def _take(self, counted: Counted) -> None:
        self.counted = counted
        known = [one for one in counted if one is not None and one.starts]
        longest = max((one.ends[-1] for one in known), default=1)
        ticks = [tick for tick in _TICKS if tick <= longest]
        axis = Axis(tuple(math.log(tick) for tick in ticks), tuple(f"{tick:,}" for tick in ticks))
        for figure in FIGURES:
            plot = self.query_one(f"#curves-{figure}", CurvesPlot)
            plot.show(self._curves(figure), axis, share=figure != "KL")
        names = [visible_line(name) for name, _ in self._known()]
        self.query_one("#legend", Static).update(legend(names, self.app.theme_variables))
        answers = max((one.answers[0] for one in known), default=0)
        remark = f"over {answers} answers, as far as enough reach; later positions together"
        self.query_one("#remark", Static).update(remark if known else "No tuned model of these is scored yet.")

    def _fail(self, problem: str) -> None:
        self.query_one("#remark", Static).update(Content.styled(visible_line(problem), "$error"))

    def _known(self) -> list[tuple[str, ByPosition]]:
        return [(name, one) for name, one in zip(self._names, self.counted, strict=False) if one and one.starts]

    def _curves(self, figure: Figure) -> list[Curve]:
        curves = []
        for name, one in self._known():
            # Positions as people count them, the middle of each stretch.
            xs = tuple(math.log((start + end + 1) / 2) for start, end in zip(one.starts, one.ends, strict=True))
            ys = _values(one, figure)
            curves.append(Curve(visible_line(name), xs if ys else (), ys))
        return curves

    def turn(self, by: int) -> None:
        """Shows the next figure, or the previous one for -1."""
        self.figure = FIGURES[(FIGURES.index(self.figure) + by) % len(FIGURES)]
        self._arrange()

    def _arrange(self) -> None:
        self.set_class(self.app.size.width >= _FOUR, "-four")
        for figure in FIGURES:
            self.query_one(f"#figure-{figure}").set_class(figure == self.figure, "-chosen")

    def as_json(self) -> str:
        """The figures as a JSON document."""
        told = {
            name: {
                "start": one.starts,
                "end": one.ends,
                "answers": one.answers,
                "kl": one.kl,
                **{shift: one.shares[shift] for shift in one.shares},
            }
            for name, one in self._known()
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()


def _values(one: ByPosition, figure: Figure) -> tuple[float, ...]:
    if figure == "KL":
        return one.kl or ()
    shift: ShiftClass = figure
    return one.shares[shift]
