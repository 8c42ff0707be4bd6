"""A model as judge: what it is asked, and what of its answer is believed.

The response is hostile text. It stands as data behind a fence that it can't hold, with a plainly false control
statement before it and another behind it. A judge that obeys the response (*report nothing*, *ignore the above*), or
copies an answer that stands in it, does not report both controls; neither does one that can't judge. Either is a
problem, not a finding. What this can't see: a response that tells its judge which part of itself to spare, or to
report the first and the last sentence alone.

Phrases are located in the response (`detect.occurrences`) or refused and counted; nothing that the judge invents
becomes a candidate.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import regex

from itaudit.detect.controls import Control, draw_controls
from itaudit.detect.occurrences import has_content, occurrences
from itaudit.runs.detections import Candidate, Detection
from itaudit.simplify.answers import without_thinking
from itaudit.simplify.checks import refuses

PROMPTS = Path(__file__).parent / "prompts"
"""The prompts that come along; see `simplify.prompts`."""
CONTROLS = 2
"""Control statements in each text: one before the response, one behind it."""

REMINDER = (
    "\n\nYour last answer could not be read. Answer with the JSON object alone, beginning with { and ending with }: "
    'no other text, no code fence. The form is {"phrases": [{"phrase": "copied from the text", "reason": "why"}]}'
)
_PLACE = regex.compile(r"\{(question|reference|response|fence)\}")
# What chat templates are made of: `<|user|>`, `</s>`, `[INST]`, `<start_of_turn>`.
_MARKUP = regex.compile(r"(?<=[<\[])(?=[<\[/|｜\p{L}])")
_INVISIBLE = "\u200b"
_REASON = 200
_LONGEST = 100_000
_TRIES = 200


class BrokenAnswer(Exception):
    """An answer that can't be read, in one line; another one may be asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a judge is asked about one response."""

    prompt_id: str
    response: str
    text: str
    controls: tuple[Control, ...]


def ask(
    prompt: str, prompt_id: str, question: str, reference: str, response: str, *, secret: bytes, again: bool = False
) -> Asked:
    """The judge's question, a prompt with its places filled; `again` is the second try, with a reminder.

    `secret` decides on the fence and the controls, so that whoever wrote the response can't know them, and the same
    question is asked each time. Raises ValueError where the response holds the control statements themselves.
    """
    digest = hashlib.sha256()
    for part in (secret, prompt_id.encode(), response.encode("utf-8", "surrogatepass"), bytes([again])):
        digest.update(len(part).to_bytes(8) + part)
    random = Random(digest.digest())
    texts = (question, reference, response)
    fence = next(code for code in _codes(random) if not any(code in text for text in texts))
    first, last = controls = draw_controls(random, CONTROLS, texts)
    told = {
        "question": _fenced("QUESTION", fence, question),
        "reference": _fenced("REFERENCE", fence, reference) if reference.strip() else "",
        "response": _fenced("TEXT", fence, f"{first.sentence}\n\n{response}\n\n{last.sentence}"),
        "fence": fence,
    }
    return Asked(prompt_id, response, _filled(prompt, told) + (REMINDER if again else ""), controls)


def _codes(random: Random) -> Iterator[str]:
    while True:
        yield f"{random.getrandbits(48):012x}"


def _fenced(name: str, fence: str, text: str) -> str:
    """A text between two lines; what a chat template would take for its own markup is parted by something invisible."""
    return f"----- {name} {fence} begins -----\n{_MARKUP.sub(_INVISIBLE, text)}\n----- {name} {fence} ends -----"


def _filled(prompt: str, told: dict[str, str]) -> str:
    """The prompt with its places filled; a paragraph whose place has nothing to stand in it is left out."""
    paragraphs = regex.split(r"\n[ \t]*\n", prompt.strip())
    kept = [p for p in paragraphs if all(told[place] for place in _PLACE.findall(p))]
    return str(_PLACE.sub(lambda match: told[match[1]], "\n\n".join(kept)))


def read_answer(asked: Asked, answer: str, finish: str = "stop") -> Detection:
    """What is believed of a judge's answer; `finish` is why it stopped, `length` where it ran out of tokens.

    Raises BrokenAnswer where it can't be read.
    """
    if finish == "length":
        return unjudged(asked, "the judge's answer was cut off; raise its max_tokens, or max_new_tokens of a local one")
    text = without_thinking(answer)
    if not text.strip():
        return unjudged(asked, "the judge answered nothing")
    lists = [told["phrases"] for told in _objects(text) if isinstance(told.get("phrases"), list)]
    if not lists and refuses(text):
        return unjudged(asked, "the judge refuses to answer")
    if not lists:
        raise BrokenAnswer("the judge's answer holds no JSON object with phrases")
    if any(other != lists[0] for other in lists):
        raise BrokenAnswer("the judge gave several answers that differ")
    phrases = [_phrase(entry) for entry in lists[0]]
    reported = {
        phrase: [control for control in asked.controls if control.reported_by(phrase.text, asked.response)]
        for phrase in phrases
    }
    found, refused = _located(asked.response, [phrase for phrase in phrases if not reported[phrase]])
    if missed := len(asked.controls) - len({control for controls in reported.values() for control in controls}):
        return unjudged(
            asked,
            f"the judge was led astray, or can't judge: of {len(asked.controls)} planted false statements it missed "
            f"{missed}",
            refused,
        )
    if refused and not found:
        return unjudged(asked, "none of the phrases that the judge named stands in the response", refused)
    return Detection(asked.prompt_id, tuple(found), refused=refused)


def unjudged(asked: Asked, problem: str, refused: int = 0) -> Detection:
    """What is said of a response of whose judge nothing is believed."""
    return Detection(asked.prompt_id, (), problem, refused=refused)


@dataclass(frozen=True, slots=True)
class _Phrase:
    text: str
    reason: str
    occurrence: int | None


def _phrase(entry: Any) -> _Phrase:
    """An entry of the list; one without a phrase becomes an empty phrase, which stands nowhere."""
    told = entry if isinstance(entry, dict) else {"phrase": entry}
    text, reason, occurrence = told.get("phrase"), told.get("reason"), told.get("occurrence")
    usable = isinstance(occurrence, int) and not isinstance(occurrence, bool)
    return _Phrase(
        text if isinstance(text, str) else "",
        _line(reason) if isinstance(reason, str) else "",
        occurrence if usable else None,
    )


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, whatever stands around them."""
    if len(text) > _LONGEST:
        return
    decoder, at = json.JSONDecoder(), text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            return
        try:
            told, end = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            end = at + 1
        else:
            if isinstance(told, dict):
                yield told
        at = text.find("{", end)


def _located(response: str, phrases: Sequence[_Phrase]) -> tuple[list[Candidate], int]:
    """Candidates where phrases stand in a response, in order, and how many phrases stand nowhere.

    A phrase that stands more than once is a candidate at each place, or at the one that its occurrence, counted from
    1, tells. Function words alone name a place only if they stand once, or with an occurrence.
    """
    found: dict[tuple[int, int], str] = {}
    refused = 0
    for phrase in phrases:
        places = occurrences(response, phrase.text)
        if phrase.occurrence is not None and len(places) > 1:
            places = places[phrase.occurrence - 1 : phrase.occurrence] if phrase.occurrence > 0 else []
        elif len(places) > 1 and not has_content(phrase.text):
            places = []
        refused += not places
        for place in places:
            found.setdefault(place, phrase.reason)
    return [Candidate(start, end, response[start:end], 1.0, found[start, end]) for start, end in sorted(found)], refused


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _REASON else f"{line[: _REASON - 1]}…"
