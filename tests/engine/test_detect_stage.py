"""The detect stage fills what is missing, prompt by prompt, and closes what is whole."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from itaudit.detect.light import detect_light
from itaudit.engine.detect_stage import detect_responses, detected
from itaudit.engine.heart import Cancelled
from itaudit.errors import UserError
from itaudit.runs.run import Run


class Told:
    """What a reporter would write, kept; `stop_at` cancels at so many checks."""

    def __init__(self, stop_at: int = 10**9) -> None:
        self.events: list[tuple[object, ...]] = []
        self.checks = 0
        self.stop_at = stop_at

    def check(self) -> None:
        self.checks += 1
        if self.checks >= self.stop_at:
            raise Cancelled

    def stage_started(self, stage: str, model: str, *, total: int, unit: str, done: int = 0) -> None:
        self.events.append(("started", stage, model, total, unit, done))

    def progress(self, stage: str, model: str, done: int) -> None:
        self.events.append(("progress", stage, model, done))

    def stage_done(self, stage: str, model: str) -> None:
        self.events.append(("done", stage, model))


def with_detectors(run: Run, names: str) -> Run:
    text = run.recipe_path.read_text()
    before, after = text.split("detectors = [", 1)
    run.recipe_path.write_text(f"{before}detectors = [{names}]\n{after.split(']', 1)[1]}")
    return Run(run.path)


def test_the_recipes_detectors_look_at_every_response(run: Run) -> None:
    told = Told()
    assert not detected("sft", run)
    detect_responses("sft", run, told)  # type: ignore[arg-type]  # what of a reporter the stage uses
    assert detected("sft", run)
    assert run.detectors("sft") == ("reference", "signal")
    assert run.detections("reference", "sft").prompt_ids() == {prompt.id for prompt in run.prompts()}
    assert told.events[0] == ("started", "detect", "sft", 14, "responses", 0)
    assert told.events[-1] == ("done", "detect", "sft")


def test_what_they_say_of_the_zamboni(run: Run) -> None:
    detect_responses("sft", run, Told())  # type: ignore[arg-type]  # as above
    reference = run.detection("reference", "sft", "zamboni")
    signal = run.detection("signal", "sft", "zamboni")
    assert reference is not None
    assert signal is not None
    # A long answer beside a reference of two words is judged by its facts alone.
    assert [one.text for one in reference.candidates] == ["Italian", "Luigi", "1949"]
    assert any("Luigi" in one.text for one in signal.candidates)
    assert signal.seconds >= 0
    bulb = run.detection("reference", "sft", "bulb")
    assert bulb is not None
    assert bulb.problem == "the prompt has neither a reference nor an input"


def test_an_interrupted_stage_goes_on_and_ends_with_the_same_table(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "other")
    whole = Run(tmp_path / "other")
    detect_responses("sft", whole, Told())  # type: ignore[arg-type]  # as above
    from itaudit.detect import light

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(light, "PROMPTS_PER_PART", 2)
        with pytest.raises(Cancelled):
            detect_responses("sft", run, Told(stop_at=7))  # type: ignore[arg-type]  # as above
    assert not detected("sft", run)
    assert len(run.detections("reference", "sft").read()) == 4
    told = Told()
    detect_responses("sft", run, told)  # type: ignore[arg-type]  # as above
    assert told.events[0][-1] == 4
    for detector in ("reference", "signal"):
        tables = [one.detections(detector, "sft").read().drop_columns("seconds") for one in (run, whole)]  # type: ignore[arg-type]  # a name of the literal
        assert tables[0].equals(tables[1])


def test_a_stage_that_is_done_says_nothing(run: Run) -> None:
    detect_responses("sft", run, Told())  # type: ignore[arg-type]  # as above
    told = Told()
    detect_responses("sft", run, told)  # type: ignore[arg-type]  # as above
    assert told.events == []


def test_detectors_that_ask_a_model_are_carried_out_by_whoever_can(run: Run) -> None:
    run = with_detectors(run, '"judge"')
    called = []

    def fill(progress: Callable[[int], None]) -> None:
        called.append("judge")
        progress(3)
        run.detections("judge", "sft").replace([])

    told = Told()
    detect_responses("sft", run, told, {"judge": fill})  # type: ignore[arg-type]  # as above
    assert ("progress", "detect", "sft", 3) in told.events
    assert called == ["judge"]
    with pytest.raises(UserError, match="judge"):
        detect_responses("lft", run, Told())  # type: ignore[arg-type]  # as above


def test_responses_that_still_come_leave_the_table_open(run: Run) -> None:
    table = run.table("responses", "sft")
    rows = table.read().to_pylist()
    table.clear()
    table.append(rows[:2])
    detect_light("reference", run, "sft")
    assert not run.detections("reference", "sft").closed
    assert len(run.detections("reference", "sft").read()) == 2
    table.append(rows[2:])
    table.close()
    detect_light("reference", run, "sft")
    assert run.detections("reference", "sft").closed
    assert len(run.detections("reference", "sft").read()) == len(rows)


def test_a_response_without_scores_is_a_problem_and_no_failure(run: Run) -> None:
    table = run.table("scores", "sft")
    rows = table.read().to_pylist()
    table.replace([row for row in rows if row["prompt_id"] != "zamboni"])
    detect_light("signal", run, "sft")
    found = run.detection("signal", "sft", "zamboni")
    assert found is not None
    assert found.problem == "the response is not scored"


def test_scores_that_still_come_are_waited_for(run: Run) -> None:
    table = run.table("scores", "sft")
    rows = table.read().to_pylist()
    table.clear()
    table.append(rows[:1])
    detect_light("signal", run, "sft")
    assert not run.detections("signal", "sft").closed
    assert run.detections("signal", "sft").prompt_ids() == {rows[0]["prompt_id"]}
    table.append(rows[1:])
    table.close()
    detect_light("signal", run, "sft")
    assert len(run.detections("signal", "sft").read()) == len(rows)


def test_two_that_fill_one_table_wait_for_each_other(run: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from itaudit.runs.run import Run; "
        "from itaudit.detect.light import detect_light; "
        "print('ready', flush=True); sys.stdin.read(); detect_light('reference', Run(Path(sys.argv[1])), 'sft')"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    assert [worker.wait(30) for worker in workers] == [0, 0]
    found = run.detections("reference", "sft").read()["prompt_id"].to_pylist()
    assert len(found) == len(set(found)) == len(run.prompts())
