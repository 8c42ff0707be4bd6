"""Which page of an experiment shows which of its tables."""

from collections.abc import Mapping

from itaudit.analysis.table import Table

CELLS = "cells"
_PAGES = {
    "methods": ("methods", "against_reference"),
    "sizes": ("size_ladder", "size_ladder_times", "published_ladder", "published"),
}
OTHERS = "others"


def pages_of(tables: Mapping[str, Table]) -> list[str]:
    """The pages there are: the cells, then those that have tables; the methods' page always."""
    found = [page for page, names in _PAGES.items() if page == "methods" or any(name in tables for name in names)]
    return [CELLS, *found, *([OTHERS] if page_tables(tables, OTHERS) else [])]


def page_tables(tables: Mapping[str, Table], page: str) -> dict[str, Table]:
    """The tables of a page, by name, in the order in which they are told."""
    placed = {name for names in _PAGES.values() for name in names}
    wanted = _PAGES.get(page, ())
    return {name: table for name, table in tables.items() if name in wanted or (page == OTHERS and name not in placed)}
