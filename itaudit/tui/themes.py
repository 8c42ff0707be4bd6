"""Themes: the ones that itaudit brings, and the user's own from the config directory."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from itaudit.sanitize import visible_line

TOKEN_CLASSES = ("unshifted", "marginal", "shifted", "hallucinated", "cursor", "evidence")
"""What a theme's `[variables]` colours; `$shifted` and so on in CSS, `app.theme_variables["shifted"]` in code."""
DEFAULT_THEME = "itaudit-dark"

_COLORS = frozenset(
    {
        "primary",
        "secondary",
        "accent",
        "foreground",
        "background",
        "surface",
        "panel",
        "boost",
        "success",
        "warning",
        "error",
    }
)


class ThemeProblem(ValueError):
    """What is wrong with a theme file, beginning with the key."""


def load_themes(user_dir: Path | None = None) -> tuple[list[Theme], list[str]]:
    """All themes, and a line for each user theme that is left out, naming its file and key.

    A user theme takes the place of one of ours with the same name. Colours that it does not give are those of
    our dark or light theme, whichever its `dark` asks for.
    """
    themes = {theme.name: theme for theme in own_themes()}
    problems = []
    for path in sorted(user_dir.glob("*.toml")) if user_dir is not None else ():
        try:
            theme = parse_theme(path.read_text(encoding="utf-8"), defaults=themes)
        except OSError as error:
            problems.append(f"theme {path} is left out: can't read it: {error.strerror}")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            problems.append(f"theme {path} is left out: not a TOML file: {error}")
        except ThemeProblem as problem:
            problems.append(f"theme {path} is left out: {problem}")
        else:
            themes[theme.name] = theme
    return list(themes.values()), [visible_line(problem) for problem in problems]


def own_themes() -> list[Theme]:
    """The themes that itaudit brings, the default first."""
    sources = [source for source in files("itaudit").joinpath("themes").iterdir() if source.name.endswith(".toml")]
    themes = [parse_theme(source.read_text(encoding="utf-8")) for source in sources]
    return sorted(themes, key=lambda theme: (theme.name != DEFAULT_THEME, theme.name))


def token_colors(theme: Theme | None = None) -> dict[str, str]:
    """The colours of the token classes in a theme; without one, those of the default theme.

    For `App.get_theme_variable_defaults`, so that themes which know nothing of tokens work too.
    """
    theme = theme or own_themes()[0]
    return {name: theme.variables[name] for name in TOKEN_CLASSES}


def parse_theme(text: str, defaults: dict[str, Theme] | None = None) -> Theme:
    """The theme in a TOML text; raises ThemeProblem or TOMLDecodeError.

    `defaults` are themes by name to take missing colours from; without them, every colour must be there.
    """
    table = tomllib.loads(text)
    unknown = table.keys() - {"name", "dark", "colors", "variables"}
    if unknown:
        raise ThemeProblem(f"{min(unknown)}: no such key; there are name, dark, colors and variables")
    name, dark = table.get("name"), table.get("dark", True)
    if not isinstance(name, str) or not name.strip():
        raise ThemeProblem("name: required, a text such as 'mine'")
    if not isinstance(dark, bool):
        raise ThemeProblem(f"dark: expected true or false, not {dark!r}")
    base = (defaults or {}).get(DEFAULT_THEME if dark else "itaudit-light")
    colors = {key: getattr(base, key) for key in _COLORS} if base else {}
    colors |= _section(table, "colors", _COLORS)
    variables = dict(base.variables) if base else {}
    variables |= _section(table, "variables", None)
    for key in ("colors.primary", *(f"variables.{name}" for name in TOKEN_CLASSES)):
        section, _, last = key.partition(".")
        if last not in (colors if section == "colors" else variables):
            raise ThemeProblem(f"{key}: required, a colour such as '#5fd7ff'")
    return Theme(name=name, dark=dark, variables=variables, **colors)


def _section(table: dict[str, Any], section: str, known: frozenset[str] | None) -> dict[str, str]:
    """The colours of a table of the file. Beside the token classes `[variables]` may set any of Textual's own."""
    colors = table.get(section, {})
    if not isinstance(colors, dict):
        raise ThemeProblem(f"{section}: expected a table, such as [{section}]")
    for key, value in colors.items():
        if known is not None and key not in known:
            raise ThemeProblem(f"{section}.{key}: no such key; there are {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise ThemeProblem(f"{section}.{key}: expected a colour such as '#5fd7ff', not {value!r}")
        if known is not None or key in TOKEN_CLASSES:
            try:
                Color.parse(value)
            except ColorParseError:
                raise ThemeProblem(f"{section}.{key}: {value!r} is not a colour such as '#5fd7ff'") from None
    return colors
