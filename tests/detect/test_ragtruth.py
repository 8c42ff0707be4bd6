"""Marks go out and come back in RAGTruth's style and in our own, and nothing is guessed on the way."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itaudit.detect.imported import detect_imported
from itaudit.detect.offsets import quoted_offsets
from itaudit.detect.ragtruth import MarksFormat, MarksReader, ReadMarks, export_rows, new_marks, parse_label_map
from itaudit.errors import UserError
from itaudit.runs.marks import LABELS, Mark, mark_line
from itaudit.runs.run import Run


def written(path: Path, *rows: Any) -> Path:
    path.write_bytes(b"".join(row if isinstance(row, bytes) else orjson.dumps(row) + b"\n" for row in rows))
    return path


def read(run: Run, tmp_path: Path, *rows: Any, model: str | None = None, **labels: str) -> ReadMarks:
    return MarksReader(run, model=model, labels=labels).read(written(tmp_path / "file.jsonl", *rows))


def zamboni(*labels: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "1472", "source_id": "zamboni", "model": "sft", "labels": list(labels), **fields}


def span(text: str | None, start: object = None, end: object = None, **fields: Any) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, "label_type": "Evident Conflict", **fields}


LUIGI = (62, 67)


def test_a_row_of_ragtruth(run: Run, tmp_path: Path) -> None:
    row = zamboni(
        span("Luigi", *LUIGI, meta="HIGH INTRO\nIt was Frank."), temperature=0.9, split="train", quality="good"
    )
    (mark,) = read(run, tmp_path, row).marks
    assert mark == Mark("sft", "zamboni", *LUIGI, "Luigi", "hallucinated", note="HIGH INTRO\nIt was Frank.")


def test_a_text_that_stands_once_is_found_whatever_its_offsets(run: Run, tmp_path: Path) -> None:
    row = zamboni(
        span("Luigi", 0, 5), span("Luigi"), span("Luigi", "58", None), span("Luigi", -3, 99_999), span("Luigi", True, 2)
    )
    found = read(run, tmp_path, row)
    assert [(mark.start, mark.end) for mark in found.marks] == [LUIGI] * 5
    assert found.refused == ()


def test_a_text_that_stands_twice_needs_its_offsets(run: Run, tmp_path: Path) -> None:
    text = run.response("sft", "zamboni").response  # type: ignore[union-attr]  # it is there
    second = text.index("Zamboni", 20)
    found = read(run, tmp_path, zamboni(span("Zamboni", second, second + 7), span("Zamboni", 1, 8)))
    assert [mark.start for mark in found.marks] == [second]
    (refused,) = found.refused
    assert (refused.row, refused.reason) == (1, "'Zamboni' stands several times in the response, and not at 1 to 8")


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (span("Frank", 0, 5), "'Frank' does not stand in the response"),
        (span(None, 0, 5_000), "0 to 5000 are no offsets"),
        (span(None), "None to None are no offsets"),
        (span("", 0, 0), "the text is empty"),
        (span(7, 0, 1), "the text of a label is no string"),
        ("Luigi", "a label is a str, not an object"),
        (span("Luigi", label_type=["x"]), "the label of a span is no string"),
        (span("Luigi", label_type=" "), "expected one line of 1 to 40"),
        (span("Luigi", by=7), "expected texts in `by`"),
        (span("Luigi", score="high"), "expected texts in `by`"),
    ],
)
def test_a_span_that_cant_be_used_is_refused_and_the_others_are_kept(
    run: Run, tmp_path: Path, label: Any, reason: str
) -> None:
    found = read(run, tmp_path, zamboni(label, span("Luigi", *LUIGI)))
    assert len(found.marks) == 1
    assert reason in found.refused[0].reason


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b'{"source_id": "zamboni", "labels": [{"sta\n', "is not JSON"),
        (b"\xff\n", "is not UTF-8"),
        (b"[]\n", "is a list, not an object"),
        (b"NaN\n", "NaN"),
        ({"model": "sft", "labels": []}, "has no prompt_id, source_id or id"),
        ({"model": "sft", "source_id": "nobody", "labels": []}, "is no prompt of the run"),
        ({"model": "gpt-4", "source_id": "zamboni", "labels": []}, "names the model 'gpt-4'; the run has base, lft"),
        ({"source_id": "zamboni", "labels": []}, "names no model"),
        ({"model": "sft", "source_id": "zamboni", "labels": "x"}, "`labels` is no list"),
    ],
)
def test_a_row_that_cant_be_used_is_refused_with_its_number(run: Run, tmp_path: Path, row: Any, reason: str) -> None:
    found = read(run, tmp_path, zamboni(), b"\n", row, zamboni(span("Luigi", *LUIGI)))
    assert len(found.marks) == 1
    (refused,) = found.refused
    assert refused.row == 3
    assert reason in refused.reason


def test_labels_are_read_as_the_user_says(run: Run, tmp_path: Path) -> None:
    labels = [
        span("Luigi"),
        span("Luigi", label_type="Subtle Baseless Info"),
        span("Luigi", label_type="odd"),
        span("Luigi", label_type="Evident Baseless Info", implicit_true=True),
        {"text": "Luigi", "label": "style"},
        {"text": "Luigi"},
    ]
    found = read(run, tmp_path, zamboni(*labels), odd="correct")
    assert [mark.label for mark in found.marks] == [
        "hallucinated",
        "unsupported",
        "correct",
        "correct",
        "style",
        "hallucinated",
    ]


def test_a_model_that_is_named_takes_rows_of_strangers_and_leaves_those_of_others(run: Run, tmp_path: Path) -> None:
    rows = [
        zamboni(span("Luigi"), model="gpt-4"),
        {"source_id": "zamboni", "model": "lft", "labels": [span("Frank")]},
    ]
    found = read(run, tmp_path, *rows, model="sft")
    assert [(mark.model, mark.text) for mark in found.marks] == [("sft", "Luigi")]
    assert found.refused == ()


def test_an_empty_file_and_a_missing_one_are_told(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no line"):
        read(run, tmp_path, b"\n \n")
    with pytest.raises(UserError, match="can't read"):
        MarksReader(run).read(tmp_path / "none.jsonl")


def test_a_marks_file_of_another_run_brings_what_stands_in_it(run: Run, tmp_path: Path) -> None:
    one, other = Mark("sft", "zamboni", *LUIGI, "Luigi"), Mark("sft", "zamboni", 0, 3, "The", "style")
    rows = [mark_line(one), mark_line(other), {**mark_line(one), "removed": True}]
    assert [mark.text for mark in read(run, tmp_path, *rows).marks] == ["The"]


@st.composite
def marks_of(draw: st.DrawFn, texts: dict[str, str]) -> list[Mark]:
    marks: dict[tuple[str, int, int], Mark] = {}
    for _ in range(draw(st.integers(0, 8))):
        prompt_id = draw(st.sampled_from([id for id, text in texts.items() if text]))
        text = texts[prompt_id]
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, min(len(text), start + 12)))
        if not text[start:end].strip():
            continue
        line = st.text(alphabet="ab é🙂語\x1b\u202e\n", max_size=6)
        marks[prompt_id, start, end] = Mark(
            "sft",
            prompt_id,
            start,
            end,
            text[start:end],
            draw(st.sampled_from([*LABELS, "made up", "語"])),
            by=draw(st.sampled_from(["ada", "語"])),
            time=draw(st.floats(1, 2e9)),
            note=draw(line),
            detector=draw(st.sampled_from(["", "judge", "reference,signal"])),
            score=draw(st.none() | st.floats(0, 1)),
        )
    return list(marks.values())


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("format", ["ragtruth", "marks"])
def test_what_is_exported_comes_back(built_run: Run, tmp_path: Path, format: MarksFormat, data: st.DataObject) -> None:
    columns = built_run.table("responses", "sft").read().to_pylist()
    marks = data.draw(marks_of({row["prompt_id"]: row["response"] for row in columns}))
    path = written(tmp_path / "out.jsonl", *export_rows(built_run, marks, format), b"\n")
    if not marks:
        assert path.read_bytes() == b"\n"
        return
    found = MarksReader(built_run).read(path)
    assert found.refused == ()
    assert sorted(found.marks, key=lambda mark: mark.key) == sorted(marks, key=lambda mark: mark.key)


def test_responses_without_a_mark_are_exported_when_asked_for(run: Run) -> None:
    rows = list(export_rows(run, [], "ragtruth", every=True))
    assert len(rows) == 21
    assert all(row["labels"] == [] for row in rows)


def test_a_mark_whose_text_is_gone_has_no_place_in_a_response(run: Run) -> None:
    gone = Mark("sft", "zamboni", 0, 5, "Frank")
    assert list(export_rows(run, [gone], "ragtruth")) == []
    assert len(list(export_rows(run, [gone], "marks"))) == 1


def test_marks_that_are_there_already_are_not_new() -> None:
    there = Mark("sft", "p", 0, 5, "Luigi", by="ada", time=3.0)
    again = Mark("sft", "p", 0, 5, "Luigi")
    assert new_marks([again], [there], by="file") == []
    assert new_marks([Mark("sft", "p", 0, 5, "Luigi", "style")], [there], by="file")[0].by == "file"


def test_label_maps() -> None:
    assert parse_label_map(["a=b=style", "Evident Conflict=made up"]) == {"a=b": "style", "Evident Conflict": "made up"}
    for bad in ("a", "=b", "a="):
        with pytest.raises(UserError):
            parse_label_map([bad])


def test_a_files_spans_are_candidates_of_the_detector_import(run: Run, tmp_path: Path) -> None:
    rows = [
        zamboni(span("Luigi", *LUIGI, meta="It was\nFrank", score=0.4), span("engineer", label_type="correct")),
        {"source_id": "coa", "model": "sft", "labels": []},
    ]
    assert detect_imported(run, "sft", read(run, tmp_path, *rows)) == 1
    found = run.detection("import", "sft", "zamboni")
    assert found is not None
    (candidate,) = found.candidates
    assert (candidate.text, candidate.score, candidate.reason) == ("Luigi", 0.4, "hallucinated: It was Frank")
    assert run.detection("import", "sft", "coa").problem == ""  # type: ignore[union-attr]  # it is there
    assert run.detection("import", "sft", "bulb").problem == "the file does not name the response"  # type: ignore[union-attr]  # it is there
    detect_imported(run, "sft", read(run, tmp_path, zamboni()))
    assert run.detection("import", "sft", "zamboni").candidates == ()  # type: ignore[union-attr]  # it is there


@settings(max_examples=200, deadline=None)
@given(response=st.text(alphabet="ab\u0301🙂", max_size=8), text=st.text(alphabet="ab\u0301🙂", max_size=3))
def test_locating_says_where_a_text_stands_or_refuses(response: str, text: str) -> None:
    places = [at for at in range(len(response)) if response.startswith(text, at)]
    try:
        start, end = quoted_offsets(response, text)
    except UserError:
        assert not text or len(places) != 1
    else:
        assert [start] == places
        assert response[start:end] == text
