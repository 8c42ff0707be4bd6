"""Formats of one prompt and at most one answer a row: Alpaca, Dolly, and prompts alone."""

from collections.abc import Callable, Iterable, Iterator

from itaudit.data.dataset import Dataset
from itaudit.data.formats.base import (
    Format,
    Record,
    Row,
    RowError,
    join,
    one_row,
    optional_text,
    rest,
    text,
    with_extra,
)

# Where prompts without answers stand, the first that is there.
PROMPT_COLUMNS = ("prompt", "instruction", "question", "text")


def _answered(input: str, output: str) -> Callable[[Record], Row]:
    def parse(record: Record) -> Row:
        return Row(
            instruction=text(record, "instruction"),
            input=optional_text(record, input),
            response=text(record, output),
            extra=rest(record, "instruction", input, output),
        )

    return parse


def _emit_answered(input: str, output: str) -> Callable[[Dataset], Iterator[Record]]:
    def emit(dataset: Dataset) -> Iterator[Record]:
        for stored in dataset.rows():
            instance = stored.instance
            record = {"instruction": instance.instruction, input: instance.input, output: instance.response}
            yield with_extra(record, stored)

    return emit


def _has(*keys: str) -> Callable[[Iterable[str]], bool]:
    wanted = frozenset(keys)
    return lambda columns: wanted <= set(columns)


def _parse_prompt(record: Record) -> Row:
    column = next((column for column in PROMPT_COLUMNS if column in record), None)
    if column is None:
        raise RowError(f"no field {', '.join(map(repr, PROMPT_COLUMNS[:-1]))} or {PROMPT_COLUMNS[-1]!r}")
    prompt = text(record, column)
    if column == "instruction" and type(record.get("input")) is str:
        return Row(prompt, record["input"], extra=rest(record, column, "input"), shape={"input": True})
    return Row(prompt, extra=rest(record, column), shape={"column": column})


def _emit_prompts(dataset: Dataset) -> Iterator[Record]:
    for stored in dataset.rows():
        instance = stored.instance
        shape = stored.shape if dataset.format == "prompts" else {}
        if shape.get("input"):
            record: Record = {"instruction": instance.instruction, "input": instance.input}
        else:
            record = {shape.get("column", "prompt"): instance.prompt}
        yield join(record, instance.extra, instance.index)


ALPACA = Format(
    name="alpaca",
    matches=_has("instruction", "output"),
    parse=one_row(_answered("input", "output")),
    emit=_emit_answered("input", "output"),
    claims=frozenset({"instruction", "input", "output"}),
)

DOLLY = Format(
    name="dolly",
    matches=_has("instruction", "response"),
    parse=one_row(_answered("context", "response")),
    emit=_emit_answered("context", "response"),
    claims=frozenset({"instruction", "context", "response"}),
)

PROMPTS = Format(
    name="prompts",
    matches=lambda columns: not set(PROMPT_COLUMNS).isdisjoint(columns),
    parse=one_row(_parse_prompt),
    emit=_emit_prompts,
    claims=frozenset({*PROMPT_COLUMNS, "input"}),
    has_response=False,
)
