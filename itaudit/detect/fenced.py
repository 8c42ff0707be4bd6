"""What is asked of a judge, with hostile text as data behind fences, and the one JSON object that it answers with."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, TypeVar

import regex

from itaudit.runs.judgements import Failure
from itaudit.simplify.answers import without_thinking
from itaudit.simplify.checks import refuses

# What chat templates are made of: `<|user|>`, `</s>`, `[INST]`, `<start_of_turn>`.
_MARKUP = regex.compile(r"(?<=[<\[])(?=[<\[/|｜\p{L}])")
_INVISIBLE = "\u200b"
_REASON = 200
_LONGEST = 100_000
_TRIES = 200

Answered = TypeVar("Answered")


class BrokenAnswer(Exception):
    """An answer that can't be read, in one line; another one may be asked for."""


class NoJudgement(Exception):
    """Why there is no judgement, in one line; asking once more would not help."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


def digest_of(*parts: bytes) -> bytes:
    """32 bytes that tell these parts from any others."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.digest()


def question_key(*texts: str) -> str:
    """Tells what is asked about some texts from whatever else is, by the same prompt."""
    return digest_of(*map(encoded, texts)).hex()[:32]


def encoded(text: str) -> bytes:
    """A text's bytes, even where it holds half a surrogate pair."""
    return text.encode("utf-8", "surrogatepass")


def draw_code(random: Random, texts: tuple[str, ...]) -> str:
    """A code for the lines of the fences that none of the texts holds."""
    return next(code for code in _codes(random) if not any(code in text for text in texts))


def _codes(random: Random) -> Iterator[str]:
    while True:
        yield f"{random.getrandbits(48):012x}"


def fenced(name: str, code: str, text: str) -> str:
    """A text between two lines; what a chat template would take for its own markup is parted by something invisible."""
    return f"----- {name} {code} begins -----\n{_MARKUP.sub(_INVISIBLE, text)}\n----- {name} {code} ends -----"


def filled(prompt: str, told: Mapping[str, str]) -> str:
    """The prompt with its places filled; a paragraph whose place has nothing to stand in it is left out."""
    place = regex.compile(r"\{(" + "|".join(told) + r")\}")
    paragraphs = regex.split(r"\n[ \t]*\n", prompt.strip())
    kept = [p for p in paragraphs if all(told[name] for name in place.findall(p))]
    return str(place.sub(lambda match: told[match[1]], "\n\n".join(kept)))


def read_object(
    answer: str, finish: str, pick: Callable[[dict[str, Any]], Answered | None], with_what: str
) -> Answered:
    """What `pick` finds in the one JSON object of an answer, whatever stands around it.

    `finish` is why the answer stopped, `length` where it ran out of tokens; `with_what` is looked for, in words.
    Raises NoJudgement where the judge did not answer, BrokenAnswer where no object has it or several differ.
    """
    if finish == "length":
        raise NoJudgement(
            "cut off", "the judge's answer was cut off; raise its max_tokens, or max_new_tokens of a local one"
        )
    text = without_thinking(answer)
    if not text.strip():
        raise NoJudgement("empty", "the judge answered nothing")
    objects = list(_objects(text))
    found = [picked for told in objects if (picked := pick(told)) is not None]
    # A reason may quote an answer that refuses.
    if not objects and refuses(text):
        raise NoJudgement("refused", "the judge refuses to answer")
    if not found:
        raise BrokenAnswer(f"the judge's answer holds no JSON object with {with_what}")
    if any(other != found[0] for other in found):
        raise BrokenAnswer("the judge gave several answers that differ")
    return found[0]


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, whatever stands around them."""
    if len(text) > _LONGEST:
        return
    decoder, at = json.JSONDecoder(object_pairs_hook=_told_once), text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            return
        try:
            told, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            # Not JSON, a number of thousands of digits, or a key with two values.
            end = at + 1
        else:
            if isinstance(told, dict):
                yield told
        at = text.find("{", end)


def _told_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its pairs. Raises ValueError where a key has two values: nobody knows which one is meant."""
    told: dict[str, Any] = {}
    for key, value in pairs:
        if told.setdefault(key, value) != value:
            raise ValueError(f"{key} stands twice")
    return told


def reason_line(text: str) -> str:
    """A judge's reason in one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _REASON else f"{line[: _REASON - 1]}…"
