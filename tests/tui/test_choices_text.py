"""Choices side by side."""

from textual.content import Content

from itaudit.tui.choices_text import in_rows

CHOICES = [
    "a any detector or mark 4",
    "m marks 0",
    "r reference 3",
    "s signal 4",
    "w shifted or marginal 9",
    "h shifted 6",
]


def rows(width: int) -> list[str]:
    return [row.plain for row in in_rows([Content(choice) for choice in CHOICES], width)]


def test_no_choice_is_broken_in_two() -> None:
    assert rows(78) == [
        "a any detector or mark 4   m marks 0   r reference 3   s signal 4",
        "w shifted or marginal 9   h shifted 6",
    ]


def test_all_choices_stand_in_every_width() -> None:
    for width in range(1, 130):
        shown = rows(width)
        assert [choice for row in shown for choice in row.split("   ")] == CHOICES
        assert all(len(row) <= width or "   " not in row for row in shown)


def test_styles_go_along() -> None:
    (row,) = in_rows([Content.assemble(("a", "bold"), " any"), Content("b")], 40)
    assert [(span.start, span.end, span.style) for span in row.spans] == [(0, 1, "bold")]
