"""Settings of the analysis of style and copied patterns: `[style]` of a recipe."""

from itaudit.section import Section


class Style(Section):
    """Rules and word lists by which style is told from content."""
