"""Themes: all classes distinct and readable, the user's own loaded, broken ones reported and left out."""

from itertools import combinations
from pathlib import Path

import pytest
from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.color import Color
from textual.theme import Theme
from textual.widgets import Static

from itaudit.tui.themes import DEFAULT_THEME, TOKEN_CLASSES, load_themes, own_themes, parse_theme, token_colors

OWN = own_themes()


def luminance(color: Color) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(Color.parse("#000000"), Color.parse("#ffffff")) == pytest.approx(21)
    assert contrast(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.01)


def test_the_four_themes_are_there_and_the_default_comes_first() -> None:
    assert [theme.name for theme in OWN] == [
        "itaudit-dark",
        "itaudit-colour-blind-safe",
        "itaudit-high-contrast",
        "itaudit-light",
    ]
    assert [theme.dark for theme in OWN] == [True, True, True, False]


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_classes_are_pairwise_distinct_among_256_colours(theme: Theme) -> None:
    numbers = {
        name: Color.parse(color).rich_color.downgrade(ColorSystem.EIGHT_BIT).number
        for name, color in token_colors(theme).items()
    }
    assert set(numbers) == set(TOKEN_CLASSES)
    for one, other in combinations(TOKEN_CLASSES, 2):
        assert numbers[one] != numbers[other], (one, other)


@pytest.mark.parametrize("ground", ["background", "surface", "panel"])
@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_text_of_every_class_is_readable(theme: Theme, ground: str) -> None:
    least = 7.0 if theme.name == "itaudit-high-contrast" else 4.5
    background = Color.parse(getattr(theme, ground))
    colors = token_colors(theme) | {
        name: getattr(theme, name) for name in ("foreground", "primary", "success", "warning", "error")
    }
    for name, color in colors.items():
        assert contrast(background, Color.parse(color)) >= least, name


def test_a_user_theme_is_loaded_and_takes_missing_colours_from_ours(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('name = "mine"\ndark = false\n[variables]\nshifted = "#aa0000"\n')
    themes, problems = load_themes(tmp_path)
    mine = themes[-1]
    light = next(theme for theme in OWN if theme.name == "itaudit-light")
    assert problems == []
    assert (mine.name, mine.dark, mine.background) == ("mine", False, light.background)
    assert token_colors(mine) == token_colors(light) | {"shifted": "#aa0000"}


def test_a_user_theme_with_the_name_of_ours_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "dark.toml").write_text(f'name = "{DEFAULT_THEME}"\n[colors]\nprimary = "#123456"\n')
    themes, _ = load_themes(tmp_path)
    assert len(themes) == len(OWN)
    assert next(theme for theme in themes if theme.name == DEFAULT_THEME).primary == "#123456"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name = "x"\n[colors]\nprimry = "#ffffff"\n', "colors.primry: no such key"),
        (b'name = "x"\n[variables]\nshifted = "reddish"\n', "variables.shifted: 'reddish' is not a colour"),
        (b'name = "x"\n[variables]\nshifted = 3\n', "variables.shifted: expected a colour"),
        (b"[colors]\n", "name: required"),
        (b'name = "x"\ndark = "yes"\n', "dark: expected true or false"),
        (b'name = "x"\ncolours = 3\n', "colours: no such key"),
        (b'name = "x"\ncolors = 3\n', "colors: expected a table"),
        (b"name = \n", "not a TOML file"),
        (b"name = '\xff'\n", "not a TOML file"),
    ],
)
def test_a_broken_user_theme_is_one_line_that_names_file_and_key(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "broken.toml").write_bytes(content)
    themes, problems = load_themes(tmp_path)
    assert len(themes) == len(OWN)
    assert len(problems) == 1
    assert str(tmp_path / "broken.toml") in problems[0]
    assert said in problems[0]
    assert "\n" not in problems[0]


def test_a_directory_with_the_name_of_a_theme_is_reported(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").mkdir()
    assert "can't read it" in load_themes(tmp_path)[1][0]


def test_a_missing_config_directory_is_no_problem(tmp_path: Path) -> None:
    assert load_themes(tmp_path / "nowhere")[1] == []


async def test_classes_can_be_used_in_css_with_any_theme() -> None:
    class Sample(App[None]):
        CSS = "Static { color: $shifted; background: $evidence; }"

        def get_theme_variable_defaults(self) -> dict[str, str]:
            return token_colors()

        def compose(self) -> ComposeResult:
            yield Static("token")

    app = Sample()
    async with app.run_test() as pilot:
        assert app.query_one(Static).styles.color == Color.parse(token_colors()["shifted"])
        for theme in OWN:
            app.register_theme(theme)
            app.theme = theme.name
            await pilot.pause()
            assert app.query_one(Static).styles.color == Color.parse(token_colors(theme)["shifted"])


def test_a_theme_without_a_class_is_refused_where_there_are_no_defaults() -> None:
    with pytest.raises(ValueError, match=r"variables\.unshifted: required"):
        parse_theme('name = "x"\n[colors]\nprimary = "#ffffff"\n')
