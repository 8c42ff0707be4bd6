"""Traces of responses: which words become spans, what they are asked with, and what they lead to."""

from pathlib import Path

import pytest
from trace_data import made

from itaudit.analysis.shift import Thresholds
from itaudit.analysis.words import words
from itaudit.data.instance import Instance
from itaudit.trace.bm25 import Bm25s
from itaudit.trace.index import TraceIndex
from itaudit.trace.trace import trace_response, trace_span, verbatim_spans
from itaudit.trace.types import Span

PROMPT = "Which physician was it?"
RESPONSE = "The Italian physician Luigi Rossi invented it. He ate a sweet fruit that grows on trees."


def traced(index: TraceIndex, ranks: dict[str, int], **options: int) -> tuple[Span, ...]:
    """The trace of RESPONSE with a token a word, all of rank 0 but those named."""
    tokens = words(RESPONSE)
    return trace_response(
        index,
        PROMPT,
        RESPONSE,
        starts=[max(word.start - 1, 0) for word in tokens],
        ends=[word.end for word in tokens],
        ranks=[ranks.get(word.text, 0) for word in tokens],
        thresholds=Thresholds(),
        **{"k": 3, "verbatim_words": 5} | options,
    )


@pytest.fixture
def index(tmp_path: Path, scientists: list[Instance]) -> TraceIndex:
    return TraceIndex.open(scientists, cache_dir=tmp_path)


def test_shifted_and_marginal_content_words_and_verbatim_spans_by_start(index: TraceIndex) -> None:
    spans = traced(index, {"Luigi": 3, "Italian": 2, "physician": 1, "The": 9, "it": 9, "trees": 40})
    assert [(RESPONSE[span.start : span.end], span.kind) for span in spans] == [
        ("Italian", "marginal"),
        ("physician", "marginal"),
        ("Luigi", "shifted"),
        ("a sweet fruit that grows on trees", "verbatim"),
        ("trees", "shifted"),
    ]
    assert all(span.text == RESPONSE[span.start : span.end] for span in spans)
    luigi = spans[2]
    assert luigi.frequency == 2
    assert luigi.sources[0].index == 3
    assert [(e.field, e.text) for e in luigi.sources[0].evidence] == [
        ("response", "Luigi"),
        ("response", "Luigi"),
        ("instruction", "Luigi"),
    ]


def test_thresholds_decide_the_class(index: TraceIndex) -> None:
    tokens = words(RESPONSE)
    spans = trace_response(
        index,
        PROMPT,
        RESPONSE,
        starts=[word.start for word in tokens],
        ends=[word.end for word in tokens],
        ranks=[7] * len(tokens),
        thresholds=Thresholds(marginal=5, shifted=8),
        k=1,
        verbatim_words=99,
    )
    assert {span.kind for span in spans} == {"marginal"}
    assert [span.text for span in spans] == [
        *("Italian", "physician", "Luigi", "Rossi", "invented", "ate", "sweet", "fruit", "grows", "trees"),
    ]


def test_the_query_is_the_prompt_and_the_sentence_of_the_span(index: TraceIndex) -> None:
    span = trace_span(index, PROMPT, RESPONSE, 22, 27, k=3)
    sentence = RESPONSE[: RESPONSE.index(" He")]
    assert span.sources == index.sources(f"{PROMPT} {sentence}", span="Luigi", k=3)
    assert (span.kind, span.text, span.frequency) == ("selected", "Luigi", 2)
    # The fruit of the other sentence plays no part in it.
    assert all(source.index != 9 for source in span.sources)


def test_spans_of_a_sentence_share_one_retrieval(index: TraceIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    scores = Bm25s.scores

    def counted(self: Bm25s, ids: list[int]) -> object:
        asked.append(ids)
        return scores(self, ids)

    monkeypatch.setattr(Bm25s, "scores", counted)
    spans = traced(index, {word.text: 5 for word in words(RESPONSE)})
    assert len(spans) == 11
    assert len(asked) == 2


def test_sources_of_a_verbatim_span_are_the_instances_that_hold_it(tmp_path: Path) -> None:
    stretch = "once upon a time there was"
    instances = made(
        "telephone " * 9, f"{stretch} a king", "nothing", f"A telephone? {stretch} a queen", "more", "text"
    )
    index = TraceIndex.open(instances, cache_dir=tmp_path)
    response = f"So {stretch.upper()}, said he."
    (span,) = verbatim_spans(index, "What is a telephone?", response, k=10, min_words=5)
    assert (span.text, span.frequency, span.kind) == (stretch.upper(), 2, "verbatim")
    # Best first: the telephone is what the prompt asks for.
    assert [source.index for source in span.sources] == [13, 11]
    assert [e.text for source in span.sources for e in source.evidence] == [stretch, stretch]
    (one,) = verbatim_spans(index, "What is a telephone?", response, k=1, min_words=5)
    assert one.sources == span.sources[:1]


def test_a_selection_that_cuts_a_word_means_the_word(index: TraceIndex) -> None:
    cut = trace_span(index, PROMPT, RESPONSE, 23, 26, k=1)
    assert cut.text == "uig"
    assert (cut.frequency, cut.sources[0].evidence[0].text) == (2, "Luigi")
    gap = trace_span(index, PROMPT, RESPONSE, 3, 4, k=1)
    assert (gap.frequency, gap.sources[0].evidence) == (0, ())


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (5, 2), (0, 999)])
def test_offsets_outside_of_the_response_are_refused(index: TraceIndex, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="is no stretch of a response"):
        trace_span(index, PROMPT, RESPONSE, start, end, k=3)


@pytest.mark.parametrize("response", ["", "…", "\n\n", "🙂🙂"])
def test_a_response_without_words_has_no_spans(index: TraceIndex, response: str) -> None:
    length = len(response)
    options = {"starts": [0], "ends": [length], "ranks": [9], "thresholds": Thresholds(), "k": 3, "verbatim_words": 1}
    assert trace_response(index, PROMPT, response, **options) == ()  # type: ignore[arg-type]  # one dict, many types


def test_a_text_without_spaces_is_traced_character_by_character(tmp_path: Path) -> None:
    index = TraceIndex.open(made("東京は日本の首都です。", "apples", "pears"), cache_dir=tmp_path)
    response = "はい。日本の首都は東京です。"
    (span,) = verbatim_spans(index, "首都は?", response, k=3, min_words=5)
    assert (span.text, [s.index for s in span.sources]) == ("日本の首都", [10])
    assert span.sources[0].evidence[0].text == "日本の首都"
