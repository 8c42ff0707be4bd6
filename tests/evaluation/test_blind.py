"""Who rates sees answers in an order that says nothing of the models, and goes on where they stopped."""

from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest

from itaudit.errors import UserError
from itaudit.evaluation.aspects import ASPECTS
from itaudit.evaluation.blind import BlindAnswer, BlindRating, blind_answers, choose
from itaudit.runs.ratings import Choice, Ratings
from itaudit.runs.run import Run
from tests.evaluation.rated_run import many, rated_run, response

LABELS = ("base", "lft", "sft")
ALL = Choice(LABELS)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return rated_run(tmp_path, many(6, *LABELS))


def rating(run: Run, rater: str = "ada", choice: Choice = ALL) -> BlindRating:
    return BlindRating(run, Ratings(run.ratings_path), rater, choice)


def seen(run: Run, rater: str, choice: Choice = ALL) -> list[tuple[str, str]]:
    return [(answer.prompt.id, answer.text) for answer in blind_answers(run, rater, choice)]


def test_every_answer_is_seen_once_and_prompts_stay_together(run: Run) -> None:
    answers = blind_answers(run, "ada", ALL)
    assert len({(answer.prompt.id, answer.text) for answer in answers}) == len(answers) == 18
    assert [answer.number for answer in answers] == [1, 2, 3] * 6 and {answer.of for answer in answers} == {3}
    prompts = [answer.prompt.id for answer in answers]
    assert all(len(set(prompts[start : start + 3])) == 1 for start in range(0, 18, 3))


def test_the_order_is_the_same_each_time_and_each_raters_own(run: Run) -> None:
    assert seen(run, "ada") == seen(Run(run.path), "ada")
    assert seen(run, "ada") != seen(run, "bob")
    assert seen(run, "ada") != seen(run, "ada", Choice(LABELS, seed=1))
    # The models may be named in any order.
    assert seen(run, "ada") == seen(run, "ada", Choice(LABELS[::-1]))


def test_prompts_come_to_all_raters_in_one_order_and_fewer_are_the_first_of_more(run: Run) -> None:
    def prompts(rater: str, number: int, seed: int = 0) -> list[str]:
        return list(dict.fromkeys(one for one, _ in seen(run, rater, Choice(LABELS, number, seed))))

    whole = prompts("ada", 0)
    assert whole == prompts("bob", 0) and prompts("carl", 3) == whole[:3] and prompts("ada", 99) == whole
    assert whole != sorted(whole) and prompts("ada", 0, seed=1) != whole


def test_each_model_comes_first_as_often_as_the_others(run: Run) -> None:
    first = Counter(
        answer.text.split()[0]
        for rater in range(100)
        for answer in blind_answers(run, f"rater {rater}", ALL)
        if answer.number == 1
    )
    # 600 draws: 200 each, with a standard deviation of 11.5.
    assert set(first) == {"esab", "tfl", "tfs"} and all(150 < count < 250 for count in first.values())


def test_what_a_rater_sees_holds_no_label() -> None:
    assert {field.name for field in fields(BlindAnswer)} == {"prompt", "text", "answer", "number", "of"}


def test_answers_with_the_same_text_are_one(tmp_path: Path) -> None:
    same = {"base": {"p": "Yes."}, "lft": {"p": "Yes."}, "sft": {"p": "No."}}
    answers = blind_answers(rated_run(tmp_path, same), "ada", ALL)
    assert sorted(answer.text for answer in answers) == ["No.", "Yes."] and {answer.of for answer in answers} == {2}


def test_prompts_that_not_all_have_answered_wait(tmp_path: Path) -> None:
    run = rated_run(tmp_path, {"base": {"a": "x", "b": "y"}, "lft": {"a": "z"}})
    assert {one for one, _ in seen(run, "ada", Choice(("base", "lft")))} == {"a"}
    assert len(seen(run, "ada", Choice(("base",)))) == 2
    table = Run(run.path).table("responses", "lft")
    assert table.prompt_ids() == {"a"}
    none = rated_run(tmp_path, {"base": {"a": "x"}, "lft": {}}, "none")
    with pytest.raises(UserError, match="no prompt is answered by all of base, lft yet"):
        seen(none, "ada", Choice(("base", "lft")))
    none.table("responses", "lft").append([response(0, "a", "late")])


