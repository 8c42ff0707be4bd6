"""Tables of results as text: nothing is lost at any width."""

import pytest

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table
from itaudit.tui.layout import text_cells
from itaudit.tui.pages_text import pages_text
from itaudit.tui.table_text import table_text

COLUMNS = (
    Column("model", "model", "text"),
    Column("tokens", "tokens", "count"),
    Column("kl", "KL (nats)"),
    Column("shifted", "shifted", "share"),
    Column("verdict", "against lft", "text"),
)
ROWS = (
    {"model": "lft", "tokens": 1234, "kl": Estimate(0.057, 0.045, 0.07, 16), "shifted": 0.014},
    {
        "model": "sft",
        "tokens": 999,
        "kl": Estimate(0.294, 0.2, 0.4, 16),
        "shifted": Estimate(0.061, None, None, 1),
        "verdict": "further from the base",
    },
)
TABLE = Table("methods", "How far each model moved", COLUMNS, ROWS, "Intervals are 95 %.", "a paper")


def test_a_table_that_fits_has_a_line_a_row() -> None:
    lines = table_text(TABLE, 100).plain.splitlines()
    assert lines[0] == "How far each model moved"
    assert lines[3].split() == ["lft", "1,234", "0.057", "(0.045", "to", "0.070)", "1.4", "%", "–"]
    assert lines[4].split()[-4:] == ["further", "from", "the", "base"]
    assert lines[-3:] == ["Intervals are 95 %.", "", "Source: a paper"]


@pytest.mark.parametrize("width", [100, 70, 50, 40, 30])
def test_no_figure_is_lost_and_no_line_is_wider_than_the_screen(width: int) -> None:
    text = table_text(TABLE, width).plain
    assert max(map(text_cells, text.splitlines())) <= width
    flat = " ".join(text.split())
    for figure in ("0.057", "0.045 to 0.070", "1,234", "1.4 %", "0.294", "0.200 to 0.400", "6.1 %", "999"):
        assert figure in flat
    assert flat.count("lft") >= 1 and "further from the base" in flat


def test_pieces_begin_with_the_names_of_their_rows() -> None:
    text = table_text(TABLE, 30).plain
    assert text.count("sft") == text.count("\n\n") - 2


def test_counts_come_last_where_a_table_is_in_pieces() -> None:
    text = table_text(TABLE, 40).plain
    assert text.index("0.057") < text.index("1,234")


def test_a_hostile_name_stays_one_line() -> None:
    table = Table("t", "t", COLUMNS[:1], ({"model": "\x1b[2J[bold]\n\u202ex"},))
    text = table_text(table, 40).plain
    assert "\x1b" not in text and "\u202e" not in text and "[bold]" in text
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize("width", [120, 78, 38])
def test_values_that_differ_only_at_their_end_do_not_look_alike(width: int) -> None:
    """Of a long value the end stands there, too: a table of differences would show two that seem the same."""
    value = "words:at_least=0,at_most=60, random:k={}"
    columns = (Column("key", "key", "text"), *(Column(f"{n}", f"lft {n}", "text") for n in range(3)))
    row = {"key": "data.transforms", **{f"{n}": value.format(40 + n) for n in range(3)}}
    text = table_text(Table("recipes", "t", columns, (row,)), width).plain
    assert max(map(text_cells, text.splitlines())) <= width
    assert "…" not in text
    joined = "".join(text.split())
    assert all(f"random:k={40 + n}" in joined or f"k={40 + n}" in joined for n in range(3))
    # Each piece begins with the key, and says each model once.
    assert [text.count(f"lft {n}") for n in range(3)] == [1, 1, 1]


def test_where_no_figure_has_room_beside_the_names_each_has_a_line() -> None:
    columns = (
        Column("tasks", "tasks", "text"),
        Column("model", "model", "text"),
        Column("score", "exact match", "share"),
        Column("above", "above random guess", "points"),
    )
    rows = tuple(
        {
            "tasks": tasks,
            "model": model,
            "score": Estimate(0.062, 0.012, 0.125, 80),
            "above": Estimate(-0.379, -0.43, -0.32, 80),
        }
        for tasks in ("classification, unseen", "classification, tuned on")
        for model in ("base", "sft")
    )
    text = table_text(Table("task_scores", "Scores", columns, rows), 37).plain
    assert max(map(text_cells, text.splitlines())) <= 37
    assert "classification, unseen · base\n  exact match: 6.2 % (1.2 to 12.5)\n" in text
    assert text.count("above random guess: -37.9 pp") == 4 and "-43.0 to -32.0" in " ".join(text.split())
    assert "·" not in table_text(Table("task_scores", "Scores", columns, rows), 80).plain


def test_a_name_in_words_that_nothing_needs_gives_way_to_figures() -> None:
    columns = (
        Column("size", "instances", "count"),
        Column("model", "model", "text"),
        Column("method", "method", "text"),
        Column("kl", "KL (nats)"),
    )
    rows = tuple(
        {"size": size, "model": model, "method": model, "kl": Estimate(0.2, 0.123456, 0.3, 8)}
        for size in (40, 80)
        for model in ("lft", "sft")
    )
    text = table_text(Table("methods", "t", columns, rows), 35).plain
    assert max(map(text_cells, text.splitlines())) <= 35
    assert text.count("0.123 to 0.300") == 4 and text.count("instances  model") == 2


@pytest.mark.parametrize("width", [12, 20, 38, 80])
def test_the_page_that_is_shown_is_among_those_named(width: int) -> None:
    pages = ["cells", "methods", "sizes", "tasks", "quality", "style", "causes"]
    for page in pages:
        line = pages_text(pages, page, width)
        assert f" {page} " in line.plain and line.cell_length <= width
        [span] = [span for span in line.spans if span.style == "reverse"]
        assert line.plain[span.start : span.end] == f" {page} "
