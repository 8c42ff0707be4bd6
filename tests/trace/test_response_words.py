"""The inverted index over answers agrees with looking, and survives being saved."""

from pathlib import Path

import numpy as np
import pytest

from itaudit.analysis.words import word_keys
from itaudit.data.instance import Instance
from itaudit.trace.prompt_side import PromptSides, response_turns
from itaudit.trace.response_words import WORD_CLASSES, ResponseWords
from tests.trace.cause_data import holds, index_words, multi_turn, turns_of
from tests.trace.trace_data import made


def test_turns_and_holders_are_those_that_looking_finds() -> None:
    instances = multi_turn()
    words = index_words(instances)
    assert [response_turns(instance) for instance in instances] == [turns_of(instance) for instance in instances]
    all_turns = [turn for instance in instances for turn in turns_of(instance)]
    assert words.lengths.tolist() == [sum(len(word_keys(t)) for t in turns_of(i)) for i in instances]
    pairs = [(key, words.keys[(at * 7 + 3) % len(words.keys)]) for at, key in enumerate(words.keys)]
    for keys in [*((key,) for key in words.keys), *pairs]:
        assert words.turns(keys).tolist() == [
            at for at, turn in enumerate(all_turns) if set(keys) <= set(word_keys(turn))
        ]
        assert words.holders(keys).tolist() == [at for at, one in enumerate(instances) if holds(one, keys)]
    assert words.frequencies.tolist() == [sum(holds(one, [key]) for one in instances) for key in words.keys]


def test_words_that_no_answer_holds_have_no_turns() -> None:
    words = index_words(made("An apple."))
    assert words.turns(["pear"]).tolist() == words.turns(["apple", "pear"]).tolist() == words.turns([]).tolist() == []


def test_a_dataset_without_answers_has_no_words() -> None:
    words = index_words([Instance(0, "0", "Why?"), Instance(1, "1", "How?", response="")])
    assert words.keys == [] and words.instances == 2
    assert words.frequencies.tolist() == [] and words.holders(["why"]).tolist() == []


def test_classes_are_told_by_digits_and_by_capitals_inside_sentences() -> None:
    words = index_words(
        made(
            "The physician Galvani met Volta in 1791. Perhaps they talked.",
            "Perhaps the Bell rang, the bell of Galvani, and perhaps a bell rang again: 3.5 times.",
        )
    )
    classes = {key: WORD_CLASSES[code] for key, code in zip(words.keys, words.classes.tolist(), strict=True)}
    assert {key for key, kind in classes.items() if kind == "name"} == {"galvani", "volta"}
    assert {key for key, kind in classes.items() if kind == "number"} == {"1791", "3.5"}
    assert classes["bell"] == classes["perhaps"] == "other"
    assert words.class_of(["bell", "galvani"]) == WORD_CLASSES.index("name")
    assert words.class_of(["galvani", "1791"]) == WORD_CLASSES.index("number")
    assert words.class_of(["unheard"]) == WORD_CLASSES.index("other")
    assert words.class_of(["2001"]) == WORD_CLASSES.index("number")


def test_it_comes_back_as_it_was_saved_and_only_for_its_source(tmp_path: Path) -> None:
    words = ResponseWords.build([*multi_turn(), *made("語 here \ud800 naïve")], source="one")
    path = tmp_path / "deep" / "answers.npz"
    words.save(path)
    opened = ResponseWords.open(path, source="one")
    assert opened is not None and opened.keys == words.keys
    for name in ("words", "turn_starts", "instance_starts", "lengths", "classes", "content"):
        assert np.array_equal(getattr(opened, name), getattr(words, name))
    assert ResponseWords.open(path, source="two") is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"nothing like it"])
def test_a_damaged_file_reads_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.npz"
    path.write_bytes(content)
    assert ResponseWords.open(path, source="") is None
    assert ResponseWords.open(tmp_path / "missing.npz", source="") is None


def test_the_prompt_side_shows_no_answer_and_nothing_after_it() -> None:
    for instance, shown in zip(multi_turn(), PromptSides(multi_turn()), strict=True):
        assert (shown.instruction, shown.input, shown.index) == (instance.instruction, instance.input, instance.index)
        assert shown.response is None and shown.later == () and shown.references == ()
        assert turns_of(shown) == []
        assert [m for m in shown.history] == [m for m in instance.history if m.role != "assistant"]
