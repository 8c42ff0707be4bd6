"""The causal analysis: worked by hand, and word for word what plain loops find."""

from pathlib import Path

import numpy as np
import pytest

from itaudit.analysis.words import word_keys
from itaudit.data.instance import Instance, Message
from itaudit.trace.cause_lookup import CauseLookup, Draws, Scored
from itaudit.trace.causes import Causes, Turn, causes_of, causes_row
from itaudit.trace.chance import Chance
from itaudit.trace.index import TraceIndex
from itaudit.trace.prompt_side import PromptSides
from itaudit.trace.response_words import WORD_CLASSES, ResponseWords
from tests.trace.cause_data import any_holds, index_words, multi_turn, question, response_keys, topical

INVENTORS = [
    Instance(20, "a", "Who built the first battery?", "", "Alessandro Volta, an Italian engineer, built a pile."),
    Instance(
        21,
        "b",
        "Who built the engine?",
        "",
        "James Watt did.",
        history=(Message("user", "Hello"), Message("assistant", "Ask me about an Italian inventor.")),
        later=(Message("user", "Who built bridges?"), Message("assistant", "An engineer of Italy, Gustave Eiffel.")),
    ),
    Instance(24, "c", "Name a red fruit", "", "A zamboni engineer built it in 1949. Bridges! A cherry."),
    Instance(25, "d", "No answer yet", "", None),
]
ANSWER = "An Italian engineer built Zamboni bridges in 1949."


def lookup(instances: list[Instance], queries: dict[str, str], cache: Path, *, k: int, draws: int = 99) -> CauseLookup:
    words = index_words(instances)
    index = TraceIndex.open(PromptSides(instances), cache_dir=cache)
    rows = np.array([instance.index for instance in instances])
    return CauseLookup(index, words, rows, queries, k, Chance(words, k=k, draws=draws, seed=7))


def scored(text: str, ranks: dict[str, int]) -> Scored:
    """A response with a token a word."""
    found = [(text.index(word), word) for word in dict.fromkeys(text.replace(".", "").split())]
    starts, ends = [at for at, _ in found], [at + len(word) for at, word in found]
    return Scored(text, starts, ends, [ranks.get(word, 0) for _, word in found])


@pytest.fixture
def causes(tmp_path: Path) -> Causes:
    made = lookup(INVENTORS, {"p": "Who built the Zamboni?"}, tmp_path, k=2)
    ranks = {"Italian": 7, "engineer": 3, "Zamboni": 1, "bridges": 12, "1949": 40}
    return made.causes("p", "Who built the Zamboni?", scored(ANSWER, ranks))


def test_the_words_of_a_response_are_traced_to_the_turns_of_similar_instances(causes: Causes) -> None:
    assert {one.index for one in causes.similar} == {20, 21}
    assert sorted((turn.index, turn.turn) for turn in causes.turns) == [(20, 0), (21, 0), (21, 1), (21, 2)]
    assert causes.instances == 4 and causes.draws == 99
    told = {
        word.text: (
            word.rank,
            word.in_prompt,
            word.frequency,
            {(causes.turns[at].index, causes.turns[at].turn) for at in word.turns},
            causes.outcome(word, 3),
        )
        for word in causes.words
    }
    assert told == {
        "Italian": (7, False, 2, {(20, 0), (21, 0)}, "borrowed"),
        "engineer": (3, False, 3, {(20, 0), (21, 2)}, "borrowed"),
        "built": (0, True, 2, {(20, 0)}, "pretrained"),
        "Zamboni": (1, True, 1, set(), "pretrained"),
        "bridges": (12, False, 1, set(), "unexplained"),
        "1949": (40, False, 1, set(), "unexplained"),
    }
    zamboni = next(word for word in causes.words if word.text == "Zamboni")
    assert (causes.outcome(zamboni, 1), causes.outcome(zamboni, 2)) == ("unexplained", "pretrained")
    assert ANSWER[zamboni.start : zamboni.end] == "Zamboni"


def test_sources_are_rows_with_the_most_similar_first(causes: Causes) -> None:
    engineer = causes.word_at(ANSWER.index("engineer") + 2)
    assert engineer is not None and engineer.text == "engineer"
    assert causes.sources(engineer) == tuple(one.index for one in causes.similar)
    assert causes.word_at(ANSWER.index(" in ") + 1) is None


