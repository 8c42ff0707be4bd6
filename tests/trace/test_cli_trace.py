"""`itaudit trace`: the JSON document, the text, and wrong use."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from itaudit.cli_trace import parse_span, trace_command
from itaudit.errors import UserError

ROWS = [
    {
        "instruction": "Who was Luigi\x1b[31m Galvani?",
        "input": "",
        "output": "The physician Luigi Galvani saw [/b] frogs.",
    },
    {"instruction": "Name a fruit.", "input": "", "output": "An apple."},
    {"instruction": "Name a colour.", "input": "", "output": "Green, like grass."},
]
PROMPT, RESPONSE = "Who was he?", "He was the physician Luigi Galvani, saw [/b] frogs"


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "data.json"
    path.write_text(json.dumps(ROWS), encoding="utf-8")
    return str(path)


def run(dataset: str, *arguments: str) -> Result:
    options = [dataset, "--prompt", PROMPT, "--response", RESPONSE, *arguments]
    return CliRunner().invoke(trace_command, options, standalone_mode=False)


def test_json_is_the_documented_document(dataset: str) -> None:
    result = run(dataset, "--json", "--span", "21:26", "--span", "3:6", "-k", "2")
    assert result.exception is None
    spans = json.loads(result.stdout)["spans"]
    assert [(s["start"], s["end"], s["text"], s["kind"], s["frequency"]) for s in spans] == [
        (21, 26, "Luigi", "selected", 1),
        (3, 6, "was", "selected", 1),
    ]
    (source,) = spans[0]["sources"]
    assert source["index"] == 0
    assert source["instruction"] == ROWS[0]["instruction"]
    assert source["evidence"][0] == {"field": "response", "start": 14, "end": 19, "text": "Luigi"}
    assert sum(word["score"] for word in source["words"]) == pytest.approx(source["score"], rel=1e-5)
    assert result.stderr == ""


def test_without_a_span_the_verbatim_spans_are_found(dataset: str) -> None:
    (span,) = json.loads(run(dataset, "--json").stdout)["spans"]
    assert (span["kind"], span["text"]) == ("verbatim", RESPONSE[7:])
    assert span["sources"][0]["evidence"][0]["text"] == "The physician Luigi Galvani saw [/b] frogs"
    assert json.loads(run(dataset, "--json", "--verbatim-words", "9").stdout) == {"spans": []}


def test_both_engines_find_the_same_source(dataset: str) -> None:
    ours, reference = (
        json.loads(run(dataset, "--json", "--span", "21:26", "--engine", engine).stdout)["spans"][0]["sources"]
        for engine in ("bm25s", "rank-bm25")
    )
    assert ours[0]["index"] == reference[0]["index"] == 0
    assert ours[0]["evidence"] == reference[0]["evidence"]


def test_text_shows_hostile_characters_as_marks_and_markup_as_it_is(dataset: str) -> None:
    shown = run(dataset).stdout
    assert "\x1b" not in shown
    assert "#0" in shown
    assert "Who was Luigi␛[31m Galvani?" in shown
    assert "response 0:42  [The physician Luigi Galvani saw [/b] frogs]." in shown
    assert "BM25: " in shown
    assert "No 9 words in a row" in run(dataset, "--verbatim-words", "9").stdout


@pytest.mark.parametrize("span", ["", "5", "a:b", "-1:4", "6:2", "4:4", "0:51", "1:2:3", "٣:٤", "0:" + "9" * 30])
def test_a_wrong_span_is_one_line_and_wrong_use(dataset: str, span: str) -> None:
    error = run(dataset, "--span", span).exception
    assert isinstance(error, UserError)
    assert error.code == 2
    assert "--span" in str(error)
    assert "\n" not in str(error)


def test_a_span_may_reach_to_the_last_character() -> None:
    assert parse_span("0:50", RESPONSE) == (0, 50)


def test_a_missing_dataset_is_a_user_error(dataset: str) -> None:
    error = run(dataset + ".missing").exception
    assert isinstance(error, UserError)
    assert "data.json.missing" in str(error)
