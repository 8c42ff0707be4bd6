"""Answers that are looked at while marks change, by this process or another."""

from pathlib import Path

from itaudit.runs.marks import Mark, append_mark
from itaudit.runs.run import Run
from itaudit.tui.stepping import Stepping
from tests.tui.make_run import SFT_ANSWERS, make_run


def luigi(label: str) -> Mark:
    start = SFT_ANSWERS["zamboni"].index("Luigi")
    return Mark("sft", "zamboni", start, start + len("Luigi"), "Luigi", label)


def stepping_at_zamboni(run: Run) -> Stepping:
    stepping = Stepping(run)
    stepping.choose_model("sft")
    stepping.prompt_id = "zamboni"
    stepping.poll()
    return stepping


def test_a_mark_of_another_process_shows_and_reads_no_table_again(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    stepping = stepping_at_zamboni(run)
    before = stepping.answer
    assert before is not None and not before.marks
    causes = stepping.explained(before).causes
    append_mark(run.marks_path, luigi("hallucinated"))
    assert stepping.poll()
    after = stepping.answer
    assert after is not None and [mark.label for mark in after.marks] == ["hallucinated"]
    assert after.scores is before.scores
    assert stepping.explained(after).causes is causes
    assert not stepping.poll()


def test_flags_and_the_shown_text_follow_the_marks(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    stepping = stepping_at_zamboni(run)
    for label, mark in (("hallucinated", "✗"), ("correct", "✓")):
        append_mark(run.marks_path, luigi(label))
        stepping.poll()
        answer = stepping.answer
        assert answer is not None and f"Luigi{mark}" in answer.shown.text
    append_mark(run.marks_path, luigi("correct"), removed=True)
    stepping.poll()
    answer = stepping.answer
    assert answer is not None and "Luigi✓" not in answer.shown.text


def test_answers_whose_marks_stay_stay_as_they_are(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    stepping = stepping_at_zamboni(run)
    other = stepping.answer_of("sft", "coa")
    append_mark(run.marks_path, luigi("style"))
    stepping.poll()
    assert stepping.answer_of("sft", "coa") is other
