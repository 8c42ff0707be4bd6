"""What the user chose for simplification: `[simplify]` in `config.toml`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from itaudit.errors import UserError
from itaudit.model_settings import LocalModelSettings, ServerSettings
from itaudit.section import Section, Share, Temperature, changed, config_section, section_of

KEY = "simplify"
"""The table of `config.toml`."""
_DOCS = "docs/simplify.md"

EngineName = Literal["extractive", "local", "endpoint"]
ENGINES: tuple[EngineName, ...] = ("extractive", "local", "endpoint")

_Price = Annotated[float, Field(ge=0)]


class LocalSettings(LocalModelSettings):
    """A model in a process of itaudit's own."""

    temperature: Temperature = 0.7
    """Of another try; the first proposal is the most likely one."""


class EndpointSettings(ServerSettings):
    """An OpenAI-compatible server."""

    retry_temperature: Temperature = 0.7
    """Of another try."""
    price_input: _Price | None = None
    """Per million tokens, in any currency; with `price_output` batches are estimated in it."""
    price_output: _Price | None = None


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
    return config_section(Settings, KEY, _DOCS)


def settings_of(section: Any, where: str) -> Settings:
    """The settings of a parsed table; raises UserError on the first key that is wrong."""
    return section_of(Settings, section, where, KEY, _DOCS)


def with_changes(settings: Settings, changes: Mapping[str, Any], where: str) -> Settings:
    """Settings with some keys changed, `endpoint.model` and so on by their dotted names; None changes nothing."""
    return changed(settings, changes, where, KEY, _DOCS)
