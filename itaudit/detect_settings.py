"""Settings of the detectors: `[detect]` of a recipe, and `[judge]` of `config.toml`."""

import os
from typing import Annotated, Literal

from pydantic import Field

from itaudit.errors import UserError
from itaudit.model_settings import LocalModelSettings, ServerSettings
from itaudit.section import Positive, Section, Share, Temperature


class Consistency(Section):
    """How answers are sampled, and which words they have to bear out."""

    samples: Annotated[int, Field(ge=2, le=100)] = 5
    """Sampled answers of the model to each prompt."""
    temperature: Temperature = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    absent: Share = 0.8
    """Least share of the samples that lack a word, for it to be flagged."""


class JudgeLocal(LocalModelSettings):
    """A judge in a process of itaudit's own; it answers greedily."""

    max_new_tokens: Positive = 1024


class JudgeServer(ServerSettings):
    """A judge behind an OpenAI-compatible server."""

    max_tokens: Positive = 1024


class JudgeModel(Section):
    """A model that is asked to judge responses."""

    engine: Literal["local", "endpoint"] = "local"
    references: bool = True
    """Show the judge the reference answer, where the prompt has one."""
    local: JudgeLocal = JudgeLocal()
    endpoint: JudgeServer = JudgeServer()

    def require_engine(self, where: str) -> None:
        """Raises UserError where the judge can't be asked as it is set; `where` is the key of its table."""
        if self.engine == "endpoint" and not self.endpoint.base_url:
            raise UserError(
                f"{where}.endpoint.base_url: required, and missing; give the server's address, such as "
                "http://localhost:8000/v1 (--base-url on the command line)",
                code=2,
            )
        named = self.endpoint.api_key_env if self.engine == "endpoint" else ""
        if named and not os.environ.get(named):
            raise UserError(
                f"{where}.endpoint.api_key_env: the environment has no {named}; export the server's key in it", code=2
            )


PromptName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Of `prompts/NAME.txt` in the folder of the settings, or the one of that name that comes along."""


class Judge(JudgeModel):
    """A model that is asked for the hallucinated phrases of a response."""

    prompt: PromptName = "judge"


class Detect(Section):
    """Which detectors look for hallucinated tokens in the tuned models' responses."""

    detectors: list[Literal["reference", "signal", "consistency", "judge"]] = ["reference", "signal"]
    """In order; those beyond the first two ask a model, and take their time."""
    consistency: Consistency = Consistency()
    judge: Judge | None = None
    """Without it the judge is that of `[judge]` in `config.toml`."""
