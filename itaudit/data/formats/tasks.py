"""Formats whose records hold several instances: Super-NaturalInstructions tasks, and Self-Instruct."""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from itaudit.data.dataset import Dataset, StoredRow, task_definition
from itaudit.data.formats.base import (
    ID_COLUMNS,
    Format,
    Parsed,
    Record,
    Row,
    RowError,
    is_references,
    join,
    kind,
    optional_text,
    own_id,
    rest,
    text,
)
from itaudit.data.task_prompt import EMPTY, written_task

# The lists of a Super-NaturalInstructions task file.
_TASK_LISTS = frozenset(
    {
        "Definition",
        "Positive Examples",
        "Negative Examples",
        "Instances",
        "Categories",
        "Contributors",
        "Source",
        "URL",
        "Reasoning",
        "Domains",
        "Input_language",
        "Output_language",
        "Instruction_language",
        "Instance License",
    }
)


def _items(record: Record, key: str) -> list[Any]:
    if key not in record:
        raise RowError(f"no field {key!r}")
    items = record[key]
    if not isinstance(items, list):
        raise RowError(f"{key!r} is {kind(items)}, expected a list")
    return items


def _each(items: list[Any], parse: Callable[[Record], Row]) -> list[Row | RowError]:
    rows: list[Row | RowError] = []
    for item in items:
        try:
            if not isinstance(item, dict):
                raise RowError(f"is {kind(item)}, expected an object")
            rows.append(parse(item))
        except RowError as error:
            rows.append(error)
    return rows


def _definition_fault(task: Record) -> str | None:
    definition = task.get("Definition")
    parts = [definition] if isinstance(definition, str) else definition
    if not isinstance(parts, list) or not parts or not all(type(part) is str for part in parts):
        return f"its task's 'Definition' is {kind(definition)}, expected text or a list of texts"
    if definition == EMPTY:
        return None
    return None if "".join(parts).strip() else "its task's 'Definition' is empty"


def _parse_task(record: Record, turn: int) -> Parsed:
    try:
        items = _items(record, "Instances")
    except RowError as error:
        return Parsed([error])
    fault = _definition_fault(record)

    def parse(item: Record) -> Row:
        if fault:
            raise RowError(fault)
        if turn not in (0, -1):
            raise RowError(f"has 1 assistant turn, not the turn {turn} that was asked for")
        outputs = _items(item, "output")
        if not outputs:
            raise RowError("'output' is an empty list")
        for output in outputs:
            if type(output) is not str:
                raise RowError(f"'output' holds {kind(output)}, expected text")
        return Row(
            instruction=None,
            input=text(item, "input"),
            response=outputs[0],
            references=outputs if len(outputs) > 1 else None,
            extra=rest(item, "input", "output"),
            id=own_id(item),
        )

    # Examples and all else that is said of a task are kept once, not with each instance.
    return Parsed(_each(items, parse), task=None if fault else rest(record, "Instances"))


def _task_item(stored: StoredRow, extra: Mapping[str, Any]) -> Record:
    instance = stored.instance
    output = list(instance.references or (instance.response or "",))
    item: Record = {} if "id" in extra else {"id": instance.id}
    return join(item | {"input": instance.input, "output": output}, extra, instance.index)


def _emit_tasks(dataset: Dataset) -> Iterator[Record]:
    tasks: dict[Any, Record] = {}
    instructions: dict[Any, dict[str, int]] = {}
    for stored in dataset.rows():
        own = dataset.tasks.get(stored.record)
        key = stored.instance.instruction if own is None else stored.record
        if key not in tasks:
            fresh = {"Definition": [key], "Positive Examples": [], "Negative Examples": []}
            tasks[key] = {**(fresh if own is None else written_task(own)), "Instances": []}
        # An instance of a task shows its task's name and categories, which are not its own to write.
        extra = stored.instance.extra if own is None else stored.extra
        tasks[key]["Instances"].append(_task_item(stored, extra))
        instructions.setdefault(key, {}).setdefault(stored.instance.instruction, stored.instance.index)
    for key, task in tasks.items():
        own = dataset.tasks.get(key)
        if own is not None:
            _define(task, own, instructions[key])
        yield task


