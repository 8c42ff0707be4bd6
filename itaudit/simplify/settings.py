"""What the user chose for simplification: `[simplify]` in `config.toml`."""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from itaudit import paths
from itaudit.errors import UserError
from itaudit.recipe import Count, Positive, Section, Share

EngineName = Literal["extractive", "local", "endpoint"]
ENGINES: tuple[EngineName, ...] = ("extractive", "local", "endpoint")

_Seconds = Annotated[float, Field(gt=0)]
_Price = Annotated[float, Field(ge=0)]
_Temperature = Annotated[float, Field(gt=0, le=10)]


class LocalSettings(Section):
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
    """Instances that are generated together in a batch job."""
    temperature: _Temperature = 0.7
    """Of another try; the first proposal is the most likely one."""


class EndpointSettings(Section):
    """An OpenAI-compatible server."""

    base_url: str = ""
    """Up to and with `/v1`, such as `http://localhost:8000/v1`."""
    model: str = ""
    """As the server calls it; empty is the only one that it serves."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; empty sends none. The key itself is in no file."""
    max_tokens: Positive = 512
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Of the first try."""
    retry_temperature: _Temperature = 0.7
    """Of another try."""
    timeout: _Seconds = 120.0
    """Seconds that one request may take."""
    retries: Count = 3
    """Further tries where the server is busy, fails or can't be reached."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8
    """Requests that are under way at once."""
    extra: dict[str, Any] = {}
    """Further fields of each request, as the server knows them: `chat_template_kwargs = {enable_thinking = false}`.
    With `max_completion_tokens` here, which some servers want instead, `max_tokens` is not sent."""
    price_input: _Price | None = None
    """Per million tokens, in any currency; with `price_output` batches are estimated in it."""
    price_output: _Price | None = None

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


class Settings(Section):
    """How simpler responses are made and checked."""

    engine: EngineName = "extractive"
    prompt: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "simplify"
    """`prompts/NAME.txt` in the folder of the settings, or the one of that name that comes along."""
    kept: Share = 0.5
    """Least share of the response's content words that a proposal keeps, to pass."""
    local: LocalSettings = LocalSettings()
    endpoint: EndpointSettings = EndpointSettings()

    @property
    def engine_label(self) -> str:
        """What proposals and edits name as their engine: `extractive`, `local:MODEL` or `endpoint:MODEL`."""
        if self.engine == "local":
            return f"local:{self.local.model}"
        return f"endpoint:{self.endpoint.model}" if self.engine == "endpoint" else "extractive"

    def require_engine(self, where: str) -> None:
        """Raises UserError where the engine can't be used as it is set."""
        if self.engine == "endpoint" and not self.endpoint.base_url:
            raise UserError(
                f"{where}: simplify.endpoint.base_url: required, and missing; give the server's address, such as "
                "http://localhost:8000/v1 (--base-url on the command line)",
                code=2,
            )


def read_settings() -> Settings:
    """The user's settings, or the usual ones. Raises UserError that names the file and the key that is wrong."""
    path = paths.config_dir() / "config.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise UserError(f"{path}: can't read your settings: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}", code=2) from None
    section = table.get("simplify", {})
    return settings_of(section, str(path))


def settings_of(section: Any, where: str) -> Settings:
    """The settings of a parsed table; raises UserError on the first key that is wrong."""
    if not isinstance(section, Mapping):
        raise UserError(f"{where}: simplify: expected a table, not {section!r}", code=2)
    try:
        return Settings.model_validate(section)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in ("simplify", *problem["loc"]))
        message = str(problem["msg"]).removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            raise UserError(
                f"{where}: {key}: no such key; see docs/simplify.md for the keys there are", code=2
            ) from None
        if problem["type"] == "value_error":
            raise UserError(f"{where}: {key}: {message}", code=2) from None
        shown = repr(problem["input"])[:60]
        raise UserError(f"{where}: {key}: {message}, not {shown}", code=2) from None


def with_changes(settings: Settings, changes: Mapping[str, Any], where: str) -> Settings:
    """Settings with some keys changed, `endpoint.model` and so on by their dotted names; None changes nothing."""
    table = settings.model_dump()
    for name, value in changes.items():
        if value is not None:
            section, _, key = name.rpartition(".")
            (table[section] if section else table)[key] = value
    return settings_of(table, where)
