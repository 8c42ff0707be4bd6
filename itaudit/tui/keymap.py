"""The user's own keys: `keys.toml` in the config directory, a table of binding ids and keys."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from itaudit import paths
from itaudit.errors import UserError
from itaudit.sanitize import visible_line


def read_keymap(path: Path | None = None) -> dict[str, str]:
    """Keys by binding id, several keys parted by commas; empty where there is no file.

    Raises UserError, one line, where the file can't be used; the help screen lists the ids.
    """
    path = path or paths.config_dir() / "keys.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path}: can't read your keys: {error.strerror}; using the usual ones") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}; using the usual keys") from None
    keymap = dict(_flat(table, ""))
    for name, keys in keymap.items():
        if not isinstance(keys, str) or not all(key.strip() for key in keys.split(",")):
            raise UserError(
                f"{path}: {visible_line(name)}: expected keys as a text, "
                'such as stepper.mark = "m"; using the usual keys'
            )
    return {name: str(keys) for name, keys in keymap.items()}


def _flat(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    """Ids hold dots, which TOML reads as tables unless they are quoted; both ways of writing mean the same."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
