"""What stands where marks and candidates meet."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.detect.spans import Flag, flags_of
from itaudit.runs.detections import Candidate, Detector
from itaudit.runs.marks import Mark

TEXT = "The Zamboni was invented by the Italian engineer Luigi Zamboni in 1949."


def candidate(text: str, score: float = 0.5, within: str = TEXT) -> Candidate:
    start = within.index(text)
    return Candidate(start, start + len(text), text, score, f"because of {text}")


def mark(text: str, label: str = "hallucinated", within: str = TEXT) -> Mark:
    start = within.index(text)
    return Mark("sft", "p", start, start + len(text), text, label, by="ada")


def shown(flags: tuple[Flag, ...]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(flag.text, flag.state, flag.by) for flag in flags]


def test_candidates_that_overlap_are_one_flag_with_all_their_scores() -> None:
    found = flags_of(
        TEXT,
        {
            "signal": [candidate("Luigi", 0.9), candidate("Italian", 0.7)],
            "reference": [candidate("engineer Luigi Zamboni", 0.8), candidate("1949", 0.9)],
        },
        [],
    )
    assert shown(found) == [
        ("Italian", "candidate", ("signal",)),
        ("engineer Luigi Zamboni", "candidate", ("reference", "signal")),
        ("1949", "candidate", ("reference",)),
    ]
    assert found[1].scores == {"reference": 0.8, "signal": 0.9}
    assert found[1].reasons["signal"] == "because of Luigi"


def test_candidates_that_only_touch_stay_apart() -> None:
    text = "ab"
    found = flags_of(text, {"signal": [Candidate(0, 1, "a", 1)], "judge": [Candidate(1, 2, "b", 1)]}, [])
    assert [(flag.start, flag.end) for flag in found] == [(0, 1), (1, 2)]


def test_a_mark_on_the_place_of_a_candidate_confirms_or_dismisses_it() -> None:
    candidates: dict[Detector, list[Candidate]] = {"reference": [candidate("Luigi"), candidate("1949")]}
    found = flags_of(TEXT, candidates, [mark("Luigi"), mark("1949", "correct")])
    assert shown(found) == [
        ("Luigi", "confirmed", ("ada", "reference")),
        ("1949", "dismissed", ("ada", "reference")),
    ]
    assert [flag.label for flag in found] == ["hallucinated", "correct"]
    assert found[0].scores == {"reference": 0.5}


def test_unsupported_confirms_and_style_and_ones_own_labels_do_not() -> None:
    for label, state in (("unsupported", "confirmed"), ("style", "dismissed"), ("odd", "dismissed")):
        (flag,) = flags_of(TEXT, {}, [mark("Luigi", label)])
        assert flag.state == state


def test_a_mark_decides_the_words_that_it_touches_and_leaves_the_rest_a_candidate() -> None:
    found = flags_of(TEXT, {"judge": [candidate("by the Italian engineer Luigi Zamboni in 1949")]}, [mark("Luig")])
    assert shown(found) == [
        ("Italian engineer", "candidate", ("judge",)),
        ("Luig", "confirmed", ("ada", "judge")),
        ("Zamboni in 1949", "candidate", ("judge",)),
    ]


def test_a_later_mark_is_painted_over_an_earlier_one() -> None:
    found = flags_of(TEXT, {}, [mark("Italian engineer Luigi Zamboni"), mark("engineer", "correct")])
    assert shown(found) == [
        ("Italian", "confirmed", ("ada",)),
        ("engineer", "dismissed", ("ada",)),
        ("Luigi Zamboni", "confirmed", ("ada",)),
    ]


def test_a_mark_that_a_later_one_covers_is_not_seen() -> None:
    assert shown(flags_of(TEXT, {}, [mark("Luigi", "correct"), mark("Luigi Zamboni")])) == [
        ("Luigi Zamboni", "confirmed", ("ada",))
    ]


def test_a_mark_on_a_space_or_a_sign_stands_as_it_was_set() -> None:
    assert shown(flags_of("a — b", {}, [mark("—", "style", "a — b")])) == [("—", "dismissed", ("ada",))]


def test_spans_at_both_ends_and_of_the_whole_text_stand() -> None:
    text = "Luigi e\u0301 🙂"
    (flag,) = flags_of(text, {"judge": [Candidate(0, len(text), text, 1.0)]}, [])
    assert (flag.start, flag.end, flag.text) == (0, len(text), text)
    assert flags_of("", {"judge": []}, []) == ()


def test_a_flag_makes_the_mark_that_confirms_it() -> None:
    (flag,) = flags_of(TEXT, {"reference": [candidate("Luigi", 0.8)]}, [])
    made = flag.marked("hallucinated", "sft", "p", note="it was Frank")
    assert (made.text, made.detector, made.score, made.note) == ("Luigi", "reference", 0.8, "it was Frank")
    (confirmed,) = flags_of(TEXT, {"reference": [candidate("Luigi", 0.8)]}, [made])
    assert (confirmed.state, confirmed.start, confirmed.end) == ("confirmed", flag.start, flag.end)


def test_scores_of_two_detectors_are_no_score_of_a_mark() -> None:
    (flag,) = flags_of(TEXT, {"reference": [candidate("Luigi", 0.8)], "signal": [candidate("Luigi", 0.6)]}, [])
    made = flag.marked("correct", "sft", "p")
    assert (made.detector, made.score) == ("reference,signal", None)


@st.composite
def painted(draw: st.DrawFn) -> tuple[str, dict[Detector, list[Candidate]], list[Mark]]:
    text = draw(st.text(alphabet="ab 1e\u0301🙂語\x1b.-", min_size=1, max_size=24))
    stretch = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda s: s[0] < s[1])
    stretches = st.lists(stretch, max_size=4) if len(text) else st.just([])
    candidates: dict[Detector, list[Candidate]] = {}
    for detector in ("reference", "signal"):
        found = [Candidate(start, end, text[start:end], 0.5) for start, end in draw(stretches)]
        candidates[detector] = found  # type: ignore[index]  # a name of the literal
    labels = st.sampled_from(["hallucinated", "correct"])
    marks = [Mark("sft", "p", start, end, text[start:end], draw(labels)) for start, end in draw(stretches)]
    return text, candidates, marks


@settings(max_examples=80, deadline=None)
@given(painted())
def test_flags_never_overlap_and_say_what_stands(case: tuple[str, dict[Detector, list[Candidate]], list[Mark]]) -> None:
    text, candidates, marks = case
    flags = flags_of(text, candidates, marks)
    for flag in flags:
        assert text[flag.start : flag.end] == flag.text != ""
    for before, after in pairwise(flags):
        assert before.end <= after.start
    if marks:
        last = marks[-1]
        assert any((flag.start, flag.end, flag.label) == (last.start, last.end, last.label) for flag in flags)
    else:
        covered = {at for found in candidates.values() for one in found for at in range(one.start, one.end)}
        assert covered == {at for flag in flags for at in range(flag.start, flag.end)}
