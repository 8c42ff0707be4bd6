"""Transform steps as recipes and the command line write them: `name:key=value,key=value`, parsed into types.

A value that holds a comma stands in double quotes, as in `score:column="helpful, honest",k=100`, where a quote is
doubled.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from itaudit.errors import UserError

Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Order = Literal["highest", "lowest"]

_PAIR = re.compile(r'\s*([A-Za-z_]+)\s*=\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?:,|$)')


class Step(BaseModel):
    """What one step of a transform is asked to do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ClassVar[str]

    @property
    def text(self) -> str:
        """The step with every default written out; parsing it gives an equal step."""
        pairs = [f"{key}={_quoted(str(value))}" for key, value in self if value != ""]
        return f"{self.name}:{','.join(pairs)}"


class First(Step):
    """The first `k` instances."""

    name = "first"
    k: Positive


class Longest(Step):
    """The `k` instances with the longest responses; of equal ones the earlier row."""

    name = "longest"
    k: Positive
    unit: Literal["words", "characters"] = "words"


class Shortest(Step):
    """The `k` instances with the shortest responses; of equal ones the earlier row."""

    name = "shortest"
    k: Positive
    unit: Literal["words", "characters"] = "words"


class Words(Step):
    """The instances whose response has at least and at most so many words; those without a response are left out."""

    name = "words"
    at_least: Annotated[int, Field(ge=0)] = 0
    at_most: Annotated[int, Field(ge=0)] = 0
    """0 is no bound."""

    @model_validator(mode="after")
    def _chooses(self) -> "Words":
        if not self.at_least and not self.at_most:
            raise ValueError("give at_least, at_most or both")
        if self.at_most and self.at_most < self.at_least:
            raise ValueError(f"at_most={self.at_most} is below at_least={self.at_least}")
        return self


class Random(Step):
    """`k` instances drawn by `seed`; a smaller draw with the same seed is part of a larger one."""

    name = "random"
    k: Positive
    seed: Seed = 0


class Score(Step):
    """The `k` instances with the highest or lowest number in a column of the dataset."""

    name = "score"
    column: Annotated[str, Field(min_length=1)]
    k: Positive
    order: Order = "highest"


class Ifd(Step):
    """The `k` instances with the highest or lowest instruction-following difficulty.

    As in Li et al. 2023 ("From Quantity to Quality"), instances above `at_most` are left out first: where the
    instruction makes the response no easier, the two do not belong together. `at_most=inf` keeps them.
    """

    name = "ifd"
    k: Positive
    order: Order = "highest"
    at_most: Annotated[float, Field(gt=0, allow_inf_nan=True)] = 1.0
    model: str = ""
    """Hub name, directory, GGUF file or `embedded`; empty is the recipe's base model."""


class Simplified(Step):
    """Simpler responses wherever the checks on the proposal pass; the others stay as they are."""

    name = "simplified"
    engine: Literal["extractive"] = "extractive"


class Definition(Step):
    """Another definition for every Super-NaturalInstructions task (Kung & Peng 2023).

    `simplified` leaves the output space alone: the labels, or the type of what is generated. `file` (TOML or JSON,
    task name to definition) brings simplified definitions of the user's own.
    """

    name = "definition"
    variant: Literal["original", "simplified", "empty"]
    file: str = ""

    @model_validator(mode="after")
    def _file_has_a_use(self) -> "Definition":
        if self.file and self.variant != "simplified":
            raise ValueError(f"file brings simplified definitions, and variant={self.variant} has no use for it")
        return self


class Examples(Step):
    """Positive examples in the prompt of every Super-NaturalInstructions task (Kung & Peng 2023).

    `delusive` examples have inputs and outputs of the task, wrongly paired.
    """

    name = "examples"
    variant: Literal["original", "delusive", "none"]
    count: Positive = 2
    seed: Seed = 0