def _define(task: Record, own: Mapping[str, Any], instructions: Mapping[str, int]) -> None:
    """Gives a task the instruction that its instances have now. Raises RowError where they do not share one."""
    before = task_definition(own)
    if instructions.keys() == {before}:
        return
    if len(instructions) > 1:
        row = next(row for instruction, row in instructions.items() if instruction != before)
        raise RowError(
            f"row {row}: has another instruction than its task {own['name']!r}, which holds one definition for all;"
            " edit all its instances alike, or export as alpaca"
        )
    task["Definition"] = list(instructions)


def _parse_self_instruct(record: Record, turn: int) -> Parsed:
    try:
        instruction = text(record, "instruction")
        items = _items(record, "instances")
        if not items:
            raise RowError("'instances' is an empty list")
    except RowError as error:
        return Parsed([error])
    id = own_id(record)
    extra = rest(record, "instruction", "instances")

    def parse(item: Record) -> Row:
        if turn not in (0, -1):
            raise RowError(f"has 1 assistant turn, not the turn {turn} that was asked for")
        response = text(item, "output")
        row = Row(instruction, input=optional_text(item, "input"), response=response, extra=dict(extra))
        others = rest(item, "input", "output")
        if is_references(others.get("references"), response):
            row.references = others.pop("references")
        row.shape = {"item": others} if others else None
        return row

    rows = _each(items, parse)
    for number, row in enumerate(rows):
        if isinstance(row, Row) and id is not None:
            row.id = id if len(rows) == 1 else f"{id}.{number}"
    return Parsed(rows)


def _emit_self_instruct(dataset: Dataset) -> Iterator[Record]:
    same_format = dataset.format == "self-instruct"
    groups: Iterator[list[StoredRow]]
    if same_format:
        groups = (list(rows) for _, rows in groupby(dataset.rows(), key=lambda stored: stored.record))
    else:
        groups = ([stored] for stored in dataset.rows())
    for group in groups:
        if not same_format or _is_one_record(group):
            yield _self_instruct_record(group, group[0].instance.extra, same_format)
            continue
        for stored in group:
            extra = dict(stored.instance.extra)
            extra |= {column: stored.instance.id for column in _id_column(extra)}
            yield _self_instruct_record([stored], extra, same_format)


def _is_one_record(group: list[StoredRow]) -> bool:
    """Whether instances still share an instruction, and would be read back with the ids that they have."""
    column = _id_column(group[0].instance.extra)
    id = str(group[0].instance.extra[column[0]]) if column else ""
    ids = [id] if len(group) == 1 else [f"{id}.{number}" for number in range(len(group))]
    same_ids = not column or ids == [stored.instance.id for stored in group]
    return same_ids and len({stored.instance.instruction for stored in group}) == 1


def _id_column(extra: Mapping[str, Any]) -> list[str]:
    """The column that holds the id of a record, if any."""
    return [column for column in ID_COLUMNS if type(extra.get(column)) in (str, int)][:1]


def _self_instruct_record(group: list[StoredRow], extra: Mapping[str, Any], same_format: bool) -> Record:
    items = []
    for stored in group:
        instance = stored.instance
        item: Record = {"input": instance.input, "output": instance.response}
        if instance.references and instance.references != (instance.response,):
            item["references"] = list(instance.references)
        items.append(join(item, stored.shape.get("item", {}) if same_format else {}, instance.index))
    first = group[0].instance
    return join({"instruction": first.instruction, "instances": items}, extra, first.index)


SUPERNI = Format(
    name="superni",
    matches=lambda columns: {"Definition", "Instances"} <= set(columns),
    parse=_parse_task,
    emit=_emit_tasks,
    claims=None,
    nested=_TASK_LISTS,
    groups_rows=True,
)

SELF_INSTRUCT = Format(
    name="self-instruct",
    matches=lambda columns: {"instruction", "instances"} <= set(columns),
    parse=_parse_self_instruct,
    emit=_emit_self_instruct,
    claims=frozenset({"instruction", "instances"}),
    nested=frozenset({"instances"}),
    groups_rows=True,
)
