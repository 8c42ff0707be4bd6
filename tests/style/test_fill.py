"""What is measured is kept, and measured anew where what it was made of changed."""

from pathlib import Path

import pytest

from itaudit.errors import UserError
from itaudit.runs.run import Run
from itaudit.style import fill
from itaudit.style.fill import DATASET, REFERENCES, fill_style, styled
from itaudit.style.kinds import KINDS
from tests.tui.make_run import INSTANCES, SFT_ANSWERS, answer, begin_run, score


def files(run: Run) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (run.path / "style").glob("*.arrow")}


def test_a_model_s_style_is_kept_and_not_measured_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_style(run, "sft")
    kept = files(run)
    assert set(kept) == {"sft.arrow", "dataset.answers.arrow", "references.answers.arrow"}
    before = styled(run, "sft")
    monkeypatch.setattr(fill, "form_of", None)
    fill_style(run, "sft")
    assert files(run) == kept
    assert [(one.prompt_id, one.form) for one in styled(run, "sft")] == [(one.prompt_id, one.form) for one in before]


def test_each_response_has_its_counts_and_a_kind_a_position(run: Run) -> None:
    found = {one.prompt_id: one for one in styled(run, "sft")}
    assert list(found) == list(SFT_ANSWERS)
    zamboni = found["zamboni"]
    assert (zamboni.form.words, zamboni.form.sentences, zamboni.form.paragraphs) == (37, 3, 2)
    # "and is not used up by it" and "that glands release into the blood" stand in the dataset's answers.
    assert found["coa"].copied == (6 + 7, 0, 0)
    for prompt_id, one in found.items():
        scores = run.token_scores("sft", prompt_id)
        assert scores is not None and one.kinds is not None and len(one.kinds) == len(scores)
    assert zamboni.kinds is not None
    assert [KINDS[kind] for kind in zamboni.kinds[:3]] == ["initiation", "content", "function"]
    assert all(one.kinds is None for one in styled(run, "base"))


def test_dataset_and_references_are_measured_like_answers(run: Run) -> None:
    assert len(styled(run, DATASET)) == len(INSTANCES)
    assert [one.prompt_id for one in styled(run, REFERENCES)] == ["zamboni", "wide"]


@pytest.mark.parametrize("change", ["recipe", "answers", "version", "torn"])
def test_what_was_made_of_something_else_is_measured_anew(
    run: Run, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_style(run, "sft")
    before = styled(run, "sft")
    if change == "recipe":
        text = run.recipe_path.read_text().replace("opening_words = 3", "opening_words = 1")
        run.recipe_path.write_text(text)
        run = Run(run.path)
        assert styled(run, "sft")[0].form.opening == before[0].form.opening.split()[0]
    elif change == "answers":
        rows = run.table("responses", "sft").read().to_pylist()
        rows[1]["response"] = "Short."
        run.table("responses", "sft").replace(rows)
        assert styled(run, "sft")[1].form.words == 1 != before[1].form.words
    else:
        path = run.path / "style" / "sft.arrow"
        if change == "version":
            monkeypatch.setattr(fill, "VERSION", fill.VERSION + 1)
        else:
            path.write_bytes(path.read_bytes()[:100])
        written = path.stat().st_mtime_ns
        assert [one.form for one in styled(run, "sft")] == [one.form for one in before]
        assert path.stat().st_mtime_ns > written


def test_a_run_that_can_t_be_written_is_told_all_the_same(run: Run) -> None:
    (run.path / "style").write_text("in the way")
    assert len(styled(run, "sft")) == len(SFT_ANSWERS)


def test_what_is_not_answered_yet_is_left_for_later(tmp_path: Path) -> None:
    run = begin_run(tmp_path)
    answer(run, "sft", {"coa": SFT_ANSWERS["coa"], "bulb": SFT_ANSWERS["bulb"]}, close=False)
    score(run, "sft", {"bulb": SFT_ANSWERS["bulb"]}, close=False)
    found = {one.prompt_id: one.kinds is not None for one in styled(run, "sft")}
    assert found == {"bulb": True, "coa": False}
    score(run, "sft", {"coa": SFT_ANSWERS["coa"]}, close=False)
    assert all(one.kinds is not None for one in styled(run, "sft"))


def test_a_stop_between_two_responses_leaves_nothing_half_done(run: Run) -> None:
    class Stopped(Exception):
        pass

    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == len(INSTANCES) + 5:
            raise Stopped

    with pytest.raises(Stopped):
        fill_style(run, "sft", check)
    assert "sft.arrow" not in files(run)
    fill_style(run, "sft")
    assert len(styled(run, "sft")) == len(SFT_ANSWERS)


def test_an_unknown_model_is_named(run: Run) -> None:
    with pytest.raises(UserError, match="no model 'dpo'; there are base, lft, sft"):
        fill_style(run, "dpo")
