"""Experiment recipes: an audit recipe with a matrix of variants, sizes and seeds around its models.

The file is a recipe as `recipe.py` reads it, with two tables more: `[experiment]` and `[variants.NAME]`. Each
combination of a variant, a size and a seed is one ordinary run, whose models are the recipe's.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import tomli_w
from pydantic import Field, field_validator

from itaudit.errors import UserError
from itaudit.experiments.published import published_names
from itaudit.recipe import LABEL, Recipe, check_recipe, override, read_table, recipe_table, with_files
from itaudit.section import Positive, Section, section_of
from itaudit.steps import Choosing, First

_DOCS = "docs/experiments.md"
WHOLE = "data"
"""The variant of an experiment that names none."""
SIZE = "SIZE"
"""What stands for the size in transforms."""
_STANDING_FOR_SIZE = 987_654_321
"""A number that no dataset reaches: it keeps the place of the size while transforms get their defaults."""
_CHOOSING = frozenset(kind.name for kind in get_args(Choosing))


class Matrix(Section):
    """`[experiment]`: what is varied beside the models."""

    sizes: list[Positive] = []
    """How many instances the models are tuned on, a run each; empty is what `[data]` says.

    `SIZE` in transforms of the data stands for it, as in `random:k=SIZE`. Where none names it, it is `data.limit`, or,
    where transforms leave instances out, the first so many that they leave.
    """
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = [0]
    """Seeds of tuning, a run each."""
    reference: str = ""
    """The label that the others are compared with; empty is the first of `[models]`."""
    published: str = ""
    """Name of the published figures that stand beside the tables: `ghosh2024` or `kung2023`."""

    @field_validator("sizes", "seeds")
    @classmethod
    def _different(cls, values: list[int]) -> list[int]:
        if len(set(values)) < len(values):
            raise ValueError("the same value stands in it twice")
        return values


class Variant(Section):
    """`[variants.NAME]`: another dataset, other transforms or other prompts; keys as in the tables of the recipe."""

    data: dict[str, Any] = {}
    prompts: dict[str, Any] = {}
    models: list[str] = []
    """Only these of `[models]`; empty is all of them."""
    sizes: list[Positive] = []
    """Only these of the experiment's sizes; empty is all of them."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One run of an experiment: its name, its place in the matrix and its whole recipe."""

    name: str
    variant: str
    size: int | None
    seed: int
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """An experiment recipe with every default resolved and every path absolute; `table` is what was written."""

    name: str
    matrix: Matrix
    runs: tuple[Planned, ...]
    labels: tuple[str, ...]
    reference: str
    table: dict[str, Any]

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(planned.variant for planned in sorted(self.runs, key=self._written_order)))

    def _written_order(self, planned: Planned) -> int:
        names = list(self.table.get("variants", {}))
        return names.index(planned.variant) if planned.variant in names else 0


def is_experiment_table(table: dict[str, Any]) -> bool:
    """Whether a parsed recipe asks for an experiment."""
    return "experiment" in table or "variants" in table


def read_spec(path: Path, overrides: tuple[str, ...] = (), *, name: str | None = None) -> ExperimentSpec:
    """The experiment in a TOML file. Raises UserError that names the file and the key."""
    table = read_table(path)
    for one in overrides:
        override(table, one)
    if name is not None:
        table["name"] = name
    return spec_of(table, path)


