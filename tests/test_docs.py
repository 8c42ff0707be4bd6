"""What the documents tell users to type is what the product takes: commands, TOML and the defaults of its keys."""

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from textual.binding import Binding

from itaudit.cli import cli
from itaudit.detect_settings import Consistency, Judge
from itaudit.evaluate_settings import Evaluate
from itaudit.experiments.spec import is_experiment_table, spec_of
from itaudit.paths import samples_dir
from itaudit.recipe import Recipe, check_recipe, with_files
from itaudit.section import Section
from itaudit.simplify.settings import Settings
from itaudit.style_settings import Style
from itaudit.tuning_settings import Imported, Lft, Sft

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMED = re.compile(r"\b[A-Z]{2,}\b|[…·{}]")
"""What stands for something that a reader puts in its place."""
WHOLE: dict[str, Any] = {
    "data": {"path": "data.jsonl"},
    "prompts": {"path": "prompts.jsonl"},
    "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
}
"""What makes a recipe of some of its tables."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page: its language and its lines."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        found = re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for match in found:
            line = match.string.count("\n", 0, match.start()) + 1
            yield Block(page.name, line, match[1], match[2])


def commands() -> list[tuple[str, str]]:
    """Where each command stands, and the command: lines of blocks, and what stands in backticks in the text."""
    told = [
        (f"{block}", line.strip())
        for block in blocks()
        for line in block.text.replace("\\\n", " ").splitlines()
        if block.language in ("", "sh")
    ]
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        told += [(page.name, code) for code in re.findall(r"`([^`\n]+)`", text)]
    for recipe in sorted((samples_dir() / "recipes").glob("*.toml")):
        told += [(recipe.name, line.lstrip("# ")) for line in recipe.read_text().splitlines() if line.startswith("#  ")]
    return [(where, line) for where, line in told if line.startswith("itaudit ") and "[" not in line.partition("#")[0]]


def words_of(command: str) -> list[str]:
    """The words of a command without its comment, and without what stands for more of the same."""
    return [word for word in shlex.split(command, comments=True)[1:] if word not in ("…", "·")]


@pytest.mark.parametrize(("where", "command"), commands())
def test_a_command_of_the_documents_has_its_verb_options_and_arguments(where: str, command: str) -> None:
    found: click.Command = cli
    context = click.Context(cli, info_name="itaudit")
    words = words_of(command)
    try:
        while isinstance(found, click.Group) and words and not words[0].startswith("-"):
            _, verb, words = found.resolve_command(context, words)
            assert verb is not None
            found, context = verb, click.Context(verb, parent=context, info_name=verb.name)
        values, left, _ = found.make_parser(context).parse_args(list(words))
    except click.UsageError as error:
        pytest.fail(f"{where}: {command}: {error.format_message()}")
    many = any(isinstance(one, click.Argument) and one.nargs == -1 for one in found.params)
    assert many or not left, f"{where}: {command}: what is {left}?"
    for parameter in found.params:
        given = values.get(parameter.name)
        for one in given if isinstance(given, list | tuple) else [given]:
            if isinstance(parameter.type, click.Choice | click.IntRange) and one and not NAMED.search(str(one)):
                parameter.type.convert(one, parameter, context)


def test_there_are_commands_and_blocks_to_look_at() -> None:
    assert len(commands()) > 100 and sum(block.language == "toml" for block in blocks()) >= 12
    # A table of pages that wraps a fence would hide what is in it.
    for page in PAGES:
        assert len(re.findall("^```", page.read_text(encoding="utf-8"), re.MULTILINE)) % 2 == 0, page.name


def with_placeholders_there(table: dict[str, Any], folder: Path) -> None:
    """Makes the files that a recipe of the documents reads."""
    for rows in (table["data"], table["prompts"]):
        if Path(rows["path"]).suffix:
            (folder / rows["path"]).touch()
    for model in (table.get("base", {}), *table["models"].values()):
        if str(model.get("model", "")).startswith("path/"):
            (folder / model["model"]).mkdir(parents=True, exist_ok=True)


RECIPES = [block for block in blocks() if block.language == "toml"]


@pytest.mark.parametrize("block", RECIPES, ids=str)
def test_toml_of_the_documents_is_taken(block: Block, tmp_path: Path) -> None:
    table = tomllib.loads(block.text)
    assert table
    keys = set(table)
    if keys <= {*Recipe.model_fields, "experiment", "variants"}:
        whole = {**WHOLE, **table}
        with_placeholders_there(whole, tmp_path)
        if is_experiment_table(whole):
            assert spec_of(whole, tmp_path / "recipe.toml").runs
        else:
            with_files(check_recipe(whole, str(block)), tmp_path / "recipe.toml")
        return
    if keys <= {"simplify", "judge"}:
        for key, kind in (("simplify", Settings), ("judge", Judge)):
            if key in table:
                # The pages say that what they show are the defaults.
                assert kind.model_validate(table[key]) == kind()
        return
    # Keys of the workbench by their ids, and definitions of tasks by their names.
    assert all(isinstance(value, str) for value in table.values()), block
    if any("." in key for key in keys):
        from itaudit.tui.keymap import read_keymap

        path = tmp_path / "keys.toml"
        path.write_text(block.text)
        assert set(read_keymap(path)) <= binding_ids()


def binding_ids() -> set[str]:
    """The ids of the keys of the screen that the page takes its example from."""
    from itaudit.tui.screens.stepper import StepperScreen

    bound = [one for kind in StepperScreen.__mro__ for one in vars(kind).get("BINDINGS", ())]
    return {one.id for one in bound if isinstance(one, Binding) and one.id}


def test_settings_that_pages_show_whole_are_the_defaults() -> None:
    tables = [tomllib.loads(block.text) for block in RECIPES]
    style = next(table["style"] for table in tables if set(table) == {"style"})
    assert Style.model_validate(style) == Style() and style.keys() == Style.model_fields.keys()
    consistency = next(table["detect"]["consistency"] for table in tables if "consistency" in table.get("detect", {}))
    assert Consistency.model_validate(consistency) == Consistency()
    evaluate = next(table["evaluate"] for table in tables if "evaluate" in table)
    assert Evaluate.model_validate({**evaluate, "judge": None}) == Evaluate()


SECTIONS: Mapping[str, tuple[type[Section], ...]] = {
    "Top level": (Recipe,),
    "`[models.LABEL]`": (Lft, Sft, Imported),
    **{
        f"`[{name}]`": (type(getattr(check_recipe(WHOLE, ""), name)),)
        for name in Recipe.model_fields
        if isinstance(getattr(check_recipe(WHOLE, ""), name), Section)
    },
}


def documented_keys() -> list[tuple[str, str, str]]:
    """Section, key and default of every row of the tables of keys."""
    found = []
    for part in re.split(r"^### ", (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        for section in part.partition("\n")[0].split(" and "):
            for keys, defaults in re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", part, re.MULTILINE):
                names, values = re.findall(r"`([a-z_]+)`", keys), re.findall(r"`([^`]*)`", defaults)
                if len(names) == len(values) and "[" not in keys:
                    found += [(section, name, value) for name, value in zip(names, values, strict=True)]
    return found


@pytest.mark.parametrize(("section", "key", "default"), documented_keys())
def test_the_keys_of_recipes_have_the_defaults_that_the_page_tells(section: str, key: str, default: str) -> None:
    kinds = [kind for kind in SECTIONS[section] if key in kind.model_fields]
    assert kinds, f"{section}: no key {key}"
    for kind in kinds:
        assert kind.model_fields[key].get_default(call_default_factory=True) == tomllib.loads(f"v = {default}")["v"]