def test_a_phrase_is_strict_only_where_one_turn_holds_all_its_words(tmp_path: Path) -> None:
    queries = {"p": "Who built the Zamboni?"}
    made = lookup(INVENTORS, queries, tmp_path, k=2)
    causes = made.causes("p", "", scored(ANSWER, {"Italian": 7, "engineer": 3, "built": 3, "bridges": 5}))
    words = ResponseWords.build(INVENTORS)
    draws = Draws(words, Chance(words, k=2, draws=99, seed=7), {"p": made.draws.similar["p"]})
    causes = causes_of(causes_row(0, causes), lambda keys: draws.of("p").draws(keys))
    whole = causes.phrase(0, ANSWER.index(" Zamboni"), 3)
    assert whole is not None and [word.text for word in whole.words] == ["Italian", "engineer", "built"]
    assert (whole.outcome, whole.strict_sources, whole.strict) == ("borrowed", (20,), True)
    # Row 21 says Italian in one turn and engineer in another.
    two = causes.phrase(3, 19, 3)
    assert two is not None and two.strict_sources == (20,)
    split = causes.phrase(3, ANSWER.index(" in"), 3)
    assert split is not None and (split.outcome, split.strict_sources) == ("unexplained", ())
    assert split.expected_instances == split.expected_words == 0
    assert causes.phrase(ANSWER.index("1949"), len(ANSWER), 3) is not None
    assert causes.phrase(ANSWER.index(" in"), ANSWER.index(" in") + 3, 3) is None
    known = causes.phrase(ANSWER.index("Zamboni"), ANSWER.index("Zamboni") + 3, 3)
    assert known is not None and known.outcome == "pretrained"


def test_what_instances_answer_does_not_make_them_similar(tmp_path: Path) -> None:
    instances = [
        Instance(0, "0", "Name a fruit", "", "battery battery battery"),
        Instance(1, "1", "What is a battery?", "", "It stores energy."),
        Instance(2, "2", "Go on", "", "x", history=(Message("assistant", "a battery"), Message("user", "and?"))),
        Instance(3, "3", "Name a tree", "", "y", later=(Message("user", "a battery"),)),
        Instance(4, "4", "Tell me", "of the battery", "z"),
    ]
    found = lookup(instances, {"p": "battery"}, tmp_path, k=5).draws.similar["p"]
    assert set(found.tolist()) == {1, 4}


