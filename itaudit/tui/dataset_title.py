"""The first line of the dataset screen: what is shown of what, as much as fits."""

from pathlib import Path

import numpy as np
from textual.content import Content

from itaudit.sanitize import visible_line
from itaudit.tui.dataset_selecting import SelectActions
from itaudit.tui.feed import Feed
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.widgets.line_list import LineList


def dataset_title(view: SelectActions, feed: Feed | None, width: int) -> Content:
    """Name and facts, the most important ones first; what has no room is left out."""
    edited = view.edited
    assert edited is not None
    listed = len(view.listing)
    line = min(view.query_one(LineList).cursor + 1, listed)
    facts = [f"{line:,} of {listed:,}"]
    if feed is not None and not view.complete:
        share = f" {100 * feed.share:.0f} %" if feed.share is not None else ""
        facts.append(f"reading{share}: {len(edited):,} rows")
    if feed is not None and feed.problem:
        facts.append("not read to its end")
    if view.selection_text:
        facts.append(f"filter: {view.selection_text}")
    if view.ranking is not None:
        facts.append(f"ranked{'' if view.ranking.whole else ' so far'}: {view.ranking.question}")
    if view.grouping and view.duplicates is not None:
        facts.append(f"{len(view.duplicates.groups):,} groups of duplicates")
    if view.pattern:
        count = int(np.count_nonzero(view.found))
        facts.append(f"{count:,} {'match' if count == 1 else 'matches'}")
    if view.sort:
        facts.append(f"by {view.sort.removeprefix('-')} {'↓' if view.sort.startswith('-') else '↑'}")
    if edited.source.rejected:
        facts.append(f"! {len(edited.source.rejected):,} rejected")
    if view.lines is not None and view.lines.rows:
        facts.append(f"{len(view.lines.rows):,} with edits")
    facts.append(visible_line(edited.source.format))
    name = visible_line(view.title_name(Path(edited.source.path).name))
    name = shortened(name, max(8, width - text_cells(facts[0]) - 2, width // 3) if width >= 40 else width // 3)
    shown, room = [], width - text_cells(name) - 2
    for number, fact in enumerate(map(visible_line, facts)):
        fact = shortened(fact, max(24, width // 3))
        if text_cells(fact) + 3 * bool(number) > room:
            continue
        shown.append(fact)
        room -= text_cells(fact) + 3
    return Content.assemble((name, "bold"), "  ", (" · ".join(shown), "$foreground-muted"))
