"""Recipes: what a run is asked to do, typed, with every default resolved and every error naming its key."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from itaudit.detect_settings import Detect
from itaudit.errors import UserError
from itaudit.evaluate_settings import Evaluate
from itaudit.recipe_paths import resolve_dataset, resolve_path
from itaudit.section import Count, Positive, Section
from itaudit.steps import ChooseTasks, Definition, Ifd, parse_step, parse_steps
from itaudit.style_settings import Style
from itaudit.tuning_settings import Existing, Imported, Lft, Model, Sft

LABEL = r"^[a-z0-9][a-z0-9_-]{0,31}$"


class Base(Section):
    """The base model that tuned models are compared with."""

    model: str = "embedded"
    """Hub name, local directory, GGUF file, or `embedded` (SmolLM2-135M-Instruct)."""
    revision: str = "main"
    """Revision of a hub model."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the weights; `auto` is bfloat16 on a GPU and float32 elsewhere."""
    trust_remote_code: bool = False
    """Run code that a hub model brings along; only for models that you trust."""


class Rows(Section):
    """Instances of a file: which of them, and which turn of a conversation is audited."""

    path: str
    """File, folder, saved `datasets` directory or hub name."""
    format: str = "auto"
    """A dataset format, or `auto` to detect it by content."""
    split: str = ""
    """Split of a hub dataset or a saved dataset directory; empty is the only one, or `train`."""
    turn: int = -1
    """Which assistant answer is audited: 0 is the first, -1 the last."""
    skip: Count = 0
    """Pass over so many that qualify, so that one file can serve as dataset and as held-out prompts."""
    limit: Count = 0
    """At most so many instances, the first that qualify; 0 is all of them."""
    without_input: bool = False
    """Only instances whose input is empty."""
    transforms: list[str] = []
    """Steps that choose or change these instances, in order, after `skip` and `limit`; see docs/transforms.md."""

    @field_validator("transforms")
    @classmethod
    def _whole_steps(cls, transforms: list[str]) -> list[str]:
        """The steps with their defaults written out, so that a run says all that it was asked to do."""
        try:
            return [step.text for step in parse_steps(transforms)]
        except UserError as error:
            raise ValueError(str(error)) from None


class Data(Rows):
    """The dataset that the models are tuned on, and traces lead to."""


class Prompts(Rows):
    """The prompts that every model answers."""


class Context(Section):
    """How a prompt becomes the text that the models read; the same for base and tuned models."""

    template: str = "auto"
    """`chat` (the tokenizer's own), `alpaca`, `plain`, `tk-instruct`, or a Jinja file given `messages`; `auto` is
    `chat` where the tokenizer has one, `plain` for encoder-decoder models, else `alpaca`."""
    system: str = ""
    """System message put before every conversation that has none; empty leaves it to the template."""


class Generate(Section):
    """How responses are generated."""

    max_new_tokens: Positive = 256
    batch_size: Positive = 8
    sample: bool = False
    """Draw tokens instead of taking the most likely one."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Count = 0
    """Draw among so many tokens; 0 is all."""
    beams: Positive = 1

    @model_validator(mode="after")
    def _sampling_is_asked_for(self) -> "Generate":
        if not self.sample and (self.temperature, self.top_p, self.top_k) != (1.0, 1.0, 0):
            raise ValueError("temperature, top_p and top_k need sample = true")
        return self


class Score(Section):
    """How the two distributions are compared."""

    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Alternatives of each model kept per position."""
    batch_size: Positive = 1
    """Responses per forward pass. One by one, no padding touches the low bits, which in half precision decide ranks
    between near ties; more at a time can be faster on a GPU."""
    chunk: Positive = 256
    """Positions whose full-vocabulary logits are in memory at once."""
    marginal: Positive = 1
    """Lowest base rank that is marginal."""
    shifted: Positive = 3
    """Lowest base rank that is shifted."""
    base_responses: bool = True
    """Keep the base model's own alternatives along its own responses."""
    aligntds: bool = False
    """Also keep KL as the AlignTDS tool computes it (base to tuned, top-30 lists renormalised, intersection)."""

    @model_validator(mode="after")
    def _classes_in_order(self) -> "Score":
        if self.shifted <= self.marginal:
            raise ValueError("shifted must be above marginal")
        return self


