"""Kinds of positions: the written rules, case by case."""

from pathlib import Path

import pytest
import regex

from itaudit.errors import UserError
from itaudit.recipe import read_recipe
from itaudit.style.kinds import GROUPS, KINDS, Rules, position_kinds
from itaudit.style.phrases import Phrases, read_phrases
from itaudit.style_settings import LISTS, OPENINGS, Style

RULES = Rules.of(Style())


def tokens(text: str) -> tuple[list[int], list[int]]:
    """Tokens as byte-level models cut them: a word brings the space before it, and marks stand alone; then EOS."""
    spans = [match.span() for match in regex.finditer(r" ?\w+|\s|[^\w\s]", text)]
    return [start for start, _ in spans] + [len(text)], [end for _, end in spans] + [len(text)]


def told(text: str, rules: Rules = RULES) -> list[tuple[str, str]]:
    """Each token with the kind of its position."""
    starts, ends = tokens(text)
    kinds = position_kinds(text, starts, ends, rules)
    return [(text[start:end], KINDS[kind]) for start, end, kind in zip(starts, ends, kinds.tolist(), strict=True)]


def test_a_response_begins_until_its_first_content_word() -> None:
    assert told("The Zamboni was invented by Frank.") == [
        ("The", "initiation"),
        (" Zamboni", "content"),
        (" was", "function"),
        (" invented", "content"),
        (" by", "function"),
        (" Frank", "content"),
        (".", "layout"),
        ("", "stop"),
    ]


def test_phrases_of_the_openings_begin_it_too_and_may_follow_each_other() -> None:
    found = told("Sure! Here are some tips")
    assert found[:6] == [
        ("Sure", "initiation"),
        ("!", "initiation"),
        (" Here", "initiation"),
        (" are", "initiation"),
        (" some", "initiation"),
        (" tips", "content"),
    ]


def test_where_content_comes_first_its_first_token_is_the_beginning() -> None:
    text = "**Photosynthesis** is"
    # The word is cut into two tokens.
    starts, ends = [0, 2, 7, 16, 18, 21], [2, 7, 16, 18, 21, 21]
    kinds = [KINDS[kind] for kind in position_kinds(text, starts, ends, RULES)]
    assert kinds == ["initiation", "initiation", "content", "layout", "function", "stop"]


def test_a_beginning_has_a_longest_length() -> None:
    rules = Rules.of(Style(initiation_words=2))
    assert [kind for _, kind in told("It is of the sea", rules)][:4] == ["initiation"] * 2 + ["function"] * 2


def test_style_words_are_those_of_the_lists_and_layout_is_what_no_word_is() -> None:
    found = dict(told("Bees typically dance; for example, in hives.\n\n1. However, honey - sweet\n2) wax"))
    assert found[" typically"] == found[" for"] == found[" example"] == found[" However"] == "listed"
    assert found[";"] == found["\n"] == found["1"] == found["-"] == found["2"] == found[")"] == "layout"
    assert found[" in"] == "function"
    assert found[" dance"] == found[" honey"] == found[" wax"] == "content"


def test_a_number_within_a_line_is_content() -> None:
    assert dict(told("Born in 1949. He"))[" 1949"] == "content"


def test_without_the_list_of_function_words_they_are_content() -> None:
    rules = Rules.of(Style(words=["hedges"]))
    found = dict(told("Bees usually fly over the sea; however, not far", rules))
    assert found[" over"] == found[" however"] == "content" and found[" usually"] == "listed"


def test_multi_byte_tokens_share_their_word_and_empty_ones_stop() -> None:
    text = "A 語🙂"
    # Three tokens of one character each overlap; the smiley takes two, the first of which covers it all.
    kinds = position_kinds(text, [0, 1, 2, 2, 3, 3, 4], [1, 2, 3, 3, 4, 4, 4], RULES)
    assert [KINDS[kind] for kind in kinds] == [
        "initiation", "layout", "content", "content", "layout", "layout", "stop"
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n\n", "?!", "🙂"])
def test_responses_without_words_have_kinds_all_the_same(text: str) -> None:
    kinds = [kind for _, kind in told(text)]
    assert kinds[-1] == "stop" and set(kinds[1:-1]) <= {"layout"} and set(kinds[:-1][:1]) <= {"initiation"}


def test_every_kind_is_of_one_group() -> None:
    assert sorted(kind for kinds in GROUPS.values() for kind in kinds) == list(range(len(KINDS)))


@pytest.mark.parametrize("name", [*LISTS, OPENINGS])
def test_every_list_holds_phrases_in_lower_case(name: str) -> None:
    phrases = [phrase for several in read_phrases([name])._by_first.values() for phrase in several]
    assert len(phrases) >= 15 and all(word == word.lower() for phrase in phrases for word in phrase)


def test_the_longest_phrase_counts_and_phrases_may_overlap() -> None:
    phrases = Phrases([["a"], ["a", "b", "c"], ["c", "d"], []])
    assert phrases.length_at(["a", "b", "c", "d"], 0) == 3 and phrases.length_at(["a", "b"], 0) == 1
    assert phrases.covered(["x", "a", "b", "c", "d"]) == [False, True, True, True, True]


def test_lists_of_one_s_own_are_seen_from_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("# ours\nIn our view\n\nhoney\n", encoding="utf-8")
    (tmp_path / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    recipe = tmp_path / "recipe.toml"
    text = (
        '[data]\npath = "data.jsonl"\n[prompts]\npath = "data.jsonl"\n[models.lft]\nmethod = "lft"\n'
        '[style]\nwords = ["hedges", "mine.txt"]\n'
    )
    recipe.write_text(text)
    style = read_recipe(recipe).style
    assert style.words == ["hedges", str(tmp_path / "mine.txt")]
    found = dict(told("Bees, in our view, make HONEY the right way", Rules.of(style)))
    assert found[" our"] == found[" HONEY"] == "listed" and found[" the"] == "content"
    recipe.write_text(text.replace("mine.txt", "gone.txt"))
    with pytest.raises(UserError, match=r"style\.words: .*gone\.txt does not exist"):
        read_recipe(recipe)
    recipe.write_text(text.replace("mine.txt", "hedge"))
    with pytest.raises(UserError, match=r"style\.words: no list 'hedge'; there are connectives, hedges"):
        read_recipe(recipe)
    (tmp_path / "mine.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"mine\.txt: can't read the word list"):
        Rules.of(style)


def test_a_changed_list_changes_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("one\n")
    style = Style(words=[str(path)])
    before = Rules.of(style).digest
    path.write_text("one\ntwo\n")
    assert Rules.of(style).digest != before
