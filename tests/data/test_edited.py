"""A dataset with its edits: against a plain model, with sources that change, and as the dataset it makes."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from itaudit.data.edited import Change, EditedDataset
from itaudit.data.edited_rows import row_values
from itaudit.data.instance import Message
from itaudit.data.load import load
from itaudit.data.versions import open_edited
from itaudit.errors import UserError

Lines = Callable[[list[Any]], Path]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["\x1b[31m", "\u2028", "a\r\nb"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "instruction": TEXT.map(lambda text: f"ask {text}"),
    "input": TEXT,
    "response": TEXT,
    "deleted": st.booleans(),
    "tags": st.lists(TEXT, max_size=2),
    "note": TEXT,
    "history": st.lists(st.fixed_dictionaries({"role": st.just("system"), "content": TEXT}), max_size=1),
}
CHANGES = st.sampled_from(sorted(FIELDS)).flatmap(lambda name: FIELDS[name].map(lambda value: {name: value}))
PLACES = st.integers(0, 3)


class Workbenches(RuleBasedStateMachine):
    """Two workbenches on one dataset, restarted at will, against a stack of values for each instance."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "source.jsonl"
        rows = [{"instruction": f"ask {n}", "input": "", "output": f"answer {n}"} for n in range(4)]
        self.path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        self.benches = [open_edited(self.path), open_edited(self.path)]
        self.done: list[list[dict[str, Any]]] = [[row_values(self.benches[0].row(place))] for place in range(4)]
        self.undone: list[list[dict[str, Any]]] = [[], [], [], []]

    def bench(self, which: bool) -> EditedDataset:
        self.benches[which].refresh()
        return self.benches[which]

    @rule(which=st.booleans(), place=PLACES, changes=CHANGES)
    def edit(self, which: bool, place: int, changes: dict[str, Any]) -> None:
        now = self.done[place][-1]
        made = self.bench(which).edit(place, changes, by="hand")
        assert (made is None) == (now | changes == now)
        if made is not None:
            self.done[place].append(now | changes)
            self.undone[place] = []

    @rule(which=st.booleans(), place=PLACES)
    def undo(self, which: bool, place: int) -> None:
        made = self.bench(which).undo(place)
        assert (made is None) == (len(self.done[place]) == 1)
        if made is not None:
            self.undone[place].append(self.done[place].pop())

    @rule(which=st.booleans(), place=PLACES)
    def redo(self, which: bool, place: int) -> None:
        made = self.bench(which).redo(place)
        assert (made is None) == (not self.undone[place])
        if made is not None:
            self.done[place].append(self.undone[place].pop())

    @rule(which=st.booleans())
    def restart(self, which: bool) -> None:
        self.benches[which] = open_edited(self.path)

    @rule(place=PLACES, changes=CHANGES)
    def edit_what_the_other_changed(self, place: int, changes: dict[str, Any]) -> None:
        """A workbench that did not look since must not write over what the other did."""
        self.bench(False), self.bench(True)
        if self.benches[0].edit(place, {"note": f"{self.done[place][-1]['note']}+"}, by="hand") is not None:
            self.done[place].append(self.done[place][-1] | {"note": f"{self.done[place][-1]['note']}+"})
            self.undone[place] = []
        for act in (lambda: self.benches[1].edit(place, changes, by="hand"),):
            with pytest.raises(UserError, match="another workbench"):
                act()
        assert self.benches[1].refresh() == {place}

    @invariant()
    def both_show_what_the_model_says(self) -> None:
        for bench in getattr(self, "benches", []):
            bench.refresh()
            assert [row_values(bench.row(place)) for place in range(4)] == [values[-1] for values in self.done]
            assert bench.conflicts() == []

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()


Workbenches.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestWorkbenches = Workbenches.TestCase


ALPACA = [{"instruction": f"ask {n}", "input": "", "output": f"answer {n}", "topic": n} for n in range(5)]


