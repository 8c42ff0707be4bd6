"""Which panels of the stepper are seen, by the size of the terminal."""

from dataclasses import dataclass
from typing import Literal

PanelName = Literal["prompts", "response", "position", "spans", "sources"]
PANELS: tuple[PanelName, ...] = ("prompts", "response", "position", "spans", "sources")
LOWER: tuple[PanelName, ...] = ("position", "spans", "sources")
"""The panels below the response, of which one is seen where there is room for no more."""
LayoutName = Literal["tiny", "single", "stacked", "medium", "wide", "broad"]
LAYOUTS: tuple[LayoutName, ...] = ("tiny", "single", "stacked", "medium", "wide", "broad")

BROAD, WIDE, MEDIUM, TINY = 140, 100, 60, 20
"""Columns from which all panels, all but one, the prompts beside two others, and any at all are shown."""
WIDE_ROWS, MEDIUM_ROWS, TINY_ROWS = 20, 16, 6
"""Rows from which three panels, two above each other, and any at all are shown."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The panel that keys scroll, the one below the response, and which of position and spans was there last."""

    active: PanelName = "response"
    lower: PanelName = "position"
    middle: PanelName = "position"

    def showing(self, panel: PanelName) -> "Chosen":
        """The choice with a panel in sight below the response."""
        if panel not in LOWER:
            return self
        return Chosen(self.active, panel, self.middle if panel == "sources" else panel)

    def activating(self, panel: PanelName) -> "Chosen":
        """The choice with another panel active, and in sight."""
        return Chosen(panel, self.lower, self.middle).showing(panel)


def layout_of(columns: int, rows: int) -> LayoutName:
    """The layout for a terminal's size."""
    if columns < TINY or rows < TINY_ROWS:
        return "tiny"
    if columns >= WIDE and rows >= WIDE_ROWS:
        return "broad" if columns >= BROAD else "wide"
    if rows >= MEDIUM_ROWS:
        return "medium" if columns >= MEDIUM else "stacked"
    return "single"


def seen(layout: LayoutName, chosen: Chosen) -> set[PanelName]:
    """The panels that a layout shows."""
    match layout:
        case "tiny":
            return set()
        case "single":
            return {chosen.active}
        case "stacked":
            return {"prompts"} if chosen.active == "prompts" else {"response", chosen.lower}
        case "medium":
            return {"prompts", "response", chosen.lower}
        case "wide":
            return {"prompts", "response", chosen.middle, "sources"}
        case "broad":
            return set(PANELS)
