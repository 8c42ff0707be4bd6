"""What a report counts, by hand and by plain loops; and that it never holds what JSON can't."""

import json

import numpy as np
import pytest

from itaudit.analysis.shift import Thresholds
from itaudit.trace.cause_report import Stretch, cause_report, stretches_to_explain
from itaudit.trace.causes import Causes, CauseWord, Similar, Turn

DRAWS = 100


def packed(share: float) -> bytes:
    """So many of the draws find the word, the first ones."""
    return np.packbits(np.arange(DRAWS) < round(share * DRAWS)).tobytes()


def word(at: int, rank: int, turns: tuple[int, ...] = (), *, chance: float = 0.0, prompt: bool = False) -> CauseWord:
    return CauseWord(
        10 * at, 10 * at + 9, f"word{at:05d}", rank, prompt, len(turns), turns, packed(chance), packed(chance / 2)
    )


def causes(prompt_id: str, *words: CauseWord) -> Causes:
    turns = (Turn(7, 0), Turn(7, 1), Turn(3, 0))
    return Causes(
        prompt_id,
        (Similar(7, 2.0), Similar(3, 1.0)),
        turns,
        50,
        DRAWS,
        words,
        lambda keys: (np.arange(DRAWS) < 10 * len(keys), np.arange(DRAWS) < 5),
    )


FIRST = causes(
    "a",
    word(0, 0, (0,), chance=0.5, prompt=True),
    word(1, 5, (1, 2), chance=0.4),
    word(2, 9, (), chance=0.2),
    word(4, 2, (2,), chance=0.6),
    word(6, -1),
)
SECOND = causes("b", word(0, 3, (0, 2), chance=0.2, prompt=True), word(1, 4, (2,), chance=0.4), word(3, 1))


def report(*analyses: tuple[Causes, list[Stretch] | None], rank: int = 3, brief: bool = False):  # type: ignore[no-untyped-def]  # a test's helper
    return cause_report(analyses, model="sft", flags="x", rank=rank, k=2, thresholds=Thresholds(), brief=brief)


def test_flagged_words_are_counted_by_class_and_outcome() -> None:
    told = report((FIRST, [(0, 5), (12, 25), (60, 70)]), (SECOND, []))
    assert (told.words, told.flagged, told.in_prompt, told.responses, told.flagged_responses) == (7, 3, 1, 2, 1)
    assert (told.to_explain, told.to_explain_in_prompt, told.absent, told.phrases) == (2, 0, 1, 2)
    cells = {kind: {name: (c.words, c.traced) for name, c in row.items()} for kind, row in told.cross.items()}
    assert cells == {
        "flagged": {"unshifted": (1, 1), "marginal": (0, 0), "shifted": (2, 1)},
        "other": {"unshifted": (0, 0), "marginal": (2, 1), "shifted": (2, 2)},
    }
    assert told.cross["flagged"]["shifted"].share == pytest.approx(2 / 3)
    assert told.outcomes == {"borrowed": 1, "pretrained": 1, "unexplained": 1}
    assert told.all_outcomes == {"borrowed": 3, "pretrained": 3, "unexplained": 1}


def test_rates_stand_beside_what_the_draws_give() -> None:
    told = report((FIRST, [(0, 70)]), (SECOND, [(0, 40)]))
    trace = told.trace
    assert (trace.count, trace.traced, trace.prompts, trace.rate) == (4, 3, 2, 0.75)
    # 0.4 + 0.2 and 0.2 + 0.4 of four words are expected; half of that of other words.
    assert trace.by_instances.expected == pytest.approx(1.2 / 4)
    assert trace.by_words.expected == pytest.approx(0.6 / 4)
    assert trace.by_instances.lift == pytest.approx(3 / 1.2)
    assert trace.by_instances.reason == "fewer than 6 prompts"
    assert trace.by_instances.low is None and trace.by_instances.high is None
    assert told.trace_outside_prompt is not None
    assert (told.trace_outside_prompt.count, told.trace_outside_prompt.traced) == (3, 2)


def test_phrases_are_strict_where_one_turn_holds_all_their_words() -> None:
    told = report((FIRST, [(12, 45), (41, 45)]), (SECOND, [(0, 18), (30, 39)]))
    assert told.strict is not None
    # Words 1, 2 and 4 in no turn; 4 alone needs no explanation; 0 and 1 in turn 2; 3 needs none.
    assert (told.strict.count, told.strict.traced) == (2, 1)
    assert told.strict.by_instances.expected == pytest.approx((0.3 + 0.2) / 2)


def test_without_flags_of_its_own_what_asks_for_an_explanation_is_flagged() -> None:
    assert stretches_to_explain(FIRST, 3) == [(10, 29)]
    assert stretches_to_explain(FIRST, 1) == [(10, 29), (40, 49)]
    told = report((FIRST, None), (SECOND, None))
    assert told.flagged == told.to_explain == told.trace.count == 4
    assert told.cross["flagged"]["unshifted"].words == 0
    assert report((FIRST, None), (SECOND, None), rank=1).flagged == 6


@pytest.mark.parametrize(
    "analyses",
    [
        [],
        [(causes("a"), None)],
        [(FIRST, [])],
        [(FIRST, None)],
        [(causes("a", word(0, 9)), None), (causes("b", word(0, 9)), None)],
        [(causes("a", word(0, 9, (0,))), None), (causes("b", word(0, 9, (0,))), None)],
        [(causes("a", word(0, 9, (0,), chance=1)), None), (causes("b", word(0, 9, (0,), chance=1)), None)],
        [(causes("a", word(0, 9, (), chance=0.1)), None), (causes("b", word(0, 9, (), chance=0.3)), None)],
    ],
)
def test_whatever_there_is_no_number_for_is_null_in_json_with_a_reason(
    analyses: list[tuple[Causes, list[Stretch] | None]],
) -> None:
    document = json.loads(json.dumps(report(*analyses).to_json(), allow_nan=False))
    for scope in ("trace", "trace_outside_prompt", "strict"):
        for beside in (document[scope]["by_instances"], document[scope]["by_words"]):
            assert (beside["low"] is None) == (beside["high"] is None)
            assert (beside["low"] is None) == bool(beside["reason"])
    brief = report(*analyses, brief=True)
    assert brief.trace == report(*analyses).trace and brief.strict is None and brief.trace_outside_prompt is None
