"""Typed tables of settings: what recipes and `config.toml` are made of, and how a mistake in one is told."""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from itaudit import paths
from itaudit.errors import UserError

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Temperature = Annotated[float, Field(gt=0, le=10)]

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """A table of settings: unknown keys and silently converted types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def config_section(kind: type[S], key: str, docs: str) -> S:
    """The table `key` of the user's `config.toml`, or its defaults where there is none.

    Raises UserError that names the file and the key that is wrong; `docs` is the page that lists the keys.
    """
    path = paths.config_dir() / "config.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return kind()
    except OSError as error:
        raise UserError(f"{path}: can't read your settings: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}", code=2) from None
    return section_of(kind, table.get(key, {}), str(path), key, docs)


def section_of(kind: type[S], table: Any, where: str, key: str, docs: str) -> S:
    """The settings of a parsed table that stands under `key`; raises UserError on the first key that is wrong."""
    if not isinstance(table, Mapping):
        raise UserError(f"{where}: {key}: expected a table, not {table!r}", code=2)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in (key, *problem["loc"]))
        message = str(problem["msg"]).removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            raise UserError(f"{where}: {name}: no such key; see {docs} for the keys there are", code=2) from None
        if problem["type"] == "value_error":
            raise UserError(f"{where}: {name}: {message}", code=2) from None
        shown = repr(problem["input"])[:60]
        raise UserError(f"{where}: {name}: {message}, not {shown}", code=2) from None


def changed(section: S, changes: Mapping[str, Any], where: str, key: str, docs: str) -> S:
    """Settings with some keys changed, `endpoint.model` and so on by their dotted names; None changes nothing."""
    table = section.model_dump()
    for name, value in changes.items():
        if value is not None:
            inner, _, last = name.rpartition(".")
            (table[inner] if inner else table)[last] = value
    return section_of(type(section), table, where, key, docs)
