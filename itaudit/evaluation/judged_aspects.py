"""A judge's rating of one answer by aspect: what it is asked, and what of its own answer is believed.

What this can't see: an answer that talks its judge into better scores.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from itaudit.detect.fenced import read_object, reason_line
from itaudit.evaluation.asking import Asked, ask, checked
from itaudit.evaluation.aspects import ASPECTS, HIGHEST, LOWEST

_REMINDER = (
    "Your last answer could not be read. Answer with the JSON object alone, beginning with { and ending with }: no "
    f"other text, no code fence. It has the code {{code}} as code, and for each of {', '.join(ASPECTS)} an object with "
    f"a reason in a few words and a score, a whole number from {LOWEST} to {HIGHEST}."
)


class _Scored(BaseModel):
    model_config = ConfigDict(strict=True)

    reason: Annotated[str, Field(pattern=r"\w")]
    score: Annotated[int, Field(ge=LOWEST, le=HIGHEST)]


_FIELDS: dict[str, Any] = {aspect: (_Scored, ...) for aspect in ASPECTS}
_Rating = create_model("_Rating", **_FIELDS)


def ask_aspects(
    prompt: str, question: str, reference: str, response: str, *, secret: bytes, again: bool = False
) -> Asked:
    """What a judge is asked about one answer; `again` is the second try, with a reminder."""
    texts = {"question": question, "reference": reference, "response": response}
    return ask(prompt, texts, _REMINDER if again else "", secret=secret)


def read_aspects(asked: Asked, answer: str, finish: str = "stop") -> tuple[dict[str, int], dict[str, str]]:
    """Scores and reasons by aspect. Raises NoJudgement and BrokenAnswer as `read_object` does."""

    def rating(told: dict[str, Any]) -> dict[str, Any] | None:
        return told if told.get("code") == asked.code and not told.keys().isdisjoint(ASPECTS) else None

    found = checked(_Rating, read_object(answer, finish, rating, "ratings and the code of its question"))
    scored: dict[str, _Scored] = {aspect: getattr(found, aspect) for aspect in ASPECTS}
    return {a: one.score for a, one in scored.items()}, {a: reason_line(one.reason) for a, one in scored.items()}
