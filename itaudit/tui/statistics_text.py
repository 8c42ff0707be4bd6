"""The statistics of a dataset in words, numbers and bars of text."""

from collections.abc import Sequence
from typing import Any

from textual.content import Content

from itaudit.data.statistics import Distribution, Statistics
from itaudit.sanitize import visible_line
from itaudit.tui.layout import bar, shortened, text_cells

NAMES = {
    "words": ("words of the response", "words"),
    "prompt_words": ("words of the prompt", "words"),
    "turns": ("answers in a conversation", "answers"),
    "chars": ("characters of the response", "characters"),
}
"""What each measure counts, and its unit."""
_QUANTILES = (("0.05", "5 %"), ("0.25", "25 %"), ("0.5", "half"), ("0.75", "75 %"), ("0.95", "95 %"), ("0.99", "99 %"))


def number_text(value: float) -> str:
    """A number as short as it can be said."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) < 1e6 else f"{value:.2g}"


def summary_text(statistics: Statistics) -> Content:
    """How many instances there are, and what is amiss with how many."""
    facts = [f"{statistics.instances:,} instances"]
    for count, words in (
        (statistics.without_response, "without a response"),
        (statistics.empty, "with an empty response"),
        (statistics.edited, "edited"),
        (statistics.deleted, "deleted"),
        (statistics.tagged, "tagged"),
        (statistics.conflicts, "with conflicts"),
    ):
        if count:
            facts.append(f"{count:,} {words}")
    if statistics.duplicates is not None:
        facts.append(f"{statistics.duplicates:,} duplicates")
    return Content(" · ".join(facts))


def quantiles_text(distribution: Distribution) -> Content:
    """Mean, extremes and quantiles, a line each: half of the instances have at most what stands beside `half`."""
    if not distribution.count:
        return Content.styled("no instance has one", "$foreground-muted")
    rows = [
        ("mean", number_text(round(distribution.mean, 1))),
        ("least", number_text(distribution.minimum)),
        *((words, number_text(distribution.quantiles[share])) for share, words in _QUANTILES),
        ("most", number_text(distribution.maximum)),
    ]
    names = max(len(name) for name, _ in rows)
    values = max(len(value) for _, value in rows)
    lines = [
        Content.assemble((name.ljust(names), "$foreground-muted"), " ", value.rjust(values)) for name, value in rows
    ]
    return Content("\n").join(lines)


def bars_text(pairs: Sequence[tuple[Any, int]], total: int, width: int) -> Content:
    """A line for each value with its bar, its count and its share of `total`."""
    if not pairs:
        return Content.styled("none", "$foreground-muted")
    names = [visible_line(_shown(value)) for value, _ in pairs]
    counts = [f"{count:,}" for _, count in pairs]
    right = max(map(len, counts)) + 6
    longest = max(map(text_cells, names))
    room = max(6, min(longest, (width - right - 2) * 3 // 5))
    space = max(0, width - room - right - 2)
    most = max(count for _, count in pairs) or 1
    lines = []
    for name, count, (_, number) in zip(names, counts, pairs, strict=True):
        text = shortened(name, room)
        share = 100 * number / max(1, total)
        lines.append(
            Content.assemble(
                text + " " * (room - text_cells(text)),
                " ",
                (bar(number / most, space).ljust(space), "$primary"),
                (f" {count:>{right - 6}} {share:3.0f} %", "$foreground-muted"),
            )
        )
    return Content("\n").join(lines)


def _shown(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
