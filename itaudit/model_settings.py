"""Settings of a model that is asked: one in a process of itaudit's own, or one behind a server."""

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from itaudit.section import Count, Positive, Section


class LocalModelSettings(Section):
    """A model in a process of itaudit's own."""

    model: str = "embedded"
    """Hub name, local directory, GGUF file, or `embedded` (SmolLM2-135M-Instruct)."""
    revision: str = "main"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    template: str = "auto"
    """As `context.template` of a recipe."""
    trust_remote_code: bool = False
    max_new_tokens: Positive = 512
    batch_size: Positive = 4
    """Answers that are generated together in a job."""


class ServerSettings(Section):
    """A model behind an OpenAI-compatible server."""

    base_url: str = ""
    """Up to and with `/v1`, such as `http://localhost:8000/v1`."""
    model: str = ""
    """As the server calls it; empty is the only one that it serves."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; empty sends none. The key itself is in no file."""
    max_tokens: Positive = 512
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Of the first try."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds that one request may take."""
    retries: Count = 3
    """Further tries where the server is busy, fails or can't be reached."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8
    """Requests that are under way at once."""
    extra: dict[str, Any] = {}
    """Further fields of each request, as the server knows them: `chat_template_kwargs = {enable_thinking = false}`.
    With `max_completion_tokens` here, which some servers want instead, `max_tokens` is not sent."""

    @model_validator(mode="after")
    def _is_an_address(self) -> Self:
        address = urlsplit(self.base_url)
        if address.username or address.password or address.query:
            raise ValueError("base_url: holds a user, a password or a query; secrets belong in the environment only")
        if self.base_url and not (address.scheme in ("http", "https") and address.hostname):
            raise ValueError(f"base_url: expected http://HOST:PORT/v1 or https://…, not {self.base_url!r}")
        # The mistake that would put a key into a file, and into every message that names the variable.
        if self.api_key_env and not self.api_key_env.replace("_", "a").isalnum():
            raise ValueError("api_key_env: expected the name of an environment variable, and not the key itself")
        return self
