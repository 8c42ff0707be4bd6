"""Ratings survive whatever a file and its writers go through, name no model, and can be taken back by appending."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.runs.ratings import NOTHING, Act, Choice, Did, Rated, Ratings, answer_hash, check_rater

ANSWER = answer_hash("Frank Zamboni.")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ratings.jsonl"


def rate(aspect: str, value: int, rater: str = "ada", answer: str = ANSWER) -> Act:
    return Act("rate", rater, "p", answer, aspect, value)


def test_a_rating_is_there_for_whoever_opens_the_file_next(path: Path) -> None:
    ratings = Ratings(path)
    ratings.append(rate("clarity", 4))
    ratings.append(rate("depth", 1))
    ratings.append(rate("clarity", 2))
    ratings.append(Act("note", "ada", "p", ANSWER, note="made up\n\x1b[31m"))
    found = Ratings(path).rated("ada", "p", ANSWER)
    assert (found.values, found.note, found.skipped) == ({"clarity": 2, "depth": 1}, "made up\n\x1b[31m", False)
    assert found.time > 0


def test_a_skipped_answer_has_no_values_until_it_is_rated_again(path: Path) -> None:
    ratings = Ratings(path)
    ratings.append(rate("clarity", 4))
    ratings.append(Act("skip", "ada", "p", ANSWER))
    assert ratings.rated("ada", "p", ANSWER).values == {} and ratings.rated("ada", "p", ANSWER).skipped
    ratings.append(rate("depth", 3))
    found = ratings.rated("ada", "p", ANSWER)
    assert found.values == {"depth": 3} and not found.skipped


def test_undo_takes_back_ones_own_newest_act_and_restores_what_stood(path: Path) -> None:
    ratings = Ratings(path)
    ratings.append(rate("clarity", 4))
    ratings.append(Act("skip", "ada", "p", ANSWER))
    ratings.append(rate("clarity", 1, rater="bob"))
    before = path.read_bytes()
    undone = ratings.undo("ada")
    assert undone is not None and undone.did == "skip"
    assert ratings.rated("ada", "p", ANSWER).values == {"clarity": 4}
    assert ratings.rated("bob", "p", ANSWER).values == {"clarity": 1}
    assert ratings.undo("ada") is not None and ratings.undo("ada") is None
    assert Ratings(path).rated("ada", "p", ANSWER) == NOTHING
    assert path.read_bytes().startswith(before)


def test_two_terminals_of_several_raters_see_each_other(path: Path) -> None:
    here, there = Ratings(path), Ratings(path)
    here.append(rate("clarity", 4))
    there.append(rate("clarity", 2, rater="bob"))
    assert here.refresh() and not here.refresh()
    assert here.all() == there.all() and {key[0] for key in here.all()} == {"ada", "bob"}
    there.append(rate("clarity", 5))
    undone = here.undo("ada")
    assert undone is not None and undone.value == 5
    there.refresh()
    assert there.rated("ada", "p", ANSWER).values == {"clarity": 4}


@pytest.mark.parametrize(
    "line",
    [
        b'{"v":1,"did":"rate","rater":"ada","prompt_id":"p","answer":"a","asp',
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"v":2,"did":"rate","rater":"ada","prompt_id":"p","answer":"a","aspect":"depth","value":1,"id":"x"}',
        b'{"v":1,"did":"rate","rater":7,"prompt_id":"p","answer":"a","aspect":"depth","value":1,"id":"x"}',
        b'{"v":1,"did":"rate","rater":"ada","prompt_id":"p","answer":"a","aspect":"depth","value":6,"id":"x"}',
        b'{"v":1,"did":"rate","rater":"ada","prompt_id":"p","answer":"a","aspect":"depth","value":true,"id":"x"}',
        b'{"v":1,"did":"rate","rater":"ada","prompt_id":"p","answer":"a","value":3,"id":"x"}',
        b'{"v":1,"did":"skip","rater":"ada","prompt_id":null,"answer":"a","id":"x"}',
        b'{"v":1,"did":"sing","rater":"ada","prompt_id":"p","answer":"a","id":"x"}',
        b'{"v":1,"did":"begin","rater":"ada","models":["sft"],"prompts":-1,"seed":0}',
        b'{"v":1,"did":"begin","rater":"ada","models":"sft","prompts":1,"seed":0}',
        b'{"v":1,"did":"undo","rater":"ada"}',
    ],
)
def test_lines_that_say_nothing_usable_are_passed_over(path: Path, line: bytes) -> None:
    ratings = Ratings(path)
    ratings.append(rate("clarity", 4))
    with path.open("ab") as file:
        file.write(line)
    ratings.append(rate("depth", 2))
    found = Ratings(path)
    assert found.all() == ratings.all()
    assert [key for key in found.all()] == [("ada", "p", ANSWER)]
    assert found.rated("ada", "p", ANSWER).values == {"clarity": 4, "depth": 2}
    assert found.choice("ada") is None


def test_the_choice_of_a_rater_is_remembered_and_written_once(path: Path) -> None:
    ratings = Ratings(path)
    choice = Choice(("lft", "sft"), 10, 3)
    ratings.begin("ada", choice)
    size = path.stat().st_size
    ratings.begin("ada", choice)
    assert path.stat().st_size == size
    assert Ratings(path).choice("ada") == choice and Ratings(path).choice("bob") is None
    ratings.begin("ada", Choice(("sft",)))
    assert Ratings(path).choice("ada") == Choice(("sft",))


def test_names_that_differ_in_case_alone_are_one_person(path: Path) -> None:
    ratings = Ratings(path)
    ratings.append(rate("clarity", 4, rater="Ada"))
    assert ratings.named("ada") == "Ada" and ratings.named("bob") == "bob"


def test_a_name_is_one_short_line() -> None:
    assert check_rater("  Ada L. ") == "Ada L."
    for bad in ("", " ", "x" * 41, "two\nlines", "a\x1b[31m"):
        with pytest.raises(UserError):
            check_rater(bad)


def test_what_can_not_be_written_is_told_and_does_not_count(path: Path) -> None:
    ratings = Ratings(path)
    ratings.append(rate("clarity", 4))
    before = path.read_bytes()
    with pytest.raises(UserError, match="not Unicode"):
        ratings.append(Act("note", "ada", "p", ANSWER, note="\udcff"))
    assert path.read_bytes() == before
    gone = Ratings(path.parent / "missing" / "ratings.jsonl")
    with pytest.raises(UserError, match="does not count"):
        gone.append(rate("clarity", 4))
    assert gone.all() == {}


def test_a_rating_out_of_range_is_no_rating(path: Path) -> None:
    for value in (0, 6):
        with pytest.raises(ValueError, match="no rating"):
            Ratings(path).append(rate("clarity", value))
    assert not path.exists()


def test_another_file_in_its_place_is_read_from_its_beginning(path: Path) -> None:
    ratings = Ratings(path)
    for value in (1, 2, 3):
        ratings.append(rate("clarity", value))
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    ratings.refresh()
    assert ratings.rated("ada", "p", ANSWER).values == {"clarity": 1}


ACTS = st.lists(
    st.tuples(st.sampled_from(["ada", "bob"]), st.sampled_from(["rate", "note", "skip", "undo"]), st.integers(1, 5)),
    max_size=14,
)


@settings(max_examples=40, deadline=None)
@given(acts=ACTS)
def test_any_sequence_of_acts_and_undos_stands_as_a_stack_a_rater_would(
    acts: list[tuple[str, str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ratings") / "ratings.jsonl"
    ratings = Ratings(path)
    stacks: dict[str, list[tuple[dict[str, int], str, bool]]] = {name: [({}, "", False)] for name in ("ada", "bob")}
    for rater, did, number in acts:
        values, note, skipped = stacks[rater][-1]
        if did == "undo":
            ratings.undo(rater)
            stacks[rater] = stacks[rater][:-1] or [({}, "", False)]
            continue
        kind: Did = "rate" if did == "rate" else "note" if did == "note" else "skip"
        aspect, text = ("clarity", "") if kind == "rate" else ("", str(number) if kind == "note" else "")
        ratings.append(Act(kind, rater, "p", ANSWER, aspect, number if kind == "rate" else 0, text))
        after = {
            "rate": ({**values, "clarity": number}, note, False),
            "note": (values, str(number), skipped),
            "skip": ({}, note, True),
        }[kind]
        stacks[rater].append(after)
    for found in (ratings, Ratings(path)):
        for rater, stack in stacks.items():
            stood = found.rated(rater, "p", ANSWER)
            assert (stood.values, stood.note, stood.skipped) == stack[-1]


def test_undo_after_a_torn_line_counts(path: Path) -> None:
    ratings = Ratings(path)
    ratings.append(rate("clarity", 4))
    with path.open("ab") as file:
        file.write(b'{"v":1,"did":"ra')
    ratings.undo("ada")
    atomic.append_line(path, b"{}")
    assert Ratings(path).rated("ada", "p", ANSWER) == NOTHING


def test_the_file_names_no_model(path: Path) -> None:
    Ratings(path).append(rate("clarity", 4))
    (line,) = map(orjson.loads, path.read_bytes().splitlines())
    assert set(line) == {"v", "did", "rater", "prompt_id", "answer", "aspect", "value", "id", "time"}


WRITER = """
import sys
from pathlib import Path
from itaudit.runs.ratings import Act, Ratings
ratings = Ratings(Path(sys.argv[1]))
for number in range(100_000):
    ratings.append(Act("rate", "ada", str(number), "a", "clarity", 1 + number % 5))
    print(number, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_acknowledged(path: Path) -> None:
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env={**os.environ})
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(random.randint(1, 40))]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.read().splitlines(keepends=True)
        writer.wait()
        acknowledged = [line for line in told if line.endswith(b"\n")]
        stands = Ratings(path)
        for line in acknowledged:
            number = int(line)
            expected: Rated = stands.rated("ada", str(number), "a")
            assert expected.values == {"clarity": 1 + number % 5}
