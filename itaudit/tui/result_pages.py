"""Which page of an experiment shows which of its tables."""

from collections.abc import Mapping

from itaudit.analysis.table import Table

CELLS = "cells"
_PAGES = {
    "methods": ("methods", "against_", "enhancement"),
    "sizes": ("size_", "published_ladder"),
    "published": ("published",),
    "tasks": ("task", "random_guess"),
    "quality": ("judge", "rating", "rater"),
    "style": ("style", "opening", "shift-kinds", "shifted-words", "copied"),
    "causes": ("causes",),
}
"""What the names of a page's tables begin with."""
OTHERS = "others"


def pages_of(tables: Mapping[str, Table]) -> list[str]:
    """The pages there are: the cells, then those that have tables; the methods' page always."""
    return [CELLS, *(page for page in (*_PAGES, OTHERS) if page == "methods" or page_tables(tables, page))]


def page_tables(tables: Mapping[str, Table], page: str) -> dict[str, Table]:
    """The tables of a page, by name, in the order in which they are told."""
    return {name: table for name, table in tables.items() if _page(name) == page}


def _page(name: str) -> str:
    return next((page for page, beginnings in _PAGES.items() if name.startswith(beginnings)), OTHERS)
