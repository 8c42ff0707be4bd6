"""`itaudit detect` and `itaudit marks`: documents on stdout, one-line errors on stderr."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit.runs.detections import Detection, detection_row
from itaudit.runs.run import Run
from tests.commands import ItauditHere


def document(done: tuple[int, str, str]) -> Any:
    code, out, err = done
    assert code == 0, err
    return orjson.loads(out)


def one_line_error(done: tuple[int, str, str], code: int) -> str:
    assert done[0] == code
    assert done[1] == ""
    (line,) = done[2].splitlines()
    return line


def test_detect_tells_of_every_model_and_detector(here: ItauditHere, run: Run) -> None:
    found = document(here("detect", run.path, "--json"))
    assert list(found["models"]) == ["lft", "sft"]
    sft = found["models"]["sft"]
    assert list(sft["detectors"]) == ["reference", "signal"]
    reference = sft["detectors"]["reference"]
    assert reference["problems"] == {"the prompt has neither a reference nor an input": 5}
    assert reference["responses"] == 2
    assert reference["candidates"] > 2
    assert 0 < reference["flagged_words"] <= 1
    assert 0 < reference["flagged_characters"] <= 1
    assert sft["agreement"]["raters"] == ["reference", "signal"]
    assert [pair["raters"] for pair in sft["agreement"]["pairs"]] == [["reference", "signal"]]


def test_detect_takes_one_model_and_one_detector(here: ItauditHere, run: Run) -> None:
    found = document(here("detect", run.path, "--model", "sft", "--detector", "signal", "--json"))
    assert list(found["models"]) == ["sft"]
    assert list(found["models"]["sft"]["detectors"]) == ["signal"]
    assert found["models"]["sft"]["agreement"] is None
    assert run.detectors("lft") == ()


def test_marks_are_a_rater_where_there_are_some(here: ItauditHere, run: Run) -> None:
    here("marks", "add", run.path, "--model", "sft", "--prompt", "zamboni", "--span", "62:67")
    found = document(here("detect", run.path, "--model", "sft", "--detector", "reference", "--json"))
    agreement = found["models"]["sft"]["agreement"]
    assert agreement["raters"] == ["reference", "marks"]
    assert agreement["pairs"][0]["both"] == 1
    # The person looked at one response only.
    assert agreement["words"] < found["models"]["sft"]["words"]


def test_detect_again_replaces_what_was_there(here: ItauditHere, run: Run) -> None:
    here("detect", run.path)
    run.detections("reference", "sft").replace([])
    assert document(here("detect", run.path, "--json"))["models"]["sft"]["detectors"]["reference"]["candidates"] == 0
    again = document(here("detect", run.path, "--again", "--json"))
    assert again["models"]["sft"]["detectors"]["reference"]["candidates"] > 0


def test_judging_anew_as_it_makes_no_sense_takes_nothing_away(here: ItauditHere, run: Run) -> None:
    table = run.detections("judge", "sft")
    table.append([detection_row(0, Detection("zamboni", (), "made up"))])
    done = here("detect", run.path, "--detector", "judge", "--model", "sft", "--again", "--engine", "endpoint")
    assert "endpoint.base_url: required, and missing" in one_line_error(done, 2)
    assert len(table.read()) == 1


def test_a_file_becomes_candidates(here: ItauditHere, run: Run, tmp_path: Path) -> None:
    row = {
        "source_id": "zamboni",
        "model": "sft",
        "labels": [{"text": "Luigi", "label_type": "made up"}, {"text": "?"}],
    }
    file = tmp_path / "spans.jsonl"
    file.write_bytes(orjson.dumps(row))
    arguments = ("detect", run.path, "--detector", "import", "--file", file, "--label-map", "made up=hallucinated")
    found = document(here(*arguments, "--json"))
    assert found["models"]["sft"]["detectors"]["import"]["candidates"] == 1
    assert found["refused"] == [{"row": 1, "reason": "'?' does not stand in the response"}]
    code, out, err = here(*arguments)
    assert (code, err) == (0, "row 1: '?' does not stand in the response\n")
    assert "import" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "gpt-4"], "no tuned model 'gpt-4'; there are lft, sft"),
        (["--model", "base"], "no tuned model 'base'"),
        (["--detector", "import"], "belong together"),
        (["--file", "x.jsonl"], "belong together"),
        (["--detector", "oracle"], "oracle"),
    ],
)
def test_detect_refuses_what_makes_no_sense(here: ItauditHere, run: Run, arguments: list[str], told: str) -> None:
    assert told in one_line_error(here("detect", run.path, *arguments), 2)


def test_a_file_of_which_nothing_can_be_used_changes_nothing(here: ItauditHere, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "spans.jsonl"
    file.write_text("{torn")
    line = one_line_error(here("detect", run.path, "--detector", "import", "--file", file), 1)
    assert "nothing to import: row 1:" in line
    assert run.detectors("sft") == ()
    assert "nothing to import: row 1:" in one_line_error(here("marks", "import", run.path, file), 1)


def test_detect_needs_responses(here: ItauditHere, run: Run) -> None:
    for label in ("lft", "sft"):
        run.table("responses", label).clear()
    assert "no responses to look at yet" in one_line_error(here("detect", run.path), 1)


def test_marks_are_set_listed_and_taken_back(here: ItauditHere, run: Run) -> None:
    place = ("--model", "sft", "--prompt", "zamboni", "--span", "62:67")
    made = document(here("marks", "add", run.path, *place, "--label", "made up", "--note", "it was Frank", "--json"))
    assert (made["text"], made["label"], made["note"]) == ("Luigi", "made up", "it was Frank")
    (listed,) = document(here("marks", run.path, "--json"))
    assert (listed["text"], listed["stands"]) == ("Luigi", True)
    assert "Luigi" in here("marks", "list", run.path)[1]
    assert here("marks", "remove", run.path, *place)[0] == 0
    assert document(here("marks", "list", run.path, "--json")) == []
    assert "no mark -> made up: Luigi" in here("marks", "undo", run.path)[1]
    assert here("marks", "undo", run.path)[0] == 0
    assert "nothing to undo" in one_line_error(here("marks", "undo", run.path), 1)


def test_marks_of_hostile_text_are_shown_harmless(here: ItauditHere, run: Run) -> None:
    here("marks", "add", run.path, "--model", "sft", "--prompt", "hostile", "--span", "0:12")
    for arguments in (("marks", run.path), ("marks", "undo", run.path)):
        out = here(*arguments)[1]
        assert "\x1b" not in out
        assert "␛[31mBoo" in out


def test_flags_bring_candidates_and_marks_together(here: ItauditHere, run: Run) -> None:
    here("detect", run.path)
    place = ("--model", "sft", "--prompt", "zamboni")
    here("marks", "add", run.path, *place, "--span", "62:67", "--note", "it was Frank")
    found = document(here("marks", "flags", run.path, *place, "--json"))
    luigi = next(flag for flag in found if flag["text"] == "Luigi")
    assert (luigi["state"], luigi["label"], luigi["scores"]["reference"]) == ("confirmed", "hallucinated", 0.8)
    assert {flag["state"] for flag in found} == {"candidate", "confirmed"}
    candidates = document(here("marks", "flags", run.path, "--state", "candidate", "--json"))
    assert {flag["model"] for flag in candidates} == {"lft", "sft"}
    code, out, _ = here("marks", "flags", run.path)
    assert code == 0
    assert "\x1b" not in out
    assert "no prompt 'nobody'" in one_line_error(here("marks", "flags", run.path, "--prompt", "nobody"), 2)


def test_marks_go_out_and_come_back_as_one_act(here: ItauditHere, run: Run, tmp_path: Path) -> None:
    for span in ("62:67", "44:52"):
        here("marks", "add", run.path, "--model", "sft", "--prompt", "zamboni", "--span", span)
    file = tmp_path / "marks.jsonl"
    assert here("marks", "export", run.path, "--out", file)[0] == 0
    assert "exists already" in one_line_error(here("marks", "export", run.path, "--out", file), 2)
    before = document(here("marks", run.path, "--json"))
    run.marks_path.unlink()
    told = document(here("marks", "import", run.path, file, "--json"))
    assert told == {"imported": 2, "already_there": 0, "refused": []}
    assert document(here("marks", run.path, "--json")) == before
    assert document(here("marks", "import", run.path, file, "--json"))["already_there"] == 2
    here("marks", "undo", run.path)
    assert document(here("marks", run.path, "--json")) == []


def test_the_export_goes_to_stdout_without_out(here: ItauditHere, run: Run) -> None:
    here("marks", "add", run.path, "--model", "sft", "--prompt", "zamboni", "--span", "62:67")
    (row,) = here("marks", "export", run.path)[1].splitlines()
    assert orjson.loads(row)["labels"][0]["label_type"] == "hallucinated"
    (line,) = here("marks", "export", run.path, "--format", "marks")[1].splitlines()
    assert orjson.loads(line)["text"] == "Luigi"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "--model", "sft", "--prompt", "zamboni", "--span", "9:5000"], "--span 9:5000"),
        (["add", "--model", "sft", "--prompt", "nobody", "--span", "0:3"], "no prompt 'nobody'"),
        (["add", "--model", "gpt-4", "--prompt", "zamboni", "--span", "0:3"], "no model 'gpt-4'"),
        (["add", "--model", "sft", "--prompt", "zamboni", "--span", "0:3", "--label", ""], "label ''"),
        (["remove", "--model", "sft", "--prompt", "zamboni", "--span", "0:3"], "no mark at 0:3"),
        (["import", "x", "--label-map", "odd"], "--label-map 'odd'"),
        (["import", "x", "--model", "gpt-4"], "no model 'gpt-4'"),
    ],
)
def test_marks_refuse_what_makes_no_sense(here: ItauditHere, run: Run, arguments: list[str], told: str) -> None:
    verb, *rest = arguments
    assert told in one_line_error(here("marks", verb, run.path, *rest), 2)