def test_ratings_go_aspect_by_aspect_then_to_the_next_open_answer(run: Run) -> None:
    here = rating(run)
    first = here.answer
    assert [here.rate(value) for value in (4, 3, 2, 5)] == [False] * 4
    assert here.answer == first and ASPECTS[here.aspect] == "engagement"
    assert here.rate(1)
    assert here.answer != first and here.aspect == 0
    assert Ratings(run.ratings_path).rated("ada", first.prompt.id, first.answer).values == dict(
        zip(ASPECTS, (4, 3, 2, 5, 1), strict=True)
    )
    count = here.count()
    assert (count.rated, count.skipped, count.answers, count.left) == (1, 0, 18, 17)


def test_a_rater_comes_back_to_where_they_stopped(run: Run) -> None:
    here = rating(run)
    for value in (1, 2, 3, 4, 5, 5, 4):
        here.rate(value)
    again = rating(Run(run.path))
    assert (again.answer, again.aspect, again.rated.values) == (here.answer, 2, here.rated.values)
    assert rating(run, "bob").count().rated == 0


def test_an_aspect_that_was_left_out_is_come_back_to(run: Run) -> None:
    here = rating(run)
    here.go_aspect(2)
    for value in (3, 3, 3):
        assert not here.rate(value)
    assert here.aspect == 0
    assert not here.rate(1) and here.aspect == 1 and here.rate(2)


def test_going_back_to_change_a_rating_stays_there(run: Run) -> None:
    here = rating(run)
    first = here.answer
    for value in (1, 1, 1, 1, 1):
        here.rate(value)
    assert here.go(-1) and here.answer == first and not here.go(-1)
    assert not here.rate(5) and here.answer == first and here.aspect == 1
    here.go_aspect(9)
    assert not here.rate(4) and here.aspect == 4
    assert here.rated.values == {**dict.fromkeys(ASPECTS, 1), "helpfulness": 5, "engagement": 4}
    assert here.go_open(1) and here.answer != first


def test_skipped_answers_are_passed_over_until_they_are_rated(run: Run) -> None:
    here = rating(run)
    first = here.answer
    assert here.skip() and here.count().skipped == 1 and here.answer != first
    assert rating(run).answer == here.answer
    here.go(-1)
    assert here.rated.skipped
    here.rate(3)
    assert not here.rated.skipped and here.count().skipped == 0 and here.answer == first


def test_undo_goes_to_what_it_takes_back(run: Run) -> None:
    here = rating(run)
    first = here.answer
    for value in (1, 2, 3, 4, 5):
        here.rate(value)
    here.skip()
    undone = here.undo()
    assert undone is not None and undone.did == "skip" and here.count().skipped == 0
    undone = here.undo()
    assert undone is not None and (undone.aspect, undone.value) == ("engagement", 5)
    assert here.answer == first and ASPECTS[here.aspect] == "engagement" and "engagement" not in here.rated.values
    for _ in range(4):
        assert here.undo() is not None
    assert here.undo() is None and here.rated.values == {}


def test_undo_of_an_answer_that_is_not_among_these_stays_here(run: Run) -> None:
    here = rating(run)
    here.rate(1)
    other = rating(run, choice=Choice(tuple(label for label in LABELS if here.answer.text[0] != label[-1])))
    place = other.place
    undone = other.undo()
    assert undone is not None and undone.answer == here.answer.answer and other.place == place


def test_when_all_is_rated_it_is_done_and_stays(run: Run) -> None:
    here = rating(run, choice=Choice(("sft",), 2))
    for _ in range(9):
        here.rate(3)
    assert not here.done
    assert not here.rate(3) and here.done and not here.go_open(1)
    assert rating(run, choice=here.choice).done


def test_notes_are_kept_and_written_once(run: Run) -> None:
    here = rating(run)
    here.note("made up")
    size = run.ratings_path.stat().st_size
    here.note("made up")
    assert run.ratings_path.stat().st_size == size and rating(run).rated.note == "made up"
    here.note("")
    assert rating(run).rated.note == ""


def test_who_is_new_is_asked_what_the_others_were_and_who_comes_back_what_they_were(run: Run) -> None:
    ratings = Ratings(run.ratings_path)
    assert choose(run, ratings, "ada") == Choice(LABELS)
    chosen = choose(run, ratings, "ada", models=["sft", "lft"], prompts=4, seed=7)
    assert chosen == Choice(("sft", "lft"), 4, 7)
    ratings.begin("ada", chosen)
    assert choose(run, ratings, "bob") == chosen
    ratings.begin("bob", choose(run, ratings, "bob", prompts=2))
    assert choose(run, ratings, "ada") == chosen and choose(run, ratings, "bob").prompts == 2
    with pytest.raises(UserError, match="no model 'nope'"):
        choose(run, ratings, "ada", models=["nope"])
