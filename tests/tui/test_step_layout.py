"""Which panels of the stepper are seen at which size."""

import pytest

from itaudit.tui.step_layout import LOWER, PANELS, Chosen, LayoutName, PanelName, layout_of, seen


@pytest.mark.parametrize(
    ("columns", "rows", "layout"),
    [
        (19, 50, "tiny"),
        (80, 5, "tiny"),
        (40, 15, "single"),
        (59, 16, "stacked"),
        (80, 24, "medium"),
        (139, 50, "wide"),
        (100, 19, "medium"),
        (140, 20, "broad"),
    ],
)
def test_the_layout_goes_by_columns_and_rows(columns: int, rows: int, layout: LayoutName) -> None:
    assert layout_of(columns, rows) == layout


@pytest.mark.parametrize("layout", ["single", "stacked", "medium", "wide", "broad"])
@pytest.mark.parametrize("panel", PANELS)
def test_the_active_panel_is_always_in_sight(layout: LayoutName, panel: PanelName) -> None:
    chosen = Chosen()
    for each in (*LOWER, panel):
        chosen = chosen.activating(each)
    assert chosen.active == panel and panel in seen(layout, chosen)


def test_sources_leave_the_panel_in_the_middle_where_there_is_room_for_both() -> None:
    chosen = Chosen().activating("spans").activating("sources")
    assert seen("wide", chosen) == {"prompts", "response", "spans", "sources"}
    assert seen("medium", chosen) == {"prompts", "response", "sources"}
    assert seen("medium", chosen.showing("position")) == {"prompts", "response", "position"}
