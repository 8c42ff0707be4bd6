"""The causal analysis of a run directory: filled once, resumed, made up for in old runs, and told by the command."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import orjson
import pytest
import tomli_w

from itaudit.analysis.words import content_words
from itaudit.detect.flagged_causes import causes_document, flags_there, run_cause_report
from itaudit.engine.causes_stage import cause_responses
from itaudit.errors import UserError
from itaudit.runs import causes as causes_module
from itaudit.runs.causes import all_causes, fill_causes, run_causes
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run
from itaudit.summary import show_document
from tests.commands import ItauditHere


class Stopped(Exception):
    pass


def rows(run: Run, label: str = "sft") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.table("causes", label).read().to_pylist()
    return found


def test_every_content_word_of_every_response_is_looked_up(run: Run) -> None:
    fill_causes("sft", run)
    assert [row["prompt_id"] for row in rows(run)] == [prompt.id for prompt in run.prompts()]
    for causes in all_causes(run, "sft"):
        response = run.response("sft", causes.prompt_id)
        assert response is not None
        assert [(word.start, word.end, word.text) for word in causes.words] == [
            (word.start, word.end, word.text) for word in content_words(response.response)
        ]
        assert causes == run_causes(run, "sft", causes.prompt_id)
    zamboni = run_causes(run, "sft", "zamboni")
    assert zamboni is not None
    luigi = next(word for word in zamboni.words if word.text == "Luigi")
    assert luigi.rank == 41 and luigi.frequency == 1 and luigi.found
    assert zamboni.outcome(luigi, 3) == "borrowed"
    # Row 0 answers "The Italian physician and inventor Luigi Galvani …".
    assert zamboni.sources(luigi) == (0,)
    response = run.response("sft", "zamboni")
    assert response is not None
    start = response.response.index("Italian")
    phrase = zamboni.phrase(start, response.response.index("Luigi") + 5, 3)
    assert phrase is not None and [word.text for word in phrase.words] == ["Italian", "engineer", "inventor", "Luigi"]
    # Italian, engineer and inventor stand together in another answer, but not with Luigi.
    assert phrase.outcome == "borrowed" and phrase.strict_sources == ()


def test_an_interrupted_analysis_goes_on_to_the_same_rows(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Run(Path(shutil.copytree(run.path, tmp_path / "undisturbed")))
    fill_causes("sft", undisturbed)
    monkeypatch.setattr(causes_module, "PROMPTS_PER_PART", 2)
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 6:
            raise Stopped

    with pytest.raises(Stopped):
        fill_causes("sft", run, check=check)
    assert len(rows(run)) == 4 and not run.table("causes", "sft").closed
    told: list[int] = []
    fill_causes("sft", run, progress=told.append)
    assert told == [6] and run.table("causes", "sft").closed
    assert rows(run) == rows(undisturbed)


def test_the_stage_tells_what_it_does_and_does_nothing_twice(run: Run) -> None:
    class Reporter:
        def __init__(self) -> None:
            self.events: list[tuple[Any, ...]] = []

        def check(self) -> None:
            assert self.events

        def stage_started(self, stage: str, model: str, *, total: int, unit: str, done: int = 0) -> None:
            self.events.append(("started", stage, model, total, unit, done))

        def progress(self, stage: str, model: str, done: int) -> None:
            self.events.append(("progress", stage, model, done))

        def stage_done(self, stage: str, model: str) -> None:
            self.events.append(("done", stage, model))

    reporter: Any = Reporter()
    cause_responses("lft", run, reporter)
    assert reporter.events == [("started", "causes", "lft", 7, "responses", 0), ("done", "causes", "lft")]
    cause_responses("lft", run, reporter)
    assert len(reporter.events) == 2


def test_a_run_from_before_gets_its_analysis_when_it_is_asked_for(run: Run, here: ItauditHere) -> None:
    table = tomllib.loads(run.recipe_path.read_text())
    for section in ("detect", "causes"):
        table.pop(section, None)
    run.recipe_path.write_bytes(tomli_w.dumps(table).encode())
    assert "causes" not in show_document(run)["models"]["sft"]
    assert run_causes(run, "sft", "zamboni") is None
    code, out, err = here("causes", run.path, "--json")
    assert code == 0, err
    document = orjson.loads(out)
    assert set(document["models"]) == {"lft", "sft"}
    assert set(document["models"]["sft"]) == {"shifted"}
    shifted = document["models"]["sft"]["shifted"]
    assert shifted["rank"] == 3 and shifted["k"] == 25 and shifted["instances"] == 12
    assert shifted["outcomes"]["borrowed"] == shifted["trace"]["traced"] > 0
    assert 0 < shifted["trace"]["by_instances"]["expected"] < 1 < shifted["trace"]["by_instances"]["lift"]
    assert run.table("causes", "sft").closed
    assert causes_document(Run(run.path), "sft") == show_document(run)["models"]["sft"]["causes"]


def test_marks_that_cannot_be_read_are_told_and_the_rest_is_shown(run: Run, here: ItauditHere) -> None:
    run_cause_report(run, "sft", "shifted")
    before = show_document(run)
    run.marks_path.unlink(missing_ok=True)
    run.marks_path.mkdir()
    code, out, err = here("show", run.path, "--json")
    problem = f"{run.marks_path}: can't read the marks: Is a directory"
    assert code == 0 and err.strip() == problem
    document = orjson.loads(out)
    assert document.pop("problems") == [problem]
    assert document["models"]["sft"]["causes"].keys() == {"rank", "k", "shifted"}
    for told in (before, document):
        for label in ("lft", "sft"):
            told["models"][label].pop("causes", None)
    assert document == orjson.loads(orjson.dumps(before, option=orjson.OPT_SERIALIZE_NUMPY))


def test_marks_and_detectors_choose_the_words(run: Run, here: ItauditHere) -> None:
    response = run.response("sft", "zamboni")
    assert response is not None
    start = response.response.index("Luigi")
    run.mark(Mark("sft", "zamboni", start, start + 5, "Luigi"))
    assert flags_there(run, "sft") == ("shifted", "marks", "any")
    assert flags_there(run, "lft") == ("shifted",)
    report = run_cause_report(run, "sft", "marks")
    assert (report.flagged, report.to_explain, report.phrases) == (1, 1, 1)
    assert report.outcomes == {"borrowed": 1, "pretrained": 0, "unexplained": 0}
    assert report.trace.by_instances.reason == "fewer than 6 prompts"
    assert run_cause_report(run, "sft", "marks", rank=42).outcomes["pretrained"] == 1
    code, out, err = here("causes", run.path, "--model", "sft", "--flags", "marks", "--flags", "signal", "--json")
    # Nobody looked, which is not the same as nothing found.
    assert (code, out) == (1, "") and "signal has not looked at the responses of sft" in err
    here("detect", run.path, "--detector", "signal")
    code, out, _ = here("causes", run.path, "--model", "sft", "--flags", "marks", "--flags", "signal", "--json")
    assert code == 0
    found = orjson.loads(out)["models"]["sft"]
    assert list(found) == ["marks", "signal"]
    assert found["marks"]["flagged"] == 1
    assert found["signal"]["flagged"] == run_cause_report(run, "sft", "signal").flagged > 1


def test_the_table_tells_rates_and_chance(run: Run, here: ItauditHere) -> None:
    code, out, err = here("causes", run.path, "--model", "sft")
    assert code == 0, err
    assert "base rank 3 or above" in out and "borrowed" in out and "random instances of like length" in out
    strict = here("causes", run.path, "--model", "sft", "--strict", "--rank", "1")[1]
    assert "phrases that ask for an explanation" in strict and "base rank 1 or above" in strict
    assert "\x1b" not in out
    nothing = here("causes", run.path, "--model", "lft", "--rank", "100")[1]
    assert "there is nothing to trace" in nothing
    summary = here("show", run.path)[1]
    assert "stand in answers to similar" in " ".join(summary.split())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--model", "base"], 2, "no tuned model 'base'"),
        (["--model", "gone"], 2, "no tuned model 'gone'"),
        (["--flags", "gone"], 2, "gone"),
        (["--rank", "0"], 2, "rank"),
    ],
)
def test_wrong_use_is_one_line(run: Run, here: ItauditHere, arguments: list[str], code: int, told: str) -> None:
    done = here("causes", run.path, *arguments)
    assert done[0] == code and done[1] == ""
    (line,) = done[2].splitlines()
    assert told in line


def test_a_model_that_is_not_scored_is_told(run: Run) -> None:
    run.table("scores", "sft").whole.unlink()
    with pytest.raises(UserError, match="sft is not scored yet"):
        run_cause_report(run, "sft")
    with pytest.raises(UserError, match="name a tuned model"):
        run_cause_report(run, "base")


def test_a_damaged_word_index_is_made_anew(run: Run) -> None:
    fill_causes("sft", run)
    expected = [causes.phrase(0, 10_000, 3) for causes in all_causes(run, "sft")]
    (kept,) = (run.path / "causes").glob("*.words.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    causes_module._response_words.cache_clear()
    assert [causes.phrase(0, 10_000, 3) for causes in all_causes(run, "sft")] == expected
