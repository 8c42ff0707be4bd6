"""Which of two answers is better: what a judge is asked, what of its answer is believed, and what both orders say.

Judges favour places: each pair is judged in both orders, and a preference counts in full only where both agree.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from itaudit.detect.fenced import read_object, reason_line
from itaudit.evaluation.asking import Asked, ask, checked
from itaudit.runs.judgements import Preference, Verdict

_REMINDER = (
    "Your last answer could not be read. Answer with the JSON object alone, beginning with { and ending with }: no "
    "other text, no code fence. It has the code {code} as code, a reason in a few words, and first, second or tie as "
    "better."
)


class _Verdict(BaseModel):
    model_config = ConfigDict(strict=True)

    reason: Annotated[str, Field(pattern=r"\w")]
    better: Literal["first", "second", "tie"]


def ask_pair(
    prompt: str, question: str, reference: str, first: str, second: str, *, secret: bytes, again: bool = False
) -> Asked:
    """What a judge is asked about two answers; `again` is the second try, with a reminder."""
    texts = {"question": question, "reference": reference, "first": first, "second": second}
    return ask(prompt, texts, _REMINDER if again else "", secret=secret)


def read_pair(asked: Asked, answer: str, finish: str = "stop") -> tuple[Verdict, str]:
    """The verdict and its reason. Raises NoJudgement and BrokenAnswer as `read_object` does."""

    def verdict(told: dict[str, Any]) -> dict[str, Any] | None:
        return told if told.get("code") == asked.code and "better" in told else None

    found = checked(_Verdict, read_object(answer, finish, verdict, "a verdict and the code of its question"))
    return found.better, reason_line(found.reason)


@dataclass(frozen=True, slots=True)
class BothOrders:
    """What a judge said of two models' answers to one prompt, each shown first once.

    `points` are the first model's: a half for each order in which its answer is better, a quarter for a tie.
    """

    points: float
    winner: Literal["first", "second"] | None
    """The model that both orders prefer, or one of them where the other has a tie; None for a tie."""
    order_decides: bool
    """Whether the orders say different things."""
    shown_first: float
    """How often what was shown first was better, of the two orders; a tie is a half of one. 0.5 is no bias."""
    same: bool


def both_orders(shown: Preference, swapped: Preference) -> BothOrders | None:
    """What two preferences say together; `swapped` is the one in which the second model's answer stood first.

    None where either is no judgement.
    """
    if shown.better is None or swapped.better is None:
        return None
    worth = {"first": 1.0, "tie": 0.5, "second": 0.0}
    one, other = worth[shown.better], 1 - worth[swapped.better]
    points = (one + other) / 2
    return BothOrders(
        points,
        winner=None if points == 0.5 else "first" if points > 0.5 else "second",
        order_decides=one != other,
        shown_first=(one + 1 - other) / 2,
        same=shown.same,
    )
