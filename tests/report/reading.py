"""Reads a report's page as a program does: its tables cell by cell, its tags, and all of its text."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

_ALONE = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Cell:
    """What a cell shows, and its attributes."""

    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class Read(HTMLParser):
    """`tables` by `data-table`, or by number where a table has none: rows of cells, without the heading."""

    tables: dict[str, list[list[Cell]]] = field(default_factory=dict)
    headings: dict[str, list[str]] = field(default_factory=dict)
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._name = ""
        self._cell: Cell | None = None
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in _ALONE:
            self._open.append(tag)
        if tag == "table":
            self._name = attributes.get("data-table") or str(len(self.tables))
            assert self._name not in self.tables or not attributes.get("data-table"), f"{self._name} stands twice"
            self.tables[self._name], self.headings[self._name] = [], []
        elif tag == "tr" and "thead" not in self._open:
            self.tables[self._name].append([])
        elif tag in ("td", "th"):
            self._cell = Cell(attributes)
            if tag == "td":
                self.tables[self._name][-1].append(self._cell)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if tag in ("td", "th") and self._cell is not None:
            self._cell.text = self._cell.text.strip()
            if tag == "th":
                self.headings[self._name].append(self._cell.text)
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell.text += data


def read(html: str) -> Read:
    found = Read()
    found.feed(html)
    found.close()
    return found
