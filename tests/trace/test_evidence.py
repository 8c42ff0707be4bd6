"""Evidence slices back to its field, phrases come before words, and the response before other fields."""

from hypothesis import given
from hypothesis import strategies as st

from itaudit.analysis.words import word_keys
from itaudit.data.instance import Instance, Message
from itaudit.trace.evidence import EVIDENCE_KEPT, fields, find_evidence

ODD = st.text(alphabet="aAb '’é\u0301日\x1b[/]\x00\u202e\n", max_size=30)


def found(instance: Instance, span: str) -> list[tuple[str, int, int, str]]:
    return [(e.field, e.start, e.end, e.text) for e in find_evidence(instance, word_keys(span))]


def test_a_phrase_is_shown_where_it_stands_whole_and_its_words_only_where_it_does_not(
    scientists: list[Instance],
) -> None:
    galvani = scientists[0]
    assert found(galvani, "luigi GALVANI") == [
        ("response", 22, 35, "Luigi Galvani"),
        ("instruction", 8, 21, "Luigi Galvani"),
    ]
    assert found(galvani, "the frogs of Luigi") == [
        ("response", 22, 27, "Luigi"),
        ("response", 44, 49, "frogs"),
        ("response", 51, 56, "Luigi"),
        ("instruction", 8, 13, "Luigi"),
    ]
    assert found(galvani, "gal") == found(galvani, "") == found(galvani, "of which") == []


def test_every_message_is_searched_and_named(scientists: list[Instance]) -> None:
    assert found(scientists[2], "Luigi") == [("input", 9, 14, "LUIGI"), ("later[0]", 8, 13, "luigi")]
    assert found(scientists[2], "radio brief") == [("history[0]", 3, 8, "brief"), ("history[1]", 17, 22, "radio")]


def test_a_frequent_word_does_not_crowd_out_a_rare_one() -> None:
    instance = Instance(0, "0", "", "", "apple " * 50 + "pear")
    shown = [text for *_, text in found(instance, "pear apple")]
    assert shown == ["apple"] * (EVIDENCE_KEPT - 1) + ["pear"]


@given(ODD, ODD, ODD, ODD)
def test_offsets_slice_back_to_the_text_of_the_field(instruction: str, response: str, later: str, span: str) -> None:
    instance = Instance(0, "0", instruction, "", response, later=(Message("user", later),))
    texts = dict(fields(instance))
    keys = word_keys(span)
    for field, start, end, text in found(instance, span):
        assert texts[field][start:end] == text
        assert word_keys(text) == keys or (len(keys) > 1 and word_keys(text)[0] in keys)
