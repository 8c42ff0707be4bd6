"""The list of a dataset, line by line: columns that the user chose, aligned, as many of them as fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from textual.content import Content

from itaudit.data.edited import EditedDataset, EditedRow
from itaudit.sanitize import visible_line
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.listing import Flags, Positions

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

TEXTS = ("instruction", "input", "response")
DEFAULT = ("row", "words", "turns", "category", "task", "instruction")
"""What is shown until the user chooses; of these, the columns that a dataset has."""
DEFAULT_TASKS = ("row", "words", "turns", "task", "input")
"""The same for instances that have their instruction from a task, which says nothing of one among them."""
MATCH_STYLE = "reverse"
MARKS_WIDTH = 3
LEGEND = (
    ("✗", "deleted"),
    ("!", "conflict"),
    ("~", "edited"),
    ("#", "tag or note"),
    ("•", "found by the search"),
    ("≡", "has duplicates"),
    ("=", "is a duplicate"),
)
"""The marks before a line, and what they say."""

_WIDTHS = {"words": 6, "chars": 6, "prompt_words": 7, "turns": 6, "score": 6, "tags": 10, "group": 6}
_TITLES = {"prompt_words": "prompt", "instruction": "instruction", "index": "row"}
_WIDEST = 16
_SAMPLE = 4096
_SCANNED = 4000
"""Characters of a text in which a match is looked for that could be shown in its line."""


@dataclass(slots=True)
class DatasetLines:
    """What the lines are made of.

    `patterns` are highlighted in a field, or in all where it is empty. `found` flags the positions that a search
    found, `grouped` those with duplicates, of which `copies`, ascending, are all but the first ones; `scores` are
    those of a ranking, and `rows` all instances with edits.
    """

    edited: EditedDataset
    measures: pa.Table | None = None
    chosen: Sequence[str] = DEFAULT
    patterns: "Sequence[tuple[str, Pattern]]" = ()
    found: Flags = field(default_factory=lambda: np.zeros(0, dtype=bool))
    grouped: Flags = field(default_factory=lambda: np.zeros(0, dtype=bool))
    copies: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    scores: Mapping[int, float] | None = None
    rows: Mapping[int, EditedRow] = field(default_factory=dict)
    _widths: dict[str, int] = field(default_factory=dict)
    _layouts: dict[tuple[Any, ...], list[tuple[str, int]]] = field(default_factory=dict)

    def available(self) -> list[str]:
        """Every column that could be shown."""
        own = ["row", "id", "tags", *TEXTS]
        return own + ([] if self.measures is None else [n for n in self.measures.column_names if n not in own])

    def sortable(self) -> list[tuple[str, bool]]:
        """The columns that the list can be sorted by, and whether each holds numbers."""
        names = [] if self.measures is None else self.measures.column_names
        return [(name, self._is_number(name)) for name in names] + [("id", False)]

    def columns(self, width: int) -> list[tuple[str, int]]:
        """The chosen columns that fit in a width, each with its own; the last text takes what is left over."""
        known = (width, tuple(self.chosen), self.scores is None, self._width("row"), len(self.available()))
        if known not in self._layouts:
            self._layouts = {known: self._laid_out(width)}
        return self._layouts[known]

    def _laid_out(self, width: int) -> list[tuple[str, int]]:
        there = set(self.available())
        names = [name for name in self.chosen if name in there and (name != "turns" or self._several_turns())]
        if not any(name in TEXTS for name in names):
            names.append("instruction")
        if self.scores is not None:
            names.insert(0, "score")
        fixed = {name: self._width(name) for name in names if name not in TEXTS}
        while True:
            texts = [name for name in names if name in TEXTS]
            room = width - MARKS_WIDTH - sum(fixed[name] + 1 for name in names if name not in TEXTS) - len(texts) + 1
            if len(texts) > 1 and room < 24 * len(texts):
                names.remove(texts[-1])
            elif room < 16 and len(fixed) > 1 and any(name not in ("row", *TEXTS) for name in names):
                dropped = [name for name in names if name not in ("row", *TEXTS)][-1]
                names.remove(dropped)
                del fixed[dropped]
            else:
                break
        share, rest = divmod(max(1, room), len(texts))
        widths = fixed | {name: share + (rest if name == texts[-1] else 0) for name in texts}
        return [(name, max(1, widths[name])) for name in names]

    def header(self, width: int, sort: str = "") -> Content:
        """The titles of the columns over the lines; an arrow tells which one they are sorted by."""
        cells = []
        name_sorted = sort.removeprefix("-")
        for name, room in self.columns(width):
            title = visible_line(_TITLES.get(name, name))
            if name == name_sorted:
                title = shortened(title, room - 1) + ("↓" if sort.startswith("-") else "↑")
            title = shortened(title, room)
            gap = " " * (room - text_cells(title))
            cells.append(gap + title if self._is_number(name) else title + gap)
            if name == "row":
                cells[-1] += " " * MARKS_WIDTH
        line = " ".join(cells)
        return Content.styled(line if any(n == "row" for n, _ in self.columns(width)) else f"   {line}", "$secondary")

    def line(self, position: int, width: int) -> Content:
        """One instance in `width` cells."""
        row = self.rows.get(position)
        matched = position < len(self.found) and bool(self.found[position])
        columns = self.columns(width)
        parts: list[Content] = []
        marks = self._marks(position, row, matched)
        if not any(name == "row" for name, _ in columns):
            parts.append(marks)
        for name, room in columns:
            parts.append(self._cell(name, position, row, room))
            if name == "row":
                parts[-1] = Content("").join([parts[-1], marks])
        line = Content(" ").join(parts)
        if row is not None and row.deleted:
            line = line.stylize_before("strike $foreground-muted")
        return line.truncate(max(1, width), ellipsis=False)

    def _marks(self, position: int, row: EditedRow | None, matched: bool) -> Content:
        state, style = " ", ""
        remark = " "
        if row is not None:
            if row.deleted:
                state, style = "✗", "$error"
            elif row.conflicts:
                state, style = "!", "bold $warning"
            elif row.changed:
                state, style = "~", "bold $success"
            remark = "#" if row.tags or row.note else " "
        group = position < len(self.grouped) and bool(self.grouped[position])
        place = int(np.searchsorted(self.copies, position)) if group else len(self.copies)
        copy = place < len(self.copies) and self.copies[place] == position
        third = "•" if matched else "=" if copy else "≡" if group else " "
        return Content.assemble((state, style), (remark, "$secondary"), (third, "bold $accent"))

    def _cell(self, name: str, position: int, row: EditedRow | None, room: int) -> Content:
        if name in TEXTS:
            return self._text(name, position, row, room)
        text = shortened(visible_line(_shown(self._value(name, position, row))), room)
        gap = " " * (room - text_cells(text))
        return Content.styled(gap + text if self._is_number(name) else text + gap, "$foreground-muted")

    def _value(self, name: str, position: int, row: EditedRow | None) -> Any:
        if name == "score":
            return (self.scores or {}).get(position)
        if name == "row":
            return self.edited.source.table.column("index")[position].as_py()
        if name == "id":
            return self.edited.source.table.column("id")[position].as_py()
        if name == "tags":
            return ", ".join(row.tags) if row is not None else ""
        if row is not None and row.changed and name in _COUNTED:
            return _COUNTED[name](row)
        if self.measures is None or position >= len(self.measures) or name not in self.measures.column_names:
            return None
        return self.measures.column(name)[position].as_py()

    def _text(self, name: str, position: int, row: EditedRow | None, room: int) -> Content:
        if row is not None:
            text: str | None = getattr(row.instance, name)
        else:
            text = self.edited.source.table.column(name)[position].as_py()
            if text is None and name == "instruction":
                text = self.edited.source[position].instruction
        if not text:
            return Content.styled(("(none)" if text is None else "(empty)").ljust(room)[:room], "$foreground-muted")
        patterns = [pattern for where, pattern in self.patterns if where in ("", name)]
        text = text[: max(_SCANNED if patterns else 0, 4 * room + 8)]
        spans = sorted(span for pattern in patterns for span in pattern.spans(text))
        start = 0
        if spans and spans[0][1] > room - 2:
            # What was found would lie beyond the edge.
            start = max(0, min(spans[0][0] - 12, spans[0][1] - room + 4))
        shown = ("…" if start else "") + visible_line(text[start : start + 4 * room + 8])
        body = Content(shown)
        shift = (1 if start else 0) - start
        for begin, end in spans:
            if end + shift > 0 and begin + shift < len(shown):
                body = body.stylize(MATCH_STYLE, max(0, begin + shift), min(len(shown), end + shift))
        return body.truncate(room, ellipsis=True, pad=True)

    def _width(self, name: str) -> int:
        if name == "row":
            return max(3, len(str(max(0, len(self.edited) - 1))))
        if name in _WIDTHS:
            return _WIDTHS[name]
        if name not in self._widths:
            self._widths[name] = self._measured_width(name)
        return self._widths[name]

    def _measured_width(self, name: str) -> int:
        if name == "id":
            column = self.edited.source.table.column("id").slice(0, _SAMPLE)
        else:
            assert self.measures is not None
            column = self.measures.column(name).slice(0, _SAMPLE)
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            longest = max((len(text) for text in column.to_pylist() if text is not None), default=0)
            return int(max(3, min(_WIDEST, max(longest, len(name)))))
        return 5 if pa.types.is_boolean(kind) else 8

    def _is_number(self, name: str) -> bool:
        if name in ("row", "score"):
            return True
        if self.measures is None or name not in self.measures.column_names:
            return False
        kind = self.measures.schema.field(name).type
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))

    def _several_turns(self) -> bool:
        """Whether a conversation among the first ones has more than one answer: else the column would tell nothing."""
        if self.measures is None or "turns" not in self.measures.column_names:
            return False
        if not self._widths.get("turns?"):
            turns = self.measures.column("turns").slice(0, _SAMPLE).to_pylist()
            self._widths["turns?"] = int(any(number and number > 1 for number in turns))
        return bool(self._widths["turns?"])


def _words(text: str | None) -> int | None:
    return None if text is None else len(text.split())


_COUNTED: Mapping[str, Callable[[EditedRow], int | None]] = {
    "words": lambda row: _words(row.instance.response),
    "chars": lambda row: None if row.instance.response is None else len(row.instance.response),
    "prompt_words": lambda row: _words(row.instance.prompt),
    "turns": lambda row: sum(message.role == "assistant" for message in row.instance.messages),
}
"""What is counted anew of an instance with edits."""


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.3g}"
    return str(value)


def edited_rows(edited: EditedDataset) -> dict[int, EditedRow]:
    """The instances that edits say anything of, those that were all taken back left out."""
    return {position: row for position, row in edited.edited_positions().items() if row.edits or row.conflicts}
