"""Figures as SVG that follows the page: text is text, colours are variables with a light and a dark value."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

# Colours of Okabe and Ito, darkened or lightened until they stand out from white or from near black.
SERIES_LIGHT = ("#0067a3", "#b34700", "#007a5a", "#a3477f", "#6f5a00", "#3c3c3c", "#2b8fc7", "#7d3c00")
SERIES_DARK = ("#6cbcf0", "#f0a05a", "#35c79e", "#e39bc4", "#e8d84a", "#cfcfcf", "#a4d8f7", "#d98d4a")
INK, _FAINT = "#0a0b0c", "#8a8b8c"
"""What stands for the colours of text and of grids while a figure is drawn."""
_SERIES = tuple(f"#c0000{number:x}" for number in range(len(SERIES_LIGHT)))
MARKERS = "osD^vPX*"
HATCHES = ("", "///", "xxx")

VARIABLES_LIGHT = {"ink": "#1b1d20", "faint": "#d3d6da", "paper": "#ffffff"} | {
    f"series{number}": colour for number, colour in enumerate(SERIES_LIGHT)
}
VARIABLES_DARK = {"ink": "#e6e8ea", "faint": "#43484e", "paper": "#14171a"} | {
    f"series{number}": colour for number, colour in enumerate(SERIES_DARK)
}


def series_colour(number: int) -> str:
    """What stands for a series' colour while a figure is drawn."""
    return _SERIES[number % len(_SERIES)]


def declarations(variables: dict[str, str]) -> str:
    """CSS declarations of the colours."""
    return " ".join(f"--{name}: {value};" for name, value in variables.items())


@contextmanager
def drawing(width: float, height: float) -> Iterator[Any]:
    """An empty figure of that many inches, and matplotlib's settings for the time that it is drawn in."""
    import matplotlib
    from matplotlib.figure import Figure

    settings = {
        "svg.fonttype": "none",
        # Ids come of the content, so that the same tables give the same file.
        "svg.hashsalt": "itaudit",
        "font.family": "sans-serif",
        "font.size": 10,
        "hatch.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "grid.color": _FAINT,
        "grid.linewidth": 0.6,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "hatch.color"), INK
        ),
    }
    with matplotlib.rc_context(settings):
        yield Figure(figsize=(width, height), layout="constrained")


def svg_of(figure: Any, name: str, title: str, alt: str) -> str:
    """The figure as an `svg` element whose ids begin with `name`, with its title and its text for those who don't see.

    It has neither fonts nor links nor metadata of its own.
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # A rule for all elements would reach the page around it.
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"\bid=\"([^\"]+)\"", rf'id="{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    svg = re.sub(r"href=\"#([^\"]+)\"", rf'href="#{name}-\1"', svg)
    svg = svg.replace(INK, "var(--ink)").replace(_FAINT, "var(--faint)")
    for number, colour in enumerate(_SERIES):
        svg = svg.replace(colour, f"var(--series{number})")
    svg = re.sub(r"(font: [^;\"]*?px) [^;\"]+", r"\1 system-ui, sans-serif", svg)
    # The page sizes it; its own size in points would not let it shrink.
    svg = re.sub(r"<svg ([^>]*?)\s*(?:height|width)=\"[^\"]*pt\"", r"<svg \1", svg)
    svg = re.sub(r"(<svg [^>]*?)\s*(?:height|width)=\"[^\"]*pt\"", r"\1", svg)
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(alt)}</desc>'
    head, _, rest = svg.partition(">")
    return f'{head} role="img" aria-labelledby="{name}-title {name}-desc">{told}{rest}'.strip()


def standalone(svg: str) -> str:
    """The element as a file of its own, with the colours that a page would give it."""
    style = (
        f"<style>svg {{ {declarations(VARIABLES_LIGHT)} background: var(--paper); }}"
        f"@media (prefers-color-scheme: dark) {{ svg {{ {declarations(VARIABLES_DARK)} }} }}</style>"
    )
    head, _, rest = svg.partition(">")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}>{style}{rest}\n'
