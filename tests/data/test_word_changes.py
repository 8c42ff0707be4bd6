"""The difference of two texts, word by word."""

from hypothesis import given
from hypothesis import strategies as st

from itaudit.data.diff import word_changes
from tests.pace import cpu_seconds, slowness

TEXTS = st.text(st.sampled_from("ab cd.,\n\t\r\u2028é漢_"), max_size=40)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_off_their_difference(before: str, after: str) -> None:
    changes = word_changes(before, after)
    assert "".join(text for kind, text in changes if kind != "added") == before
    assert "".join(text for kind, text in changes if kind != "removed") == after
    assert all(text for _, text in changes)
    assert before != after or all(kind == "same" for kind, _ in changes)


def test_words_that_moved_to_another_line_stay_the_same_words() -> None:
    assert word_changes("one two", "one\ntwo") == [("same", "one"), ("removed", " "), ("added", "\n"), ("same", "two")]
    assert word_changes(" one", "one") == [("removed", " "), ("same", "one")]


def test_long_answers_are_compared_while_one_waits_for_the_key() -> None:
    words = [f"w{number * 7919 % 400}" for number in range(1500)]
    assert cpu_seconds(lambda: word_changes(" ".join(words), " ".join(words[::2]))) < 0.5 * slowness()