class Trace(Section):
    """How sources are looked up."""

    k: Annotated[int, Field(ge=1, le=1000)] = 10
    """Sources kept per span."""
    engine: Literal["bm25s", "rank-bm25"] = "bm25s"
    """`rank-bm25` is the slow reference."""
    verbatim_words: Positive = 5
    """Shortest verbatim span, in words."""


class Causes(Section):
    """The causal analysis of Ghosh et al. 2024: is a shifted word borrowed from instances similar to the prompt?"""

    k: Annotated[int, Field(ge=1, le=1000)] = 25
    """Similar instances looked at, by BM25 on the prompt."""
    rank: Positive = 3
    """Lowest base rank of a word that needs an explanation; below it the base model says the word by itself."""
    draws: Annotated[int, Field(ge=99, le=100_000)] = 999
    """Random draws from which the rates expected by chance are told."""


class Recipe(Section):
    """A whole recipe."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "audit"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    base: Base = Base()
    data: Data
    prompts: Prompts
    context: Context = Context()
    models: dict[str, Model]
    generate: Generate = Generate()
    score: Score = Score()
    trace: Trace = Trace()
    detect: Detect = Detect()
    causes: Causes = Causes()
    evaluate: Evaluate = Evaluate()
    style: Style = Style()

    @field_validator("models")
    @classmethod
    def _labels(cls, models: dict[str, Model]) -> dict[str, Model]:
        import re

        if not models:
            raise ValueError('nothing to audit; add a table such as [models.lft] with method = "lft"')
        for label in models:
            if label == "base" or not re.match(LABEL, label):
                raise ValueError(f"{label!r} can't be a label; use up to 32 of a-z, 0-9, - and _, and not 'base'")
        return models

    @model_validator(mode="after")
    def _batches_divide(self) -> "Recipe":
        for label, model in self.models.items():
            if not isinstance(model, Lft | Sft):
                continue
            share = model.micro_batch_size * model.processes
            if model.batch_size % share:
                raise ValueError(
                    f"models.{label}.batch_size: {model.batch_size} is no multiple of micro_batch_size × "
                    f"processes = {share}"
                )
        return self

    @model_validator(mode="after")
    def _pairs_are_models(self) -> "Recipe":
        for pair in self.evaluate.pairs:
            first, _, second = pair.partition(":")
            for label in (first, second):
                if label != "base" and label not in self.models:
                    raise ValueError(f"evaluate.pairs: {pair}: no model {label!r}; there are {', '.join(self.models)}")
            if first == second:
                raise ValueError(f"evaluate.pairs: {pair}: expected two different labels")
        return self

    def tuned_here(self) -> dict[str, Lft | Sft]:
        """The models that this recipe tunes, by label."""
        return {label: model for label, model in self.models.items() if isinstance(model, Lft | Sft)}


def read_recipe(path: Path, overrides: tuple[str, ...] = (), *, name: str | None = None) -> Recipe:
    """The recipe in a TOML file, with `key=value` overrides, paths made absolute and files checked.

    Raises UserError that names the file and the key.
    """
    table = read_table(path)
    for one in overrides:
        override(table, one)
    if name is not None:
        table["name"] = name
    return with_files(check_recipe(table, str(path)), path)


def read_table(path: Path) -> dict[str, Any]:
    """The parsed TOML of a recipe. Raises UserError that names the file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: can't read the recipe: {error.strerror}", code=2) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}", code=2) from None


def check_recipe(table: dict[str, Any], where: str) -> Recipe:
    """The typed recipe of a parsed table; raises UserError on the first key that is wrong."""
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        # One line for one mistake: the first, and how many more there are.
        problems = error.errors(include_url=False)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{where}: {_problem(problems[0])}{more}", code=2) from None


def write_recipe(recipe: Recipe) -> bytes:
    """The complete recipe as TOML; reading it back gives an equal recipe."""
    return tomli_w.dumps(recipe_table(recipe)).encode()


def recipe_table(recipe: Recipe) -> dict[str, Any]:
    """The complete recipe as a table that can be written as TOML."""
    return recipe.model_dump(exclude_none=True)