def spec_of(table: dict[str, Any], path: Path) -> ExperimentSpec:
    """The experiment of a parsed table; `path` is its file, for messages and for paths that are relative to it."""
    where = str(path)
    matrix = section_of(Matrix, table.get("experiment", {}), where, "experiment", _DOCS)
    variants = _variants(table, where)
    plain = {key: value for key, value in table.items() if key not in ("experiment", "variants")}
    labels = tuple(plain.get("models", {})) if isinstance(plain.get("models"), dict) else ()
    for name, variant in variants.items():
        _check_names(variant.models, labels, f"{where}: variants.{name}.models")
        _check_names(variant.sizes, matrix.sizes, f"{where}: variants.{name}.sizes")
    reference = matrix.reference or (labels[0] if labels else "")
    if matrix.published:
        _check_names([matrix.published], published_names(), f"{where}: experiment.published")
    if not matrix.seeds:
        raise UserError(f"{where}: experiment.seeds: expected at least one seed, such as [0]", code=2)
    if matrix.reference:
        _check_names([matrix.reference], labels, f"{where}: experiment.reference")
    runs = []
    for seed in matrix.seeds:
        for size in (*_by_what_they_teach(matrix.sizes),) or (None,):
            for name, variant in variants.items():
                if size is not None and variant.sizes and size not in variant.sizes:
                    continue
                made = _recipe_table(plain, variant, size, seed)
                run_name = _run_name(name, size, seed, matrix, variants)
                recipe = with_files(check_recipe(made | {"name": run_name}, _told(where, name, variants)), path)
                runs.append(Planned(run_name, name, size, seed, recipe))
    named = str(plain.get("name", "experiment"))
    return ExperimentSpec(
        named, matrix, tuple(runs), labels, reference, _resolved(table, plain, matrix, variants, runs, path)
    )


def write_spec(spec: ExperimentSpec) -> bytes:
    """The complete experiment as TOML; reading it back plans the same runs."""
    return tomli_w.dumps(spec.table).encode()


def read_written(path: Path) -> ExperimentSpec:
    """The experiment that `write_spec` wrote. Raises UserError where somebody broke the file."""
    try:
        return spec_of(tomllib.loads(path.read_text(encoding="utf-8")), path)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}") from None


def _variants(table: dict[str, Any], where: str) -> dict[str, Variant]:
    told = table.get("variants", {})
    if not isinstance(told, dict):
        raise UserError(f"{where}: variants: expected tables such as [variants.simplified]", code=2)
    for name in told:
        if not re.match(LABEL, name):
            raise UserError(f"{where}: variants: {name!r} can't be a name; use up to 32 of a-z, 0-9, - and _", code=2)
    found = {name: section_of(Variant, one, where, f"variants.{name}", _DOCS) for name, one in told.items()}
    return found or {WHOLE: Variant()}


def _check_names(names: Sequence[object], there: Sequence[object], where: str) -> None:
    for name in names:
        if name not in there:
            raise UserError(f"{where}: no {name!r}; there are {', '.join(map(str, there)) or 'none'}", code=2)


def _by_what_they_teach(sizes: list[int]) -> list[int]:
    """Sizes in the order in which they teach most: the ends say whether anything changes at all, then the middles."""
    left, ordered = sorted(sizes), list[int]()
    if left:
        ordered.append(left.pop(0))
    if left:
        ordered.append(left.pop())
    gaps = [left]
    while gaps:
        gap = gaps.pop(0)
        if gap:
            middle = len(gap) // 2
            ordered.append(gap[middle])
            gaps += [gap[:middle], gap[middle + 1 :]]
    return ordered


def _recipe_table(plain: dict[str, Any], variant: Variant, size: int | None, seed: int) -> dict[str, Any]:
    table = {**plain, "seed": seed}
    for key in ("data", "prompts"):
        changes = getattr(variant, key)
        # What is no table stays as it is: checking the recipe names it.
        if isinstance(table.get(key, {}), dict) and (changes or key in plain):
            table[key] = {**plain.get(key, {}), **changes}
    if size is not None and isinstance(table.get("data", {}), dict):
        table["data"] = _sized(table.get("data", {}), size)
    if variant.models:
        table["models"] = {label: plain["models"][label] for label in variant.models}
        _leave_out_pairs(table)
    return table


