"""Statistics: counted as a plain reading would, on made-up rows and on real ones."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.measures import measured
from itaudit.data.overlay import Overlay
from itaudit.data.selection import parse_filter, select
from itaudit.data.statistics import Statistics, distribution_of, statistics_of


def workshop(path: Path) -> EditedDataset:
    dataset = load(path)
    return EditedDataset(dataset, Overlay(path.parent / "overlay"))


@pytest.fixture
def edited(tmp_path: Path) -> EditedDataset:
    responses = [
        "- one\n- two",
        "1. one\n2) two",
        "## Heading\nand text",
        "Look:\n```python\nx = 1\n```",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "This is **bold** indeed, see https://example.org",
        "Nice \U0001f600",
        "a - b * c # d 1.5 | __init__ ** www",
        "",
        "Sure, here it is.",
        "Sure! here is another.",
    ]
    rows = [
        {"instruction": f"i{n}", "output": text, "kind": ["x", "y"][n % 2], "score": n / 2}
        for n, text in enumerate(responses)
    ]
    (tmp_path / "rows.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return workshop(tmp_path / "rows.jsonl")


def test_formats_are_told_from_plain_text(edited: EditedDataset) -> None:
    found = statistics_of(edited, measured(edited.source))
    assert found.formats == {
        "bulleted list": 1,
        "numbered list": 1,
        "heading": 1,
        "code block": 1,
        "table": 1,
        "bold": 1,
        "emoji": 1,
        "URL": 1,
    }
    assert (found.instances, found.empty, found.without_response) == (11, 1, 0)
    assert found.openings["1"] == [("Sure", 2)]
    assert found.columns["kind"].values == [("x", 6), ("y", 5)]
    assert found.lengths["score"].maximum == 5.0
    assert Statistics.from_json(orjson.loads(orjson.dumps(found.to_json()))) == found


def test_edits_count_and_what_is_deleted_does_not(edited: EditedDataset) -> None:
    measures = measured(edited.source)
    edited.edit(0, {"response": "Sure. plain words here"}, by="hand")
    edited.edit(1, {"deleted": True}, by="hand")
    edited.edit(2, {"tags": ["t"], "note": "n"}, by="hand")
    heard: list[int] = []
    found = statistics_of(edited, measures, progress=heard.append)
    assert (found.instances, found.edited, found.deleted, found.tagged, found.noted) == (10, 1, 1, 1, 1)
    assert found.formats["bulleted list"] == found.formats["numbered list"] == 0
    assert found.openings["1"] == [("Sure", 3)]
    assert heard == [11]
    only = statistics_of(edited, measures, select(edited, measures, parse_filter("kind:y")))
    assert (only.instances, only.edited, only.columns["kind"].distinct) == (5, 0, 1)
    none = statistics_of(edited, measures, np.array([], np.int64))
    assert (none.instances, none.languages, none.lengths["words"].count) == (0, [], 0)


def test_prompts_alone_have_statistics(shared_data: Path) -> None:
    edited = workshop(shared_data / "vicuna_test_set.jsonl")
    found = statistics_of(edited, measured(edited.source))
    assert found.without_response == found.instances == 80
    assert found.lengths["words"].count == 0 and found.lengths["prompt_words"].count == 80
    assert found.languages[0][0] == "en"


def test_real_data_is_counted_as_python_counts_it(shared_data: Path) -> None:
    edited = workshop(shared_data / "dolly_3k.json")
    found = statistics_of(edited, measured(edited.source))
    responses = [instance.response or "" for instance in edited.source]
    words = sorted(len(text.encode().split()) for text in responses)
    assert found.lengths["words"].mean == pytest.approx(sum(words) / len(words))
    assert found.lengths["words"].quantiles["0.5"] == np.quantile(words, 0.5)
    openings = Counter(
        " ".join(text[:160].split()[:2]).rstrip(",.;:!?") for text in responses if len(text[:160].split()) > 1
    )
    expected = sorted(openings.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    assert found.openings["2"] == expected
    assert dict(found.columns["category"].values) == Counter(i.extra["category"] for i in edited.source)
    assert found.languages[0][0] == "en" and found.language_sample == 2000
    assert sum(count for _, count in found.languages) == 2000


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.integers(-50, 10_000) | st.integers(0, 3), min_size=1) | st.lists(st.floats(-5, 5), min_size=1)
)
def test_bins_hold_every_value_once(values: list[Any]) -> None:
    found = distribution_of(np.array(values))
    assert sum(found.counts) == found.count == len(values)
    assert len(found.edges) == len(found.counts) + 1
    assert found.edges == sorted(set(found.edges))
    assert found.edges[0] <= min(values) and max(values) <= found.edges[-1]
    assert len(found.counts) <= 52


def test_what_is_not_finite_is_left_out() -> None:
    assert distribution_of(np.array([1.0, float("nan"), float("inf")])).count == 1