class PerTask(Step):
    """At most `k` instances of every Super-NaturalInstructions task, in the order of its file, after `skip` of them.

    With `skip` one file gives the instances that models are tuned on and others of the same tasks that they are asked.
    """

    name = "per-task"
    k: Positive
    skip: Annotated[int, Field(ge=0)] = 0


class ChooseTasks(Step):
    """The instances of some Super-NaturalInstructions tasks: a split into tasks tuned on and unseen ones.

    `names` (parted by commas; `task1393` is enough) and `file` (a name a line, as the published splits are) say
    which, and `keep=others` takes all but these. `outputs` takes tasks with a closed set of labels, or all others.
    """

    name = "tasks"
    names: str = ""
    file: str = ""
    keep: Literal["named", "others"] = "named"
    outputs: Literal["any", "labels", "open"] = "any"

    @model_validator(mode="after")
    def _says_which(self) -> "ChooseTasks":
        if not (self.names or self.file) and (self.outputs == "any" or self.keep == "others"):
            raise ValueError("say which tasks, by names, by file, or by outputs=labels or outputs=open")
        return self


Choosing = Longest | Shortest | Words | Random | Score | Ifd | First | PerTask | ChooseTasks
"""Steps that may leave instances out; the others change what an instance says."""
AnyStep = Choosing | Simplified | Definition | Examples

KINDS: dict[str, type[AnyStep]] = {kind.name: kind for kind in get_args(AnyStep)}


def parse_step(text: str) -> AnyStep:
    """The step that a text asks for. Raises UserError that names the step, the key and what is allowed."""
    name, _, rest = text.partition(":")
    where = f"transform {text!r}"
    kind = KINDS.get(name.strip())
    if kind is None:
        raise UserError(f"{where}: no step {name.strip()!r}; there are {', '.join(KINDS)}", code=2)
    try:
        return kind.model_validate(_pairs(rest, where, kind))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        # A mistyped key also leaves the right one missing; the typing is what to mend.
        problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
        raise UserError(f"{where}: {_problem(problem, kind)}", code=2) from None


def parse_steps(texts: Iterable[str]) -> list[AnyStep]:
    """The steps that texts ask for, in order.

    Raises UserError on the first that is wrong, and where a step takes more instances than one before it leaves.
    """
    steps = [parse_step(text) for text in texts]
    left: int | None = None
    for step in steps:
        # So many of each task, of which there may be any number.
        k = None if isinstance(step, PerTask) else getattr(step, "k", None)
        if k is not None and left is not None and k > left:
            raise UserError(
                f"transform {step.text!r}: k={k} is more than the {left} that the steps before it leave", code=2
            )
        left = left if k is None else k
    return steps


def measured_with(steps: Iterable[AnyStep], model: str) -> list[AnyStep]:
    """The steps, with `model` named wherever one needs a model and names none."""
    return [
        step.model_copy(update={"model": model}) if isinstance(step, Ifd) and not step.model else step for step in steps
    ]


def _pairs(text: str, where: str, kind: type[AnyStep]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            raise UserError(f"{where}: {text[at:]!r} is not key=value; {_keys(kind)}", code=2)
        key, quoted, bare = match.groups()
        if key in pairs:
            raise UserError(f"{where}: {key} is given twice", code=2)
        pairs[key] = bare.strip() if quoted is None else quoted.replace('""', '"')
        at = match.end()
    return pairs


def _keys(kind: type[AnyStep]) -> str:
    told = [name if field.is_required() else f"{name} ({field.default!r})" for name, field in kind.model_fields.items()]
    return f"{kind.name} has the keys {', '.join(told)}"


def _problem(problem: Any, kind: type[AnyStep]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"no key {key!r}; {_keys(kind)}"
    if problem["type"] == "missing":
        return f"{key} is required, and missing; {_keys(kind)}"
    if problem["type"] == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    return f"{key}: {problem['msg']}, not {problem['input']!r}"


def _quoted(value: str) -> str:
    plain = value == value.strip() and not {",", '"'} & set(value)
    return value if plain else '"' + value.replace('"', '""') + '"'
