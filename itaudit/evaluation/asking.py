"""What a judge is asked about answers, in fences of their own code, and the check of what it answers.

An answer that is judged may hold a ready-made judgement for its judge to copy. The code of the fences is drawn from a
secret until no text holds it, and a judgement that lacks it is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from itaudit.detect.fenced import BrokenAnswer, digest_of, draw_code, encoded, fenced, filled

PROMPTS = Path(__file__).parent / "prompts"
"""The prompts that come along; see `simplify.prompts`."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Asked:
    """A judge's question, and the code that its answer has to repeat."""

    text: str
    code: str


def ask(prompt: str, texts: Mapping[str, str], reminder: str, *, secret: bytes) -> Asked:
    """A prompt with texts in the places of their names, each behind a fence, and the reminder after it, which may name
    the `{code}`.

    An empty reference leaves out its paragraph. `secret` decides on the code, so that whoever wrote a text can't know
    it, and the same question is asked each time.
    """
    random = Random(digest_of(secret, *map(encoded, texts.values()), reminder.encode()))
    code = draw_code(random, tuple(texts.values()))
    told = {name: fenced(name.upper(), code, text) for name, text in texts.items()}
    if not texts.get("reference", "").strip():
        told["reference"] = ""
    whole = filled(prompt, {**told, "fence": code})
    return Asked(f"{whole}\n\n{reminder.replace('{code}', code)}" if reminder else whole, code)


def checked(kind: type[M], told: Mapping[str, Any]) -> M:
    """A judgement of its form. Raises BrokenAnswer, in a line, where it is not of it."""
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, problem["loc"]))
        raise BrokenAnswer(f"the judge's answer: {key}: {problem['msg']}") from None
