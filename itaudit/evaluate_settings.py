"""Settings of evaluation: `[evaluate]` of a recipe."""

from typing import Annotated, Literal

from pydantic import Field

from itaudit.detect_settings import JudgeModel, PromptName
from itaudit.section import Section

Question = Literal["aspects", "pairs"]
"""What a judge is asked: five aspects of an answer from 1 to 5, or which of two answers is better."""


class Evaluate(Section):
    """How answers are evaluated beyond token distribution shift."""

    judge: JudgeModel | None = None
    """Asked at the end of the run; without it `itaudit evaluate --judge` asks that of `[judge]` in `config.toml`."""
    questions: Annotated[list[Question], Field(min_length=1)] = ["aspects", "pairs"]
    pairs: list[Annotated[str, Field(pattern=r"^[a-z0-9_-]+:[a-z0-9_-]+$")]] = []
    """Labels whose answers are compared, such as `lft:sft`; empty is each tuned model beside the first."""
    aspects_prompt: PromptName = "aspects"
    pair_prompt: PromptName = "pair"
