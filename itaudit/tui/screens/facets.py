"""The values that the columns of a dataset have, with counts; each can narrow the filter."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from textual.binding import Binding, BindingType
from textual.content import Content

from itaudit.data.edited import EditedDataset
from itaudit.data.filters import parse_filter, quoted
from itaudit.data.measures import MEASURES
from itaudit.data.selection import facets
from itaudit.sanitize import visible_line
from itaudit.tui.background import Background
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.listing import Positions
from itaudit.tui.screens.list_screen import ListScreen
from itaudit.tui.widgets.line_list import LineList
from itaudit.units import bar

VALUES = 100
"""Values of a column that are listed, the most frequent first."""
MOST = 5000
"""A column with more values than this tells instances apart rather than grouping them."""
_BANDS = (0, 10, 25, 50, 100, 200, 400, 800, 1600)


@dataclass(frozen=True, slots=True)
class Facet:
    """One value of a column, how many instances have it, and the term that selects them; without one, a heading."""

    text: str
    count: int = 0
    share: float = 0.0
    term: str = ""


def column_facets(measures: pa.Table, positions: Positions, name: str) -> Iterator[Facet]:
    """The facets of one column: its values, or bands of its numbers where there are many."""
    chosen = measures.column(name).take(pa.array(positions))
    kind = chosen.type
    total = max(1, len(positions))
    different = pc.count_distinct(chosen, mode="only_valid").as_py()
    if different == 0 or (different > MOST and not (pa.types.is_integer(kind) or pa.types.is_floating(kind))):
        return
    yield Facet(name)
    banded = name in MEASURES and name != "turns"
    if (different > 20 or banded) and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        numbers = pc.drop_null(chosen).to_numpy()
        for low, high in zip(_BANDS, (*_BANDS[1:], None), strict=True):
            inside = int(np.count_nonzero((numbers >= low) & (numbers < high if high is not None else True)))
            label = f"{low} and more" if high is None else f"{low} to {high - 1}"
            last = f"{quoted(name)}>={low}"
            term = last if high is None else f"{last} {quoted(name)}<{high}"
            if inside:
                yield Facet(label, inside, inside / total, term)
        return
    values = facets(measures, positions, name)
    if pa.types.is_integer(kind):
        # Numbers are looked for in their own order.
        values.sort(key=lambda pair: (pair[0] is None, pair[0]))
    for value, count in values[:VALUES]:
        if value is None:
            yield Facet("(none)", count, count / total)
        else:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            yield Facet(text, count, count / total, f"{quoted(name)}:{quoted(text)}")
    if len(values) > VALUES:
        yield Facet(f"… {len(values) - VALUES:,} values more", 0, 0.0)


def workshop_facets(edited: EditedDataset, positions: Positions) -> Iterator[Facet]:
    """What the workshop knows of the instances: edits, deletions, tags."""
    shown = set(np.intersect1d(np.fromiter(edited.edited_positions(), np.int64), positions).tolist())
    rows = [row for position, row in edited.edited_positions().items() if position in shown]
    total = max(1, len(positions))
    counts = {
        "edited": sum(row.changed for row in rows),
        "deleted": sum(row.deleted for row in rows),
        "flagged": sum(bool(row.tags or row.note) for row in rows),
        "conflict": sum(bool(row.conflicts) for row in rows),
    }
    tags: dict[str, int] = {}
    for row in rows:
        for tag in row.tags:
            tags[tag] = tags.get(tag, 0) + 1
    if any(counts.values()):
        yield Facet("workshop")
    for name, count in counts.items():
        if count:
            yield Facet(name, count, count / total, name)
    for tag, count in sorted(tags.items(), key=lambda pair: (-pair[1], pair[0])):
        yield Facet(f"tag {tag}", count, count / total, f"tag:{quoted(tag)}")


class FacetsScreen(ListScreen[str]):
    """Gives the term of the facet that was chosen."""

    TITLE = "facets of what is listed"
    KEYS = "enter adds to the filter · - leaves out · escape closes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("minus", "exclude", "leave out", id="facets.exclude"),
        Binding("right_square_bracket", "column(1)", "next column", id="facets.next"),
        Binding("left_square_bracket", "column(-1)", "previous column", id="facets.previous"),
    ]

    def __init__(self, edited: EditedDataset, measures: pa.Table, positions: Positions) -> None:
        super().__init__()
        self.edited = edited
        self.measures = measures
        self.positions = positions[positions < len(measures)]
        self.facets: list[Facet] = []
        self._counting: Background[list[Facet]] = Background(self)

    def on_mount(self) -> None:
        super().on_mount()
        self.facets = list(workshop_facets(self.edited, self.positions))
        self.query_one(LineList).border_title = Content(f"{self.TITLE} · counting")
        measures, positions = self.measures, self.positions

        def work(report: Callable[[list[Facet]], None]) -> None:
            numbers = ("words", "prompt_words", "turns", "chars")
            names = [name for name in measures.column_names if name not in numbers]
            for name in (*names, *numbers):
                if name in measures.column_names and name != "chars":
                    report(list(column_facets(measures, positions, name)))

        self._counting.start(work, self._take, fail=self._failed, done=self._counted)

    def on_unmount(self) -> None:
        self._counting.cancel()

    def _take(self, facets: list[Facet]) -> None:
        self.facets += facets
        self.fit()

    def _counted(self) -> None:
        lines = self.query_one(LineList)
        lines.border_title = Content(f"{self.TITLE}: {len(self.positions):,}")
        if not self.facets:
            self.facets = [Facet("nothing here has columns to tell instances apart by")]
        self.fit()

    def _failed(self, text: str) -> None:
        self.query_one(LineList).border_subtitle = Content(visible_line(text))

    def count(self) -> int:
        return len(self.facets)

    def can_stand(self, position: int) -> bool:
        return 0 <= position < len(self.facets) and bool(self.facets[position].term)

    def line(self, position: int, width: int) -> Content:
        facet = self.facets[position]
        text = visible_line(facet.text)
        if not facet.count:
            style = "$foreground-muted" if text.startswith("…") else "bold $primary"
            return Content.styled(shortened(text, width), style)
        # Where there is little room, the count is worth more than its share.
        count = f"{facet.count:,} {100 * facet.share:3.0f} %" if width >= 36 else f"{facet.count:,}"
        meter = f" {bar(facet.share, 6)}" if width >= 50 else ""
        right = f"{count:>15}" if width >= 36 else f" {count:>7}"
        room = max(4, width - 2 - text_cells(meter) - text_cells(right))
        shown = shortened(text, room)
        gap = " " * max(0, room - text_cells(shown))
        line = Content.assemble("  ", shown + gap, (meter, "$accent"), (right, "$foreground-muted"))
        return line.truncate(max(1, width), ellipsis=True)

    def action_column(self, step: int) -> None:
        """Goes to the first value of another column."""
        lines = self.query_one(LineList)
        firsts = [n + 1 for n, f in enumerate(self.facets) if not f.count and self.can_stand(n + 1)]
        here = [place for place, first in enumerate(firsts) if first <= lines.cursor]
        if firsts:
            lines.stand_on(firsts[((here[-1] if here else 0) + step) % len(firsts)])

    def on_line_list_opened(self, message: LineList.Opened) -> None:
        self.dismiss(self.facets[message.position].term)

    def action_exclude(self) -> None:
        position = self.query_one(LineList).cursor
        term = self.facets[position].term if self.can_stand(position) else ""
        # A band of numbers is two terms, and what lies outside of both of them is no term.
        if len(parse_filter(term).terms) == 1:
            self.dismiss(f"-{term}")
        elif term:
            self.query_one(LineList).border_subtitle = Content("a band can't be left out; enter adds it")