def _problem(problem: Any) -> str:
    # A discriminated union puts the method's name between the label and its key; users never wrote it there.
    location = [part for part in problem["loc"]]
    if len(location) > 2 and location[0] == "models":
        del location[2]
    key = ".".join(str(part) for part in location)
    kind, message = problem["type"], str(problem["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"{key}: no such key; see docs/recipes.md for the keys there are"
    if kind == "missing":
        return f"{key}: required, and missing"
    if kind == "union_tag_not_found":
        return f"{key}.method: required, and missing; one of lft, sft, existing, imported"
    if kind == "union_tag_invalid":
        return f"{key}.method: {problem['ctx']['tag']!r} is not one of lft, sft, existing, imported"
    if kind == "value_error":
        return f"{key}: {message}" if key else message
    shown = repr(problem["input"])
    return f"{key}: {message}, not {shown if len(shown) < 60 else shown[:57] + '...'}"


def override(table: dict[str, Any], pair: str) -> None:
    """Sets a key of a parsed recipe, `key=value`; raises UserError where that can't be read."""
    key, separator, text = pair.partition("=")
    keys = key.strip().split(".")
    if not separator or not all(keys):
        raise UserError(f"--set {pair}: expected key=value, such as generate.max_new_tokens=64", code=2)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        # A bare word is a string; quoting inside a shell is a nuisance that nobody needs.
        value = text
    target = table
    for part in keys[:-1]:
        inner = target.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UserError(f"--set {pair}: {part} is a value, not a table", code=2)
        target = inner
    target[keys[-1]] = value


def with_files(recipe: Recipe, path: Path) -> Recipe:
    """The recipe with paths made absolute, seen from the folder of its file; raises UserError for what is missing."""
    directory = path.resolve().parent

    def resolved(name: str, key: str) -> str:
        return resolve_path(name, directory, f"{path}: {key}")

    def resolved_rows(rows: Rows, key: str) -> Rows:
        steps = []
        for step in map(parse_step, rows.transforms):
            if isinstance(step, Definition | ChooseTasks) and step.file:
                file = directory / Path(step.file).expanduser()
                if not file.is_file():
                    raise UserError(f"{path}: {key}.transforms: {step.text}: {file} is not a file", code=2)
                step = step.model_copy(update={"file": str(file.resolve())})
            elif isinstance(step, Ifd) and step.model not in ("", "embedded"):
                step = step.model_copy(update={"model": resolved(step.model, f"{key}.transforms: {step.text}: model")})
            steps.append(step.text)
        found = resolve_dataset(rows.path, directory, f"{path}: {key}.path")
        return rows.model_copy(update={"path": found, "transforms": steps})

    changes: dict[str, Any] = {
        "data": resolved_rows(recipe.data, "data"),
        "prompts": resolved_rows(recipe.prompts, "prompts"),
    }
    if recipe.base.model != "embedded":
        model = resolved(recipe.base.model, "base.model")
        changes["base"] = recipe.base.model_copy(update={"model": model})
    if recipe.context.template not in ("auto", "chat", "alpaca", "plain", "tk-instruct"):
        template = resolved(recipe.context.template, "context.template")
        if not Path(template).is_file():
            raise UserError(
                f"{path}: context.template: {template!r} is not chat, alpaca, plain, tk-instruct, auto or a Jinja file",
                code=2,
            )
        changes["context"] = recipe.context.model_copy(update={"template": template})
    for key in ("detect", "evaluate"):
        judge = getattr(recipe, key).judge
        if judge is not None and judge.local.model != "embedded":
            model = resolved(judge.local.model, f"{key}.judge.local.model")
            judge = judge.model_copy(update={"local": judge.local.model_copy(update={"model": model})})
            changes[key] = getattr(recipe, key).model_copy(update={"judge": judge})
    changes["style"] = recipe.style.with_files(lambda name, key: resolved(name, f"style.{key}"))
    models: dict[str, Model] = {}
    for label, model_section in recipe.models.items():
        update: dict[str, str] = {}
        if isinstance(model_section, Imported):
            responses = resolved(model_section.responses, f"models.{label}.responses")
            if not Path(responses).is_file():
                raise UserError(f"{path}: models.{label}.responses: {responses} is not a file", code=2)
            update["responses"] = responses
        if isinstance(model_section, Existing | Imported) and model_section.model not in ("", "embedded"):
            update["model"] = resolved(model_section.model, f"models.{label}.model")
        models[label] = model_section.model_copy(update=update)
    changes["models"] = models
    return recipe.model_copy(update=changes)
