"""Duplicates: every group is what comparing all pairs would give, and nothing is called a copy that is none."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itaudit.data.duplicates import Duplicates, find_duplicates
from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay

Rows = list[dict[str, Any]]
Open = Callable[[Rows], EditedDataset]

LONG = " ".join(f"word{n}" for n in range(60))


def edited_rows(folder: Path, rows: Rows) -> EditedDataset:
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    dataset = load(path)
    return EditedDataset(dataset, Overlay.of(dataset.path))


@pytest.fixture
def workshop(tmp_path: Path) -> Open:
    return lambda rows: edited_rows(tmp_path, rows)


def alpaca(response: str, instruction: str = "Say it.", input: str = "") -> dict[str, Any]:
    return {"instruction": instruction, "input": input, "output": response}


def runs(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[n : n + 3]) for n in range(max(1, len(words) - 2))}


def similarity(one: str, other: str) -> float:
    a, b = runs(one), runs(other)
    return len(a & b) / len(a | b)


def test_exact_copies_differ_in_case_and_space_alone(workshop: Open) -> None:
    found = find_duplicates(
        workshop([alpaca("A cat sat."), alpaca("a  CAT\nsat."), alpaca("A cat sat!"), alpaca("A cat sat.")]),
        threshold=1,
    )
    (group,) = found.groups
    assert (group.first, group.copies, group.similarities, group.exact) == (0, (1, 3), (1.0, 1.0), 2)
    assert found.copies.tolist() == [1, 3]
    assert found.members.tolist() == [0, 1, 3]
    assert found.instances == 4


def test_composed_and_decomposed_letters_are_the_same(workshop: Open) -> None:
    found = find_duplicates(
        workshop([alpaca("größe caf\u00e9"), alpaca("GRÖSSE cafe\u0301"), alpaca("größe cafe\u0301")])
    )
    assert found.copies.tolist() == [2]


def test_signs_are_no_matter_of_case(workshop: Open) -> None:
    assert find_duplicates(workshop([alpaca("1 + 1"), alpaca("1 - 1")]), threshold=1).groups == ()


def test_near_copies_are_told_with_their_similarity(workshop: Open) -> None:
    changed = LONG.replace("word30 ", "other ")
    rows = [
        alpaca("Something else entirely, in words of its own."),
        alpaca(LONG),
        alpaca(changed),
        alpaca(LONG + " end"),
    ]
    (group,) = find_duplicates(workshop(rows), threshold=0.8).groups
    assert (group.first, group.copies, group.exact) == (1, (2, 3), 0)
    expected = [round(similarity(f"Say it. {LONG}", f"Say it. {text}"), 4) for text in (changed, LONG + " end")]
    assert list(group.similarities) == expected
    assert find_duplicates(workshop(rows), threshold=0.97).copies.tolist() == [3]


def test_a_chain_of_small_differences_is_not_one_group(workshop: Open) -> None:
    """Each is like the one before it; the last is not like the first."""
    words = LONG.split()
    texts = []
    for step in range(6):
        words[step * 8 : step * 8 + 2] = [f"new{step}", f"newer{step}"]
        texts.append(" ".join(words))
    found = find_duplicates(workshop([alpaca(text) for text in texts]), threshold=0.8)
    assert len(found.groups) > 1
    for group in found.groups:
        for copy in group.copies:
            assert similarity(f"Say it. {texts[group.first]}", f"Say it. {texts[copy]}") >= 0.8


def test_the_field_decides_what_is_compared(workshop: Open) -> None:
    rows = [alpaca("yes", "Is it?"), alpaca("no", "Is it?"), alpaca("no", "Was it so?"), alpaca("", "Was it so?")]
    edited = workshop(rows)
    assert find_duplicates(edited).copies.tolist() == []
    assert find_duplicates(edited, field="prompt").copies.tolist() == [1, 3]
    assert find_duplicates(edited, field="response").copies.tolist() == [2], "an empty response is no copy of another"


def test_other_turns_count(workshop: Open) -> None:
    def chat(*texts: str) -> dict[str, Any]:
        return {"messages": [{"role": ["user", "assistant"][n % 2], "content": text} for n, text in enumerate(texts)]}

    edited = workshop(
        [chat("a b", "c", "d e", "f"), chat("a b", "c", "d e", "f"), chat("x", "y", "d e", "f"), chat("d e", "f")]
    )
    assert find_duplicates(edited, threshold=1).copies.tolist() == [1]
    assert find_duplicates(edited, threshold=1, field="response").copies.tolist() == [1, 2, 3]


def test_instances_of_a_task_are_not_alike_because_of_its_definition(tmp_path: Path) -> None:
    task = {"Definition": [LONG], "Instances": [{"input": text, "output": ["yes"]} for text in ("one", "two", "one")]}
    (tmp_path / "t.json").write_bytes(orjson.dumps(task))
    dataset = load(tmp_path / "t.json")
    assert find_duplicates(EditedDataset(dataset, Overlay.of(dataset.path))).copies.tolist() == [2]


def test_edits_and_deletions_count(workshop: Open) -> None:
    edited = workshop([alpaca("one"), alpaca("two"), alpaca("three"), alpaca("three")])
    edited.edit(1, {"response": "ONE"}, by="hand")
    edited.edit(2, {"deleted": True}, by="hand")
    found = find_duplicates(edited)
    assert [(group.first, group.copies) for group in found.groups] == [(0, (1,))]
    assert found.instances == 3


def test_a_copy_of_a_copy_belongs_to_the_first(workshop: Open) -> None:
    near = LONG.replace("word30 ", "other ")
    (group,) = find_duplicates(workshop([alpaca(LONG), alpaca(near), alpaca(near.upper())])).groups
    assert (group.first, group.copies, group.exact) == (0, (1, 2), 0)
    assert group.similarities[0] == group.similarities[1] < 1


WORD = st.sampled_from(["a", "b", "c", "d"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.lists(st.lists(WORD, min_size=1, max_size=12).map(" ".join), min_size=1, max_size=12))
@pytest.mark.parametrize("threshold", [0.5, 0.8])
def test_groups_are_those_of_all_pairs(texts: list[str], threshold: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        edited = edited_rows(Path(folder), [alpaca(text) for text in texts])
        found = find_duplicates(edited, threshold=threshold, field="response")
    assert Duplicates.from_json(orjson.loads(orjson.dumps(found.to_json()))) == found
    firsts = {group.first for group in found.groups}
    copies = set(found.copies.tolist())
    assert not firsts & copies and len(copies) == sum(len(group.copies) for group in found.groups)
    for group in found.groups:
        for copy, told in zip(group.copies, group.similarities, strict=True):
            assert group.first < copy
            assert told == round(similarity(texts[group.first], texts[copy]), 4) >= threshold or texts[copy] in (
                texts[other] for other in group.copies
            )
    kept = [position for position in range(len(texts)) if position not in copies]
    for place, position in enumerate(kept):
        for other in kept[:place]:
            # At the threshold itself one pair in a hundred may be overlooked; well above it none is.
            assert similarity(texts[position], texts[other]) < min(1.0, threshold + 0.2)