def _leave_out_pairs(table: dict[str, Any]) -> None:
    """Takes away the pairs of `[evaluate]` of which the variant lacks a model."""
    evaluate = table.get("evaluate")
    if isinstance(evaluate, dict) and isinstance(evaluate.get("pairs"), list):
        there = {"base", *table["models"]}
        pairs = [pair for pair in evaluate["pairs"] if not isinstance(pair, str) or there.issuperset(pair.split(":"))]
        table["evaluate"] = {**evaluate, "pairs": pairs}


def _sized(data: dict[str, Any], size: int) -> dict[str, Any]:
    """The table with the size, in transforms or as the limit."""
    steps = _naming_size(data)
    if steps is None:
        return {**data, "limit": size}
    return {**data, "transforms": [step.replace(SIZE, str(size)) for step in steps]}


def _naming_size(data: dict[str, Any]) -> list[str] | None:
    """The transforms, with a last one that takes as many as the size where they leave instances out and none names it.

    None where the size is the limit: what changes instances alone need not see those that are not tuned on.
    """
    steps = data.get("transforms", [])
    # What is no list of steps is named when the recipe is checked.
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        return None
    if any(SIZE in step for step in steps):
        return steps
    chooses = any(step.partition(":")[0].strip() in _CHOOSING for step in steps)
    return [*steps, f"{First.name}:k={SIZE}"] if chooses else None


def _whole_step(step: str, table: dict[str, Any], where: str, path: Path) -> str:
    """A step with its defaults and absolute paths, as `recipe_table` has them; SIZE stays where it stands."""
    # By itself, since no size that stands for all fits between its neighbours.
    data = {**table["data"], "transforms": [step.replace(SIZE, str(_STANDING_FOR_SIZE))]}
    made = recipe_table(with_files(check_recipe({**table, "data": data}, where), path))
    whole: str = made["data"]["transforms"][0]
    return whole.replace(str(_STANDING_FOR_SIZE), SIZE)


def _run_name(variant: str, size: int | None, seed: int, matrix: Matrix, variants: dict[str, Variant]) -> str:
    parts = [variant] if len(variants) > 1 or not (matrix.sizes or len(matrix.seeds) > 1) else []
    parts += [f"n{size}"] if size is not None else []
    parts += [f"seed{seed}"] if len(matrix.seeds) > 1 else []
    return "-".join(parts)


def _told(where: str, name: str, variants: dict[str, Variant]) -> str:
    return where if variants[name] == Variant() else f"{where}: variants.{name}"


def _resolved(
    table: dict[str, Any],
    plain: dict[str, Any],
    matrix: Matrix,
    variants: dict[str, Variant],
    runs: list[Planned],
    path: Path,
) -> dict[str, Any]:
    """The table with defaults and absolute paths: the first run's recipe, and what each variant changes."""
    if not runs:
        raise UserError(f"{path}: the experiment plans no run: its variants leave out every size", code=2)
    whole = recipe_table(runs[0].recipe)
    whole["name"] = table.get("name", "experiment")
    told: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for name, variant in variants.items():
        where = _told(str(path), name, variants)
        size = next(iter(variant.sizes or matrix.sizes), None)
        asked = _recipe_table(plain, variant, size, matrix.seeds[0])
        made = recipe_table(with_files(check_recipe(asked, where), path))
        models |= made["models"]
        if size is not None:
            steps = _naming_size(_recipe_table(plain, variant, None, matrix.seeds[0])["data"])
            if steps is None:
                del made["data"]["limit"]
            else:
                made["data"]["transforms"] = [_whole_step(step, asked, where, path) for step in steps]
        told[name] = {"data": made["data"], "prompts": made["prompts"], "models": list(made["models"])}
        if variant.sizes:
            told[name]["sizes"] = variant.sizes
    # What all variants share says nothing of its own.
    whole |= {"data": told[next(iter(told))]["data"], "prompts": told[next(iter(told))]["prompts"]}
    whole["models"] = {label: models[label] for label in table["models"] if label in models}
    return {**whole, "experiment": matrix.model_dump(), "variants": told}
