"""The line that names the pages of a screen."""

from collections.abc import Sequence

from textual.content import Content

MUTED = "$foreground-muted"
_AROUND = 3
"""Cells that a page takes beside its name."""


def pages_text(pages: Sequence[str], current: str, width: int) -> Content:
    """The names of pages, the current one in reverse and always among those that have room."""
    place, first = pages.index(current), 0
    while first < place and sum(len(page) + _AROUND for page in pages[first : place + 1]) > width:
        first += 1
    names = [Content.styled(f" {page} ", "reverse" if page == current else MUTED) for page in pages[first:]]
    line = Content.styled("‹" if first else "", MUTED) + Content(" ").join(names)
    return line.truncate(max(1, width), ellipsis=True)
