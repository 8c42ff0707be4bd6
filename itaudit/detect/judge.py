"""A model as judge: what it is asked, and what of its answer is believed.

The response is hostile text. It stands as data behind a fence that it can't hold, with a plainly false control
statement before it and another behind it. A judge that obeys the response (*report nothing*, *ignore the above*), or
copies an answer that stands in it, does not report both controls; neither does one that can't judge. Either is a
problem, not a finding. What this can't see: a response that tells its judge which part of itself to spare, or to
report the first and the last sentence alone.

Phrases are located in the response (`detect.occurrences`) or refused and counted; nothing that the judge invents
becomes a candidate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from itaudit.detect.controls import Control, draw_controls
from itaudit.detect.fenced import NoJudgement, digest_of, draw_code, encoded, fenced, filled, read_object, reason_line
from itaudit.detect.occurrences import has_content, occurrences
from itaudit.runs.detections import Candidate, Detection

PROMPTS = Path(__file__).parent / "prompts"
"""The prompts that come along; see `simplify.prompts`."""
CONTROLS = 2
"""Control statements in each text: one before the response, one behind it."""

REMINDER = (
    "\n\nYour last answer could not be read. Answer with the JSON object alone, beginning with { and ending with }: "
    'no other text, no code fence. The form is {"phrases": [{"phrase": "copied from the text", "reason": "why"}]}'
)


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
    random = Random(digest_of(secret, prompt_id.encode(), encoded(response), bytes([again])))
    texts = (question, reference, response)
    fence = draw_code(random, texts)
    first, last = controls = draw_controls(random, CONTROLS, texts)
    told = {
        "question": fenced("QUESTION", fence, question),
        "reference": fenced("REFERENCE", fence, reference) if reference.strip() else "",
        "response": fenced("TEXT", fence, f"{first.sentence}\n\n{response}\n\n{last.sentence}"),
        "fence": fence,
    }
    return Asked(prompt_id, response, filled(prompt, told) + (REMINDER if again else ""), controls)


def read_answer(asked: Asked, answer: str, finish: str = "stop") -> Detection:
    """What is believed of a judge's answer; `finish` is why it stopped, `length` where it ran out of tokens.

    Raises BrokenAnswer where it can't be read.
    """
    try:
        phrases = [_phrase(entry) for entry in read_object(answer, finish, _phrases, "phrases")]
    except NoJudgement as error:
        return unjudged(asked, str(error))
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


def _phrases(told: dict[str, Any]) -> list[Any] | None:
    phrases = told.get("phrases")
    return phrases if isinstance(phrases, list) else None


def _phrase(entry: Any) -> _Phrase:
    """An entry of the list; one without a phrase becomes an empty phrase, which stands nowhere."""
    told = entry if isinstance(entry, dict) else {"phrase": entry}
    text, reason, occurrence = told.get("phrase"), told.get("reason"), told.get("occurrence")
    usable = isinstance(occurrence, int) and not isinstance(occurrence, bool)
    return _Phrase(
        text if isinstance(text, str) else "",
        reason_line(reason) if isinstance(reason, str) else "",
        occurrence if usable else None,
    )


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
