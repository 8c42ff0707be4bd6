"""Text of datasets and models means nothing to a page, to Markdown or to a spreadsheet."""

from dataclasses import replace

from markdown_it import MarkdownIt

from itaudit.analysis.table import Column, Table
from itaudit.report.document import Report
from itaudit.report.exports import csv_of, parquet_of
from itaudit.report.html import html_of
from itaudit.report.markdown import markdown_of
from itaudit.sanitize import visible_line
from tests.report.conftest import Written
from tests.report.reading import read

EVIL = "</td><script>alert(1)</script>\"'> ![x](http://e.vil/x) [y](http://e.vil) `a` |b| **c** \x1b[31m \u202e {{ 7 }}"


def with_evil(report: Report) -> Report:
    part = report.parts[-1]
    columns = (Column("evil", EVIL, "text"), Column("n", "n", "count"))
    table = Table("evil", EVIL, columns, ({"evil": EVIL, "n": 1},), EVIL, EVIL)
    subject = replace(part.subject, name=EVIL)
    telling = tuple(replace(told, prompt_id=EVIL, prompt=visible_line(EVIL), place=EVIL) for told in part.telling)
    evil = replace(part, subject=subject, summary=(EVIL,), tables=(table,), telling=telling)
    reproduction = replace(report.reproduction, recipes=((EVIL, f"x = 1\n```\n{EVIL}"),), commands=(EVIL,))
    return replace(report, title=EVIL, parts=(evil,), reproduction=reproduction)


def test_the_page_runs_loads_and_hides_nothing(written: Written) -> None:
    html = html_of(with_evil(written.report))
    page = read(html)
    assert not [tag for tag, _ in page.tags if tag in ("script", "img", "iframe", "object")]
    assert page.text.count(visible_line(EVIL)) >= 6
    assert "\x1b" not in html and "\u202e" not in html
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,")), (tag, attributes)


def test_the_page_forbids_whatever_it_would_ask_for(written: Written) -> None:
    page = read(written.text("report.html"))
    (policy,) = [a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv")]
    assert policy is not None and policy.startswith("default-src 'none'") and "script-src" not in policy
    assert "url(http" not in written.text("report.html") and "@import" not in written.text("report.html")


def test_markdown_has_no_links_pictures_or_tags_of_others(written: Written) -> None:
    text = markdown_of(with_evil(written.report))
    assert "\x1b" not in text and "\u202e" not in text
    page = read(MarkdownIt("commonmark").enable("table").render(text))
    assert not [tag for tag, _ in page.tags if tag in ("script", "a")]
    pictures = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert pictures and all(source.startswith("figures/") for source in pictures)
    (cell, count) = page.tables["0"][0]
    assert cell.text == visible_line(EVIL) and count.text == "1"
    assert page.text.count(visible_line(EVIL)) >= 5


def test_a_spreadsheet_takes_no_text_for_a_formula() -> None:
    columns = (Column("word", "word", "text"), Column("n", "n"))
    table = Table("t", "t", columns, ({"word": "=HYPERLINK(1)", "n": -1.5}, {"word": "plain", "n": 2.0}))
    assert csv_of(table).decode() == "word,n\n'=HYPERLINK(1),-1.5\nplain,2.0\n"
    import io

    import pyarrow.parquet as pq

    assert pq.read_table(io.BytesIO(parquet_of(table)))["word"].to_pylist() == ["=HYPERLINK(1)", "plain"]


def test_telling_responses_show_marks_for_what_has_no_shape(written: Written) -> None:
    run = written.report.parts[1]
    assert run.telling and any(one.source for told in run.telling for one in told.moved)
    for told in run.telling:
        raw = told.run.response(told.label, told.prompt_id)
        assert raw is not None and "".join(piece.text for piece in told.pieces).replace("\n", " ") == visible_line(
            raw.response.replace("\n", " ")
        )
