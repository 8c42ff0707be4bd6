"""Suffix array searches agree with brute force, and matches map back to characters."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_data import made

from itaudit.analysis.words import word_keys, words
from itaudit.data.instance import Instance, Message
from itaudit.trace.evidence import fields
from itaudit.trace.index import TraceIndex
from itaudit.trace.suffixes import BLOCK, SuffixArray, suffix_order

TINY = st.lists(st.sampled_from("abc"), max_size=25).map(" ".join)


def holds(instance: Instance, phrase: list[str]) -> bool:
    return any(
        keys[at : at + len(phrase)] == phrase
        for keys in (word_keys(text) for _, text in fields(instance))
        for at in range(len(keys) - len(phrase) + 1)
    )


def brute_force(instances: list[Instance], response: str, min_words: int) -> list[tuple[int, int, list[int]]]:
    """Maximal matches as word numbers, half-open, with the positions of their holders."""
    keys = word_keys(response)
    found = {
        (a, b): [position for position, instance in enumerate(instances) if holds(instance, keys[a:b])]
        for a in range(len(keys))
        for b in range(a + 1, len(keys) + 1)
    }
    return [
        (a, b, holders)
        for (a, b), holders in found.items()
        if holders and b - a >= min_words and not found.get((a - 1, b)) and not found.get((a, b + 1))
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(lambda i, n, r: Instance(0, "0", i, n, r), TINY, TINY, TINY), max_size=4),
    st.lists(st.sampled_from("abcd"), max_size=25).map(" ".join),
    st.integers(1, 4),
)
def test_matches_agree_with_brute_force(instances: list[Instance], response: str, min_words: int) -> None:
    with TemporaryDirectory() as directory:
        index = TraceIndex.open(instances, cache_dir=Path(directory))
        matches = index.matches(response, min_words=min_words)
        found = words(response)
        expected = brute_force(instances, response, min_words)
        assert [(m.start, m.end, m.positions.tolist()) for m in matches] == [
            (found[a].start, found[b - 1].end, holders) for a, b, holders in expected
        ]
        assert index.verbatim(response, min_words=min_words) == [
            (found[a].start, found[b - 1].end, holders[0]) for a, b, holders in expected
        ]
        for phrase in ("a", "a b", "b b a", "d"):
            assert index.frequency(phrase) == sum(holds(instance, phrase.split()) for instance in instances)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=80))
def test_the_suffix_order_is_sorted(values: list[int]) -> None:
    order = suffix_order(np.array(values, dtype=np.int32)).tolist()
    assert order == sorted(range(len(values)), key=lambda start: values[start:])


@pytest.mark.parametrize("words_in_common", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_phrases_longer_than_a_block_are_measured_whole(words_in_common: int) -> None:
    text = np.arange(1, words_in_common + 1, dtype=np.int32)
    tokens = np.concatenate([[0], text, [0], text, [70000, 0]]).astype(np.int32)
    padded = np.concatenate([tokens, np.zeros(BLOCK, np.int32)])
    suffixes = SuffixArray(padded, suffix_order(tokens))
    query = np.append(text, 70001).astype(np.int32)
    assert suffixes.longest(query).tolist() == [*range(words_in_common, 0, -1), 0]
    low, high = suffixes.ranges(query, np.array([0]), np.array([words_in_common]))
    assert sorted(suffixes.order[low[0] : high[0]].tolist()) == [1, words_in_common + 2]


def test_case_and_punctuation_between_words_are_ignored_and_offsets_are_of_the_response(tmp_path: Path) -> None:
    index = TraceIndex.open(made("He said: “It’s a long – LONG way home, Édith!”", "other"), cache_dir=tmp_path)
    response = "Well… it's a\nlong (long) way home, E\u0301DITH. End"
    ((start, end, position),) = index.verbatim(response, min_words=5)
    assert (response[start:end], position) == ("it's a\nlong (long) way home, E\u0301DITH", 0)


def test_a_match_crosses_neither_fields_nor_instances(tmp_path: Path) -> None:
    instance = Instance(0, "0", "one two three", "four five six", "seven eight", later=(Message("user", "nine ten"),))
    index = TraceIndex.open([instance, *made("eleven twelve")], cache_dir=tmp_path)
    response = "one two three four five six seven eight nine ten eleven twelve"
    found = [response[start:end] for start, end, _ in index.verbatim(response, min_words=1)]
    assert found == ["one two three", "four five six", "seven eight", "nine ten", "eleven twelve"]
    assert index.frequency("three four") == 0
    assert index.frequency("nine ten") == 1


def test_matches_of_nothing_are_none(tmp_path: Path, scientists: list[Instance]) -> None:
    index = TraceIndex.open(scientists, cache_dir=tmp_path)
    assert index.verbatim("", min_words=1) == index.verbatim(" … ", min_words=1) == []
    assert index.verbatim("xyzzy plugh", min_words=1) == []
    assert TraceIndex.open([], cache_dir=tmp_path).verbatim("some words here", min_words=1) == []
    assert (index.frequency(""), index.frequency("xyzzy"), index.frequency("Luigi xyzzy")) == (0, 0, 0)


def test_frequency_counts_instances_and_whole_words(tmp_path: Path, scientists: list[Instance]) -> None:
    index = TraceIndex.open(scientists, cache_dir=tmp_path)
    # Three times in one instance, as a possessive and in a later message of another; "lui" is no word.
    assert index.frequency("luigi") == 2
    assert index.frequency("LUIGI Galvani") == 1
    assert index.frequency("lui") == 0