def test_edits_of_many_are_made_together_or_not_at_all(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    made = edited.edit_all([Change(n, {"response": "x"}, "extractive") for n in (0, 1, 1)])
    assert [edit is not None for edit in made] == [True, True, False]
    other = open_edited(edited.source.path)
    other.edit(2, {"response": "other"}, by="hand")
    with pytest.raises(UserError, match="row 2: was changed by another workbench"):
        edited.edit_all([Change(n, {"response": "y"}, "extractive") for n in (3, 2)])
    assert edited[3].response == "answer 3"
    assert edited.refresh() == {2}


def test_undo_does_not_take_back_what_another_workbench_did_unseen(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    other = open_edited(edited.source.path)
    edited.edit(0, {"response": "mine"}, by="hand")
    other.refresh()
    other.edit(0, {"response": "theirs"}, by="hand")
    with pytest.raises(UserError, match="another workbench"):
        edited.undo(0)
    assert edited[0].response == "theirs"


def test_a_proposal_is_accepted_once(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    edited.edit(0, {"response": "x"}, by="extractive", proposal="batch/1")
    with pytest.raises(UserError, match="accepted already"):
        open_edited(edited.source.path).edit(0, {"response": "y"}, by="extractive", proposal="batch/1")


@pytest.mark.parametrize("changes", [{"nix": "a"}, {"response": 7}, {"tags": "a"}, {"later": [{"role": "user"}]}])
def test_what_no_field_holds_is_the_programs_fault(json_lines: Lines, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        open_edited(json_lines(ALPACA)).edit(0, changes, by="hand")


@pytest.mark.parametrize(("text", "told"), [(" \n", "can't be empty"), ("\ud800", "surrogate")])
def test_text_that_could_not_be_read_back_is_refused(json_lines: Lines, text: str, told: str) -> None:
    edited = open_edited(json_lines(ALPACA))
    with pytest.raises(UserError, match=told):
        edited.edit(0, {"instruction": text}, by="hand")
    assert not edited.overlay.path.exists()


def changed_source(json_lines: Lines) -> EditedDataset:
    """Edits of rows 0 and 4; then row 0 says something else, and row 4 is gone."""
    edited = open_edited(json_lines(ALPACA))
    edited.edit(0, {"response": "short"}, by="extractive", proposal="b/1", checks={"passes": True})
    edited.edit(0, {"tags": ["x"]}, by="hand")
    edited.edit(4, {"response": "short"}, by="hand")
    rows = [dict(row) for row in ALPACA[:4]]
    rows[0]["output"] = "another answer"
    return open_edited(json_lines(rows))


def test_edits_of_what_the_source_no_longer_says_are_listed_and_not_applied(json_lines: Lines) -> None:
    edited = changed_source(json_lines)
    assert [(c.edit.id, c.reason) for c in edited.conflicts()] == [
        ("0", "the source changed since"),
        ("0", "the source changed since"),
        ("4", "the source no longer holds this instance"),
    ]
    assert edited.dataset() is edited.source


def test_an_edit_in_conflict_can_be_made_anew_or_dropped(json_lines: Lines) -> None:
    edited = changed_source(json_lines)
    first, second, gone = edited.conflicts()
    with pytest.raises(UserError, match="drop the edit"):
        edited.reapply(gone)
    edited.drop(gone)
    made = edited.reapply(first)
    assert made is not None
    assert (made.by, made.proposal, made.checks, made.replaces) == (
        "extractive",
        "b/1",
        {"passes": True},
        first.edit.edit,
    )
    assert (made.before, made.after) == ({"response": "another answer"}, {"response": "short"})
    assert edited[0].response == "short"
    for act in (edited.reapply, edited.drop):
        with pytest.raises(UserError, match="settled already"):
            act(first)
    edited.drop(second)
    fresh = open_edited(edited.source.path)
    assert (fresh.conflicts(), fresh[0].response, fresh.row(0).tags) == ([], "short", ())
    assert fresh.redo(0) == second.edit
    assert [c.edit for c in fresh.conflicts()] == [second.edit]


def test_an_edit_of_an_instance_that_moved_is_made_anew_where_it_stands(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    edited.edit(4, {"response": "short"}, by="hand")
    edited.edit(4, {"tags": ["x"]}, by="hand")
    edited.edit(0, {"response": "brief"}, by="hand")
    new = {"instruction": "put in above", "input": "", "output": "the others", "topic": 0}
    again = open_edited(json_lines([new, new, *ALPACA[:4], ALPACA[4]]))
    conflicts = {next(iter(c.edit.after.values())): c for c in again.conflicts() if "response" in c.edit.after}
    tags = next(c for c in again.conflicts() if "tags" in c.edit.after)
    made = again.reapply(conflicts["short"])
    assert made is not None
    assert (made.id, made.replaces) == ("6", conflicts["short"].edit.edit)
    again.reapply(tags)
    again.reapply(conflicts["brief"])
    for bench in (again, open_edited(again.source.path)):
        assert bench.conflicts() == []
        responses = ["the others", "the others", "brief", "answer 1", "answer 2", "answer 3", "short"]
        assert [bench[n].response for n in range(7)] == responses
        assert bench.row(6).tags == ("x",)


def test_an_edit_of_an_instance_that_is_gone_finds_it_elsewhere(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    edited.edit(4, {"response": "short"}, by="hand")
    again = open_edited(json_lines([ALPACA[4]]))
    (conflict,) = again.conflicts()
    again.reapply(conflict)
    assert ([i.response for i in again.dataset()], again.conflicts()) == (["short"], [])


def test_reapplying_what_the_source_says_by_now_drops_the_edit(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    edited.edit(0, {"response": "short"}, by="hand")
    again = open_edited(json_lines([ALPACA[0] | {"output": "short"}]))
    (conflict,) = again.conflicts()
    assert again.reapply(conflict) is None
    assert again.conflicts() == []


def test_edited_rows_are_found_while_the_dataset_grows(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    edited.edit(3, {"response": "x"}, by="hand")
    whole = load(edited.source.path)
    growing = EditedDataset(whole[:2], edited.overlay)
    assert growing.conflicts()[0].edit.id == "3"
    assert growing.grow(whole) == {3}
    assert (growing.conflicts(), growing[3].response) == ([], "x")


def test_the_new_response_is_the_first_accepted_answer(json_lines: Lines) -> None:
    row = {"instruction": "a", "input": "", "output": "b", "references": ["c", "b", "d"]}
    edited = open_edited(json_lines([row]))
    edited.edit(0, {"response": "new"}, by="hand")
    assert edited[0].references == edited.dataset()[0].references == ("new", "c", "d")
    edited.edit(0, {"response": "d"}, by="hand")
    assert edited[0].references == ("d", "c")
    edited.undo(0), edited.undo(0)
    assert edited.dataset()[0].references == ("c", "b", "d")


def test_the_dataset_that_edits_make_has_a_hash_of_its_own(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    edited.edit(0, {"tags": ["x"], "note": "y"}, by="hand")
    assert edited.dataset().sha256 == edited.source.sha256
    edited.edit(0, {"response": "x"}, by="hand")
    edited.edit(1, {"deleted": True}, by="hand")
    first = edited.dataset()
    assert len({first.sha256, edited.source.sha256, edited.dataset(entries=2).sha256}) == 3
    assert open_edited(edited.source.path).dataset().sha256 == first.sha256
    assert [i.index for i in first] == [0, 2, 3, 4]
    edited.undo(1), edited.undo(0)
    assert edited.dataset().sha256 == edited.source.sha256


def test_many_edits_leave_every_other_row_as_it_was(json_lines: Lines) -> None:
    edited = open_edited(json_lines([{"instruction": f"ask {n}", "output": "a", "n": n} for n in range(10_000)]))
    made = {n: f"new {n}" for n in range(0, 10_000, 7)}
    edited.edit_all([Change(n, {"response": text}, "hand") for n, text in made.items()])
    edited.edit_all([Change(n, {"deleted": True}, "hand") for n in range(3, 10_000, 1111)])
    left = [n for n in range(10_000) if (n - 3) % 1111]
    dataset = edited.dataset()
    assert [i.index for i in dataset] == left
    assert [i.response for i in dataset] == [made.get(n, "a") for n in left]
    assert [i.extra["n"] for i in dataset] == left


def test_what_is_said_beside_messages_stays_with_them(json_lines: Lines) -> None:
    turns = [
        {"from": "system", "value": "be brief", "weight": 0},
        {"from": "human", "value": "q1", "n": 1},
        {"from": "chatgpt", "value": "a1", "n": 2},
        {"from": "human", "value": "q2", "n": 3},
        {"from": "chatgpt", "value": "a2", "n": 4},
    ]
    edited = open_edited(json_lines([{"conversations": turns}]))
    history = [{"role": m.role, "content": m.content} for m in edited[0].history]
    # The system message goes, the first answer becomes the user's, the response is another.
    changed = [history[1], history[2] | {"role": "user"}]
    edited.edit(0, {"history": changed, "response": "short"}, by="hand")
    dataset = edited.dataset()
    assert dataset[0].history == (Message("user", "q1"), Message("user", "a1"))
    assert dataset.row(0).shape["fields"] == [
        {"n": 1},
        {"n": 2},
        {"n": 3},
        {"from": "chatgpt", "n": 4},
    ]


def test_an_edit_of_a_row_without_an_id_touches_no_row_of_that_id(json_lines: Lines) -> None:
    rows = [{"instruction": "a", "output": "x"} | ({} if id is None else {"id": id}) for id in ("1", None, None, 2)]
    edited = open_edited(json_lines(rows))
    ids = [instance.id for instance in edited.source]
    assert len(set(ids)) == 4
    assert (ids[0], ids[2]) == ("1", "2")
    edited.edit(1, {"response": "y"}, by="hand")
    edited.edit(3, {"response": "z"}, by="hand")
    assert [i.response for i in open_edited(edited.source.path).dataset()] == ["x", "y", "x", "z"]


def test_a_folder_that_holds_a_workshop_is_not_read_with_edits_for_rows(json_lines: Lines) -> None:
    edited = open_edited(json_lines(ALPACA))
    folder = Path(edited.source.path).parent
    assert len(load(folder)) == 5
    edited.edit(0, {"response": "x"}, by="hand")
    with pytest.raises(UserError, match=r"holds source\.jsonl\.workshop, the edits of one of its files"):
        load(folder)
