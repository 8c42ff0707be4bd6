"""Where each token of a response stands in its text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_INCOMPLETE = "\ufffd"
"""What tokenizers decode the first bytes of an unfinished character to."""


@dataclass(frozen=True, slots=True)
class TokenOffsets:
    """A response's exact text, and half-open character offsets of each of its tokens.

    Tokens that share one multi-byte character all cover that character. Special tokens, which have no text, stand
    at the place where they were emitted, with start equal to end.
    """

    text: str
    starts: list[int]
    ends: list[int]


def token_offsets(tokenizer: Any, ids: Sequence[int]) -> TokenOffsets:
    """The offsets of `ids` in the text that they decode to.

    A sliding window keeps decoding linear in the number of tokens. A tokenizer whose text of a window depends on
    what stands before it is decoded from the start for every token instead.
    """
    text = _decode(tokenizer, ids)
    starts: list[int] = []
    ends: list[int] = []
    # ids[window:known] decode to text that is known to end at `done`; tokens from `known` on are pending.
    window = known = done = 0
    for position in range(len(ids)):
        before = _decode(tokenizer, ids[window:known])
        now = _decode(tokenizer, ids[window : position + 1])
        fresh = now[len(before) :] if now.startswith(before) else ""
        whole = fresh.rstrip(_INCOMPLETE)
        pending = position > known
        # A pending token covers what it completes and the one character that it begins.
        start = ends[-1] - 1 if pending else done
        if len(whole) < len(fresh) and position + 1 < len(ids):
            starts.append(start)
            ends.append(done + len(whole) + 1)
        else:
            starts.append(start)
            done += len(fresh)
            ends.append(done)
            window, known = known, position + 1
    if ends and (ends[-1] != len(text) or any(e < s for s, e in zip(starts, ends, strict=True))):
        return _offsets_from_prefixes(tokenizer, ids, text)
    return TokenOffsets(text, starts, ends)


def _offsets_from_prefixes(tokenizer: Any, ids: Sequence[int], text: str) -> TokenOffsets:
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for position in range(len(ids)):
        prefix = _decode(tokenizer, ids[: position + 1])
        agreed = next((i for i, (a, b) in enumerate(zip(prefix, text, strict=False)) if a != b), None)
        end = min(len(prefix), len(text)) if agreed is None else agreed
        # A prefix that ends inside a character disagrees with the text there; the token still covers it.
        covers = end + 1 if agreed is not None and end < len(text) else end
        starts.append(done)
        ends.append(max(covers, done))
        done = max(end, done)
    if ends:
        ends[-1] = len(text)
    return TokenOffsets(text, starts, ends)


def vocabulary_texts(tokenizer: Any, size: int) -> list[str]:
    """What each token id below `size` reads as inside a text, leading spaces and special tokens included."""
    # Decoders strip the space of a first token, so each is decoded behind another one.
    anchor = list(tokenizer(":", add_special_tokens=False)["input_ids"])
    prefix = tokenizer.decode(anchor, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    known = len(tokenizer)
    texts = tokenizer.batch_decode(
        [[*anchor, token] for token in range(min(size, known))],
        skip_special_tokens=False,
        clean_up_tokenization_spaces=False,
    )
    # Some models pad their logits beyond the tokenizer's vocabulary.
    return [text.removeprefix(prefix) for text in texts] + [f"<unused {token}>" for token in range(known, size)]


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))