@pytest.mark.parametrize("instances", [topical(80), multi_turn()], ids=["topical", "multi-turn"])
def test_plain_loops_find_the_same(instances: list[Instance], tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    queries = {f"p{topic}": question(rng, topic) for topic in range(4)}
    made = lookup(instances, queries, tmp_path, k=6)
    words = index_words(instances)
    chance = Chance(words, k=6, draws=99, seed=7)
    for prompt_id in queries:
        text = instances[int(prompt_id[1:]) + 8].response or "commona commonb topicaa"
        causes = made.causes(prompt_id, "commona", Scored(text, [0], [len(text)], [4]))
        similar = made.draws.similar[prompt_id]
        assert [one.index for one in causes.similar] == [instances[at].index for at in similar]
        turns = [
            Turn(instances[at].index, number)
            for at in similar
            for number in range(len([m for m in instances[at].messages if m.role == "assistant"]))
        ]
        assert list(causes.turns) == turns
        assert [word.key for word in causes.words] == response_keys(text)
        dealt = chance.random_instances(similar)
        for word in causes.words:
            key = word.key
            assert word.found == any_holds(instances, similar, [key])
            assert word.frequency == sum(any_holds(instances, [at], [key]) for at in range(len(instances)))
            assert word.in_prompt == (key == "commona")
            assert causes.bits(word.by_instances).tolist() == [any_holds(instances, draw, [key]) for draw in dealt]
            others = chance._other_words((key,), word.frequency) if word.frequency else None
            if others is not None:
                expected = [any_holds(instances, similar, [words.keys[other]]) for other in others.tolist()]
                assert causes.bits(word.by_words).tolist() == expected
            shares = causes.expected(word)
            assert shares == (causes.bits(word.by_instances).mean(), causes.bits(word.by_words).mean())


def test_a_phrase_draws_what_plain_loops_draw() -> None:
    instances = multi_turn(count=40)
    words = index_words(instances)
    chance = Chance(words, k=5, draws=99, seed=1)
    similar = np.array([3, 9, 12, 20, 24])
    draws = Draws(words, chance, {"p": similar, "q": np.array([1, 2, 3])})
    for keys in (["commona", "commonb"], ["commona", "topicaa", "namea"], ["commona", "nowhere"]):
        by_instances, by_words = draws.of("p").draws(keys)
        dealt = chance.random_instances(similar)
        assert by_instances.tolist() == [any_holds(instances, draw, keys) for draw in dealt]
        frequency = sum(any_holds(instances, [at], keys) for at in range(len(instances)))
        others = chance._other_words(tuple(keys), frequency) if frequency else None
        if others is None:
            found = bool(frequency) and any_holds(instances, similar, keys)
            assert by_words.tolist() == [found] * 99
        else:
            assert by_words.tolist() == [any_holds(instances, similar, [words.keys[at]]) for at in others.tolist()]


def test_draws_deal_among_answers_of_like_length_and_never_one_twice() -> None:
    instances = topical(200)
    words = index_words(instances)
    chance = Chance(words, k=20, draws=199, seed=3)
    everyone = np.arange(200)
    dealt = chance.random_instances(everyone)
    assert all(sorted(draw) == list(range(200)) for draw in dealt.tolist())
    # Ten groups of twenty: the answer that an instance gets is of its own tenth.
    tenth = np.empty(200, dtype=int)
    tenth[np.argsort(words.lengths, kind="stable")] = everyone // 20
    assert (tenth[dealt] == tenth).all()
    assert abs((dealt == everyone).mean() - 1 / 20) < 0.01
    some = np.array([5, 100, 3])
    assert (chance.random_instances(some) == dealt[:, some]).all()
    assert (Chance(words, k=20, draws=199, seed=3).random_instances(some) == dealt[:, some]).all()
    assert (Chance(words, k=20, draws=199, seed=4).random_instances(some) != dealt[:, some]).any()


def test_other_words_are_of_the_same_class_and_of_the_same_frequency_or_found_as_often() -> None:
    words = index_words(topical(300))
    chance = Chance(words, k=25, draws=999, seed=0)
    exact = mixed = alone = 0
    for key in words.keys:
        number = words.vocabulary[key]
        frequency = int(words.frequencies[number])
        pool, weights = chance._candidates((key,), frequency)
        if not words.content[number]:
            continue
        if not len(pool):
            # Nothing compares, and the word counts on both sides alike.
            assert chance.by_words([key], frequency, np.ones(len(words.keys), dtype=bool), True).all()
            alone += 1
            continue
        assert number not in pool
        assert set(words.classes[pool].tolist()) == {int(words.classes[number])}
        assert words.content[pool].all()
        wanted = 1 - np.prod([(300 - 25 - at) / (300 - at) for at in range(frequency)])
        found = [1 - np.prod([(300 - 25 - at) / (300 - at) for at in range(f)]) for f in words.frequencies[pool]]
        assert np.average(found, weights=weights) == pytest.approx(wanted, abs=1e-9)
        exact += weights is None
        mixed += weights is not None
    assert exact and mixed and alone


def test_a_word_that_no_answer_holds_is_never_found_by_chance() -> None:
    words = index_words(topical(100))
    chance = Chance(words, k=10, draws=99, seed=0)
    by_instances, by_words = Draws(words, chance, {"p": np.arange(10)}).of("p").draws(["nowhere"])
    assert not by_instances.any() and not by_words.any()


def test_fewer_instances_than_are_looked_at_are_all_looked_at(tmp_path: Path) -> None:
    answers = ["an apple", "a pear", "an apple and a pear"]
    instances = [Instance(at, str(at), f"ask{at}", "", answer) for at, answer in enumerate(answers)]
    found = lookup(instances, {"p": "ask0 ask1 ask2", "none": "unheard"}, tmp_path, k=25)
    causes = found.causes("p", "", Scored("apple plum", [0, 6], [5, 10], [9, 9]))
    apple, plum = causes.words
    assert len(causes.similar) == 3
    assert causes.expected(apple)[0] == 1 and causes.expected(plum) == (0, 0)
    lonely = found.causes("none", "", Scored("apple", [0], [5], [9]))
    assert lonely.similar == () and lonely.turns == ()
    assert lonely.outcome(lonely.words[0], 3) == "unexplained" and lonely.words[0].frequency == 2
    assert lonely.expected(lonely.words[0])[0] == 0


def test_an_analysis_survives_its_row(causes: Causes) -> None:
    assert causes_of(causes_row(4, causes)) == causes
    with pytest.raises(ValueError, match="run_causes"):
        causes.phrase(0, len(ANSWER), 3)


def test_every_class_of_words_has_a_pool_of_its_own() -> None:
    words = index_words(topical(100))
    assert {WORD_CLASSES[code] for code in words.classes.tolist()} == set(WORD_CLASSES)
    assert word_keys("NameA") == ["namea"]
