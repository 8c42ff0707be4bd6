"""The user's settings: `config.toml` in the config directory."""

import tomllib
from pathlib import Path

from itaudit import paths
from itaudit.errors import UserError

CONFIG = "config.toml"


def read_config() -> dict[str, object]:
    """The user's settings; empty where there are none. Raises UserError where the file can't be used."""
    try:
        return tomllib.loads(config_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{config_path()}: can't read your settings: {error.strerror}; using the usual ones") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{config_path()}: not a TOML file: {error}; using the usual settings") from None


def write_config(changes: dict[str, object]) -> None:
    """Changes settings and keeps the others; raises UserError where the file can't be read or written."""
    import tomli_w

    from itaudit import atomic

    content = tomli_w.dumps(read_config() | changes).encode()
    try:
        config_path().parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(config_path(), content)
    except OSError as error:
        raise UserError(f"{config_path()}: can't write your settings: {error.strerror}") from None


def config_path() -> Path:
    """The file that holds them."""
    return paths.config_dir() / CONFIG
