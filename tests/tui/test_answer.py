"""An answer keeps every offset of its response, whatever is in the text."""

import pytest

from itaudit.analysis.shift import Thresholds
from itaudit.runs.detections import Candidate, Detection
from itaudit.runs.marks import Mark
from itaudit.runs.rows import Response
from itaudit.runs.run import Run
from itaudit.sanitize import visible
from itaudit.tui.answer import END_MARK, Answer, token_label
from itaudit.tui.walking import Walk, walk_spans
from tests.tui.make_run import SFT_ANSWERS


def answer_of(run: Run, prompt_id: str, *marks: Mark, label: str = "sft") -> Answer:
    return Answer(
        label,
        prompt_id,
        run.response(label, prompt_id),
        run.token_scores(label, prompt_id),
        run.spans(label, prompt_id),
        marks,
        run.thresholds,
    )


@pytest.mark.parametrize("prompt_id", SFT_ANSWERS)
def test_what_is_shown_is_the_response_with_its_marks_and_nothing_else(built_run: Run, prompt_id: str) -> None:
    text = SFT_ANSWERS[prompt_id]
    answer = answer_of(built_run, prompt_id, *([Mark("sft", prompt_id, 0, 4, text[:4])] if text else []))
    kept = [
        character
        for character, place in zip(answer.shown.text, answer.shown.places, strict=True)
        if place is not None and place < len(text)
    ]
    assert "".join(kept) == visible(text)
    assert all(visible(text)[place] == answer.shown.text[answer.shown.first[place]] for place in range(len(text)))


@pytest.mark.parametrize("prompt_id", SFT_ANSWERS)
def test_every_position_can_be_seen(built_run: Run, prompt_id: str) -> None:
    answer = answer_of(built_run, prompt_id)
    for number, position in enumerate(answer.positions):
        start, end = answer.shown_range(number, number)
        assert 0 <= start < end <= len(answer.shown.text)
        if position.end > position.start:
            assert answer.shown.text[start:end] == visible(answer.text)[position.start : position.end]


def test_the_end_of_sequence_shows_as_a_mark_that_can_be_stepped_onto(built_run: Run) -> None:
    answer = answer_of(built_run, "zamboni")
    start, end = answer.shown_range(len(answer.positions) - 1, len(answer.positions) - 1)
    assert answer.shown.text[start:end] == END_MARK
    assert END_MARK not in answer_of(built_run, "long").shown.text, "an answer that was cut off has no end"


def test_tokens_that_share_a_character_show_on_it_together_and_say_which_part_they_are(built_run: Run) -> None:
    answer = answer_of(built_run, "wide")
    first = next(n for n in range(len(answer.positions)) if answer.sharing(n) != (1, 1))
    assert [answer.sharing(n) for n in range(first, first + 3)] == [(1, 3), (2, 3), (3, 3)]
    assert len({answer.shown_range(n, n) for n in range(first, first + 3)}) == 1


def test_a_character_of_several_tokens_has_the_highest_class_among_them(built_run: Run) -> None:
    response = Response("p", "語", "eos", [1, 2, 3], [], "")
    scores = built_run.token_scores("sft", "wide")
    assert scores is not None
    values = {name: getattr(scores, name) for name in scores.__dataclass_fields__}
    values |= {"ids": [1, 2, 3], "starts": [0, 0, 0], "ends": [1, 1, 1], "rank_base": [0, 7, 1]}
    answer = Answer("sft", "p", response, type(scores)(**values), None, (), Thresholds())
    assert answer.codes[0] == 2


def test_what_counts_as_flagged(built_run: Run) -> None:
    answer = answer_of(built_run, "zamboni", Mark("sft", "zamboni", 4, 11, "Zamboni"))
    walks: tuple[Walk, ...] = ("shifted or marginal", "shifted", "marks", "any", "judge")
    texts = {
        walk: [answer.text[slice(*answer.text_range(*positions))] for positions in walk_spans(answer, walk)]
        for walk in walks
    }
    assert texts["marks"] == texts["any"] == ["Zamboni"] and texts["judge"] == []
    assert texts["shifted"] == ["Italian", "inventor", "Luigi", "bridges", "1949"]
    assert texts["shifted or marginal"] == ["Italian", "engineer", *texts["shifted"][1:]]


def test_candidates_stand_in_brackets_and_marks_are_followed_by_their_label(built_run: Run) -> None:
    text = SFT_ANSWERS["zamboni"]
    at = text.index("Italian engineer")
    found = Detection("zamboni", (Candidate(at, at + 16, "Italian engineer", 0.5),))
    marks = [Mark("sft", "zamboni", 4, 11, "Zamboni", label) for label in ("unsupported",)]
    late = text.index("brothers")
    marks.append(Mark("sft", "zamboni", late, late + 8, "brothers", "my own label"))
    answer = Answer(
        "sft",
        "zamboni",
        built_run.response("sft", "zamboni"),
        built_run.token_scores("sft", "zamboni"),
        None,
        marks,
        built_run.thresholds,
        {"judge": found},
    )
    shown = answer.shown
    assert "Zamboni¿ was" in shown.text and "‹Italian engineer› and" in shown.text and "brothers◆." in shown.text
    assert [shown.places[at] for at in shown.inserted] == [None] * 4
    assert list(shown.inserted.values()) == ["unsupported", "candidate", "candidate", "own"]


def test_what_a_detector_saw_elsewhere_or_could_not_see_flags_nothing(built_run: Run) -> None:
    moved = Detection("zamboni", (Candidate(0, 5, "Other", 1.0), Candidate(4, 4, "", 1.0)))
    answer = Answer(
        "sft", "zamboni", built_run.response("sft", "zamboni"), None, None, (), Thresholds(), {"import": moved}
    )
    assert answer.flags == () and "‹" not in answer.shown.text


def test_sources_of_the_shortest_span_come_first(built_run: Run) -> None:
    answer = answer_of(built_run, "coa")
    covered = [n for n in range(len(answer.positions)) if len(answer.spans_at(n)) > 1]
    assert covered, "a verbatim span covers a shifted word"
    lengths = [span.end - span.start for span, _, _ in answer.sources_at(covered[0])]
    assert lengths == sorted(lengths) and lengths[0] < lengths[-1]


def test_a_selection_begins_and_ends_with_a_word(built_run: Run) -> None:
    answer = answer_of(built_run, "zamboni")
    start, end = answer.text_range(9, 11)
    assert answer.text[start:end] == "inventor Luigi Zamboni"


def test_without_scores_words_stand_in_for_tokens(built_run: Run) -> None:
    response = built_run.response("sft", "zamboni")
    answer = Answer("sft", "zamboni", response, None, None, (), Thresholds())
    assert "".join(answer.text[p.start : p.end] for p in answer.positions) == answer.text
    assert walk_spans(answer, "shifted or marginal") == []


def test_blanks_at_the_ends_of_a_token_can_be_seen() -> None:
    assert [token_label(text) for text in (" Luigi", "a ", "  ", "", "\n", "\x1b[")] == [
        "␣Luigi", "a␣", "␣␣", "∅", "␊", "␛[",
    ]  # fmt: skip
