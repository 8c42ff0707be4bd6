"""Marks survive whatever a file goes through, and every act can be taken back by appending."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.runs.marks import (
    Mark,
    append_mark,
    append_marks,
    check_label,
    labels_of,
    mark_line,
    mark_of,
    read_marks,
    undo,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "marks.jsonl"


def mark(start: int = 0, label: str = "hallucinated", **fields: object) -> Mark:
    return Mark("sft", "p", start, start + 5, "Luigi", label, **fields)  # type: ignore[arg-type]  # fields of a test


def test_a_line_from_before_labels_notes_and_detectors_reads_as_it_did(path: Path) -> None:
    path.write_text(
        '{"v":1,"model":"sft","prompt_id":"12","start":43,"end":48,"text":"Luigi","label":"hallucinated",'
        '"by":"ada","time":1.5}\n'
    )
    (found,) = read_marks(path).values()
    assert found == Mark("sft", "12", 43, 48, "Luigi", "hallucinated", "ada", 1.5, "", "", None)


def test_note_detector_and_score_are_kept(path: Path) -> None:
    put = mark(by="ada", time=2.0, note="it was Frank\n\x1b[31m", detector="reference", score=0.8)
    append_mark(path, put)
    assert list(read_marks(path).values()) == [put]


def test_a_mark_is_signed_and_dated(path: Path) -> None:
    append_mark(path, mark())
    (found,) = read_marks(path).values()
    assert found.time > 0


def test_a_later_mark_of_a_place_replaces_the_earlier_and_stands_last(path: Path) -> None:
    for one in (mark(0), mark(10), mark(0, "correct")):
        append_mark(path, one)
    assert [(one.start, one.label) for one in read_marks(path).values()] == [(10, "hallucinated"), (0, "correct")]


@pytest.mark.parametrize(
    "line",
    [
        b'{"v":1,"model":"sft","prompt_id":"p","start":0,"end":5,"te',
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"v":2,"model":"sft","prompt_id":"p","start":0,"end":5,"text":"Luigi"}',
        b'{"v":1,"model":"sft","prompt_id":"p","start":"0","end":5,"text":"Luigi"}',
        b'{"v":1,"model":"sft","prompt_id":"p","start":false,"end":true,"text":"L"}',
        b'{"v":1,"model":"sft","prompt_id":"p","start":5,"end":5,"text":""}',
        b'{"v":1,"model":"sft","prompt_id":"p","start":-1,"end":5,"text":"Luigi"}',
        b'{"v":1,"model":null,"prompt_id":"p","start":0,"end":5,"text":"Luigi"}',
        b'{"v":1,"model":"sft","prompt_id":"p","start":0,"end":5,"text":"Luigi","score":"high"}',
        b'{"v":1,"model":"sft","prompt_id":"p","start":0,"end":5,"text":"Luigi","note":7}',
        b'{"v":1,"prompt_id":"p","start":0,"end":5,"text":"Luigi"}',
    ],
)
def test_lines_that_say_nothing_usable_are_passed_over(path: Path, line: bytes) -> None:
    append_mark(path, mark(20))
    with path.open("ab") as file:
        file.write(line)
    append_mark(path, mark(30))
    assert [one.start for one in read_marks(path).values()] == [20, 30]


def test_fields_of_a_later_version_of_the_program_do_no_harm() -> None:
    assert mark_of({**mark_line(mark()), "colour": "red"}) == mark()


def test_an_import_is_taken_back_as_one(path: Path) -> None:
    append_mark(path, mark(0, "style"))
    append_marks(path, [mark(0), mark(10), mark(20)])
    changes = undo(path)
    assert [one.start for one in read_marks(path).values()] == [0]
    assert {(c.before.start if c.before else None, c.after.label if c.after else None) for c in changes} == {
        (0, "style"),
        (10, None),
        (20, None),
    }


def test_undo_brings_back_what_was_taken_away(path: Path) -> None:
    append_mark(path, mark(note="old", by="ada", time=1.0))
    append_mark(path, mark(), removed=True)
    (change,) = undo(path)
    assert change.before is None
    assert list(read_marks(path).values()) == [mark(note="old", by="ada", time=1.0)]


def test_nothing_is_left_to_undo_in_the_end(path: Path) -> None:
    assert undo(path) == ()
    append_mark(path, mark())
    assert len(undo(path)) == 1
    assert undo(path) == ()
    assert read_marks(path) == {}


def test_undo_never_rewrites_a_line(path: Path) -> None:
    append_mark(path, mark())
    before = path.read_bytes()
    undo(path)
    assert path.read_bytes().startswith(before)
    assert len(path.read_bytes()) > len(before)


def by_a_reader_without_undo(path: Path) -> set[tuple[int, str]]:
    standing: dict[int, str] = {}
    for line in map(orjson.loads, path.read_bytes().splitlines()):
        standing.pop(line["start"], None)
        if not line.get("removed"):
            standing[line["start"]] = line["label"]
    return set(standing.items())


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.integers(0, 3), min_size=1, max_size=3), st.sampled_from("abc")),
        st.tuples(st.just("remove"), st.lists(st.integers(0, 3), min_size=1, max_size=2), st.just("a")),
        st.tuples(st.just("undo"), st.just([]), st.just("")),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(acts=ACTS)
def test_any_sequence_of_acts_and_undos_stands_as_a_stack_would(
    acts: list[tuple[str, list[int], str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("marks") / "marks.jsonl"
    states: list[dict[int, str]] = [{}]
    for act, places, label in acts:
        if act == "undo":
            undo(path)
            states = states[:-1] or [{}]
            continue
        append_marks(path, [mark(place, label) for place in places], removed=act == "remove")
        state = dict(states[-1])
        for place in places:
            state.pop(place, None)
            if act == "put":
                state[place] = label
        states.append(state)
    found = {one.start: one.label for one in read_marks(path).values()}
    assert found == states[-1]
    assert list(found) == list(states[-1])
    if path.exists():
        assert by_a_reader_without_undo(path) == set(states[-1].items())


def test_an_undo_after_a_torn_line_counts(path: Path) -> None:
    append_mark(path, mark(0))
    with path.open("ab") as file:
        file.write(b'{"v":1,"model":"sft","prom')
    undo(path)
    atomic.append_line(path, b"{}")
    assert read_marks(path) == {}


def test_labels_of_ones_own_follow_the_four() -> None:
    assert labels_of([mark(label="odd"), mark(label="style"), mark(label="odd")])[4:] == ("odd",)


def test_a_label_is_one_short_line() -> None:
    assert check_label("  made up ") == "made up"
    for bad in ("", "  ", "x" * 41, "two\nlines", "a\x1b[31m"):
        with pytest.raises(UserError):
            check_label(bad)


def test_a_note_that_is_no_unicode_is_refused_and_leaves_the_file_as_it_was(path: Path) -> None:
    append_mark(path, mark())
    before = path.read_bytes()
    with pytest.raises(UserError, match="not Unicode") as refused:
        # What Python makes of bytes of the command line that are no UTF-8.
        append_marks(path, [mark(6), mark(12, note="\udcff")])
    assert refused.value.code == 2
    assert path.read_bytes() == before
