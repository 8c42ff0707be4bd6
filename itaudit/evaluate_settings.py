"""Settings of evaluation: `[evaluate]` of a recipe."""

from itaudit.section import Section


class Evaluate(Section):
    """How answers are evaluated beyond token distribution shift."""
