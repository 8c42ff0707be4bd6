"""Offsets of tokens in the exact text of a response."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.engine.offsets import _offsets_from_prefixes, token_offsets, vocabulary_texts
from tests.engine.conftest import make_tokenizer

TOKENIZER = make_tokenizer()
EOS = TOKENIZER.eos_token_id


def assert_offsets_cover(text: str, starts: list[int], ends: list[int]) -> None:
    assert all(0 <= start <= end <= len(text) for start, end in zip(starts, ends, strict=True))
    assert starts == sorted(starts) and ends == sorted(ends)
    covered = {at for start, end in zip(starts, ends, strict=True) for at in range(start, end)}
    assert covered == set(range(len(text)))


@settings(deadline=None)
@given(st.text(max_size=40))
def test_offsets_of_any_text_cover_it_in_order(text: str) -> None:
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    offsets = token_offsets(TOKENIZER, ids)
    assert offsets.text == TOKENIZER.decode(ids)
    assert_offsets_cover(offsets.text, offsets.starts, offsets.ends)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(TOKENIZER) - 1), max_size=40))
def test_offsets_of_any_tokens_cover_what_they_decode_to(ids: list[int]) -> None:
    offsets = token_offsets(TOKENIZER, ids)
    assert offsets.text == TOKENIZER.decode(ids, skip_special_tokens=True)
    assert_offsets_cover(offsets.text, offsets.starts, offsets.ends)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_the_slow_way_covers_too(text: str) -> None:
    ids = TOKENIZER(text, add_special_tokens=False)["input_ids"]
    decoded = TOKENIZER.decode(ids)
    offsets = _offsets_from_prefixes(TOKENIZER, ids, decoded)
    assert_offsets_cover(decoded, offsets.starts, offsets.ends)


def test_tokens_of_one_character_all_cover_it() -> None:
    ids = TOKENIZER("a🙂b")["input_ids"]
    offsets = token_offsets(TOKENIZER, ids)
    assert len(ids) > 3
    assert [(s, e) for s, e in zip(offsets.starts, offsets.ends, strict=True)] == [
        (0, 1),
        *[(1, 2)] * (len(ids) - 2),
        (2, 3),
    ]


def test_eos_stands_at_the_end_and_has_no_text() -> None:
    offsets = token_offsets(TOKENIZER, [*TOKENIZER("Paris")["input_ids"], EOS])
    assert (offsets.text, offsets.starts[-1], offsets.ends[-1]) == ("Paris", 5, 5)


def test_an_answer_cut_off_inside_a_character_keeps_its_mark() -> None:
    ids = TOKENIZER("a🙂")["input_ids"][:-1]
    offsets = token_offsets(TOKENIZER, ids)
    assert offsets.text.startswith("a") and offsets.ends[-1] == len(offsets.text)
    assert_offsets_cover(offsets.text, offsets.starts, offsets.ends)


def test_no_tokens_have_no_text() -> None:
    assert token_offsets(TOKENIZER, []).text == ""


def test_vocabulary_keeps_leading_spaces_and_names_special_tokens() -> None:
    texts = vocabulary_texts(TOKENIZER, len(TOKENIZER) + 2)
    (the,) = TOKENIZER(" the")["input_ids"]
    assert texts[the] == " the"
    assert texts[EOS] == "</s>"
    assert texts[-1] == f"<unused {len(TOKENIZER) + 1}>"


@pytest.mark.slow
def test_offsets_of_the_embedded_models_tokenizer_cover_mixed_scripts() -> None:
    import transformers

    from itaudit.engine.embedded import embedded_model_dir

    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(embedded_model_dir())
    text = "Hello 🙂 wörld 漢字 👩‍👩‍👧 a\n\n\tb é e\u0301"
    offsets = token_offsets(tokenizer, tokenizer(text)["input_ids"])
    assert offsets.text == text
    assert_offsets_cover(text, offsets.starts, offsets.ends)
