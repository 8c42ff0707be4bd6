"""BM25 scores: a worked example, agreement with rank-bm25, ties, contributions and corner cases."""

import math
from pathlib import Path

import numpy as np
import pytest
from trace_data import made

from itaudit.analysis.words import sentence_bounds, word_keys
from itaudit.data.instance import Instance
from itaudit.trace.index import ENGINES, TraceIndex

# Three documents of 3, 2 and 4 words: 3 words on average.
ICE = made("zamboni machine ice", "ice cream", "lava volcano lava daily")


@pytest.mark.parametrize("engine", ENGINES)
def test_scores_of_three_documents_are_those_computed_by_hand(tmp_path: Path, engine: str) -> None:
    index = TraceIndex.open(ICE, engine=engine, cache_dir=tmp_path)
    # Robertson's idf of a word in 1 of 3 documents: log((3 - 1 + 0.5) / (1 + 0.5)).
    idf = math.log(2.5 / 1.5)
    zamboni = idf * 1 * 2.5 / (1 + 1.5 * (0.25 + 0.75 * 3 / 3))
    lava = idf * 2 * 2.5 / (2 + 1.5 * (0.25 + 0.75 * 4 / 3))
    daily = idf * 1 * 2.5 / (1 + 1.5 * (0.25 + 0.75 * 4 / 3))
    first, second = index.sources("Lava, zamboni: lava daily unknown", span=None, k=10)
    assert (first.index, second.index) == (12, 10)
    assert first.score == pytest.approx(lava + daily, rel=1e-6)
    assert second.score == pytest.approx(zamboni, rel=1e-6)
    assert [word for word, _ in first.words] == ["lava", "daily"]
    assert [value for _, value in first.words] == pytest.approx([lava, daily], rel=1e-6)
    assert second.words == (("zamboni", pytest.approx(zamboni, rel=1e-6)),)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_word_counts_once_however_often_and_wherever_the_query_has_it(tmp_path: Path, engine: str) -> None:
    index = TraceIndex.open(ICE, engine=engine, cache_dir=tmp_path)
    once = index.sources("lava daily zamboni", span=None, k=3)
    assert index.sources("zamboni lava lava LAVA daily lava", span=None, k=3) == once


def test_a_word_in_more_than_half_of_the_documents_weighs_nothing_with_bm25s(tmp_path: Path) -> None:
    index = TraceIndex.open(ICE, cache_dir=tmp_path)
    # "ice" stands in 2 of 3: the instances that hold it are sources, in their order, with a score of 0.
    assert [(s.index, s.score, s.words) for s in index.sources("ice", span=None, k=3)] == [(10, 0, ()), (11, 0, ())]
    reference = TraceIndex.open(ICE, engine="rank-bm25", cache_dir=tmp_path)
    mean = (5 * math.log(2.5 / 1.5) + math.log(1.5 / 2.5) + math.log(2.5 / 1.5)) / 7
    (best, _) = reference.sources("ice", span=None, k=3)
    assert best.index == 11
    assert best.score == pytest.approx(0.25 * mean * 2.5 / (1 + 1.5 * (0.25 + 0.75 * 2 / 3)))


def queries(instances: list[Instance]) -> list[str]:
    """Real prompts with the first sentence of their answers, without words of more than half of the instances."""
    holding: dict[str, int] = {}
    for instance in instances:
        for key in set(word_keys(f"{instance.instruction} {instance.input} {instance.response}")):
            holding[key] = holding.get(key, 0) + 1
    common = {key for key, count in holding.items() if 2 * count > len(instances)}
    assert common
    texts = [f"{i.instruction} {(i.response or '')[: sentence_bounds(i.response or '')[1]]}" for i in instances[::6]]
    return [" ".join(key for key in word_keys(text) if key not in common) for text in texts]


def test_scores_agree_with_rank_bm25_on_real_instances(tmp_path: Path, dolly: list[Instance]) -> None:
    ours = TraceIndex.open(dolly, cache_dir=tmp_path)
    reference = TraceIndex.open(dolly, engine="rank-bm25", cache_dir=tmp_path)
    asked = queries(dolly)
    assert len(asked) == 50
    for query in asked:
        scores = ours.ranking(query).scores
        np.testing.assert_allclose(scores, reference.ranking(query).scores, rtol=1e-5, atol=1e-5)
        found, expected = ours.sources(query, span=None, k=10), reference.sources(query, span=None, k=10)
        assert found[0].index == expected[0].index
        assert [s.score for s in found] == pytest.approx([s.score for s in expected], rel=1e-5)
        for a, b in zip(found, expected, strict=True):
            if a.index == b.index:
                assert dict(a.words) == pytest.approx(dict(b.words), rel=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_contributions_add_up_to_the_score_largest_first(tmp_path: Path, dolly: list[Instance], engine: str) -> None:
    index = TraceIndex.open(dolly, engine=engine, cache_dir=tmp_path)
    for instance in dolly[::50]:
        for source in index.sources(instance.prompt, span=None, k=5):
            values = [value for _, value in source.words]
            assert sum(values) == pytest.approx(source.score, rel=1e-5)
            assert values == sorted(values, reverse=True)
            assert {word for word, _ in source.words} <= set(word_keys(instance.prompt))


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_scores_go_by_position_also_where_the_cut_falls(tmp_path: Path, engine: str) -> None:
    instances = made(*["common words", "rare pearl"] * 8, *["filler text"] * 24)
    index = TraceIndex.open(instances, engine=engine, cache_dir=tmp_path)
    for k in (1, 3, 8):
        assert [source.index for source in index.sources("pearl", span=None, k=k)] == [11, 13, 15, 17, 19, 21, 23, 25][
            :k
        ]


@pytest.mark.parametrize("engine", ENGINES)
def test_corner_cases_have_sources_or_none(tmp_path: Path, engine: str) -> None:
    def sources(instances: list[Instance], query: str, k: int = 10) -> list[int]:
        index = TraceIndex.open(instances, engine=engine, cache_dir=tmp_path)
        return [source.index for source in index.sources(query, span="x", k=k)]

    assert sources([], "anything") == []
    assert sources(made(""), "anything") == []
    assert sources(made("…", "!"), "anything") == []
    assert sources(ICE, "") == []
    assert sources(ICE, "unheard of") == []
    assert sources(ICE, "lava", k=0) == []
    assert sources(ICE, "lava machine cream", k=99) == [12, 11, 10]
    # With one or two documents every idf is 0 or less; who shares a word is found all the same.
    assert sources(made("only one"), "one") == [10]
    assert sources(made("only one", "and two"), "two") == [11]
    assert sources(made("東京は日本の首都です", "apple", "pear"), "東京") == [10]


def test_an_unknown_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="engine: 'lucene' is not one of bm25s, rank-bm25"):
        TraceIndex.open(ICE, engine="lucene", cache_dir=tmp_path)
