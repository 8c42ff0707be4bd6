"""Formats that hold conversations: ShareGPT, OpenAI messages, and TRL's prompt and completion."""

from collections.abc import Iterator
from typing import Any

from itaudit.data.dataset import Dataset, StoredRow
from itaudit.data.formats.base import (
    Format,
    Parsed,
    Record,
    Row,
    RowError,
    claim_references,
    kind,
    own_id,
    rest,
    text,
    with_extra,
)
from itaudit.data.instance import Message, Role, answer_positions

_OPENAI = ("role", "content")
_SHAREGPT = ("from", "value")

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}

_SHAREGPT_NAMES: dict[Role, str] = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}


def _role_name(role: Role, keys: tuple[str, str]) -> str:
    return _SHAREGPT_NAMES[role] if keys == _SHAREGPT else role


def _parse_messages(value: Any, column: str) -> tuple[list[Message], list[Record], tuple[str, str]]:
    """The messages of a list, what else each of them says, and which pair of keys they use."""
    if not isinstance(value, list):
        raise RowError(f"{column!r} is {kind(value)}, expected a list of messages")
    if not value:
        raise RowError(f"{column!r} holds no messages")
    keys = _SHAREGPT if isinstance(value[0], dict) and "from" in value[0] else _OPENAI
    messages, fields = [], []
    for number, item in enumerate(value):
        if not isinstance(item, dict):
            raise RowError(f"message {number} is {kind(item)}, expected an object")
        try:
            name, content = text(item, keys[0]), text(item, keys[1])
        except RowError as error:
            raise RowError(f"message {number}: {error}") from error
        role = _ROLES.get(name)
        if role is None:
            raise RowError(f"message {number}: role {name[:40]!r} is none of {', '.join(_ROLES)}")
        messages.append(Message(role, content))
        field = rest(item, *keys)
        # A source's own name for a role is kept beside the message, so that it is written back.
        fields.append(field if name == _role_name(role, keys) else {keys[0]: name, **field})
    return messages, fields, keys


def _row(messages: list[Message], fields: list[Record], keys: tuple[str, str], turn: int) -> Row:
    answers = answer_positions(messages)
    if not answers:
        raise RowError("has no assistant message after a user message")
    try:
        answer = answers[turn]
    except IndexError as error:
        count = f"{len(answers)} assistant turn{'s' if len(answers) > 1 else ''}"
        raise RowError(f"has {count}, not the turn {turn} that was asked for") from error
    shape: Record = {"keys": list(keys)}
    if any(fields):
        shape["fields"] = fields
    return Row(
        instruction=messages[answer - 1].content,
        response=messages[answer].content,
        history=tuple(messages[: answer - 1]),
        later=tuple(messages[answer + 1 :]),
        shape=shape,
    )


def _emit_messages(stored: StoredRow, default: tuple[str, str], same_format: bool) -> list[Record]:
    """The conversation as a list of objects, with what the source said beside each message."""
    messages = stored.instance.messages
    fields = stored.shape.get("fields", [])
    source = tuple(stored.shape.get("keys", default))
    keys = (str(source[0]), str(source[1])) if same_format else default
    records: list[Record] = [{keys[0]: _role_name(m.role, keys), keys[1]: m.content} for m in messages]
    if len(fields) == len(records):
        for record, field in zip(records, fields, strict=True):
            record |= field if same_format else rest(field, *_OPENAI, *_SHAREGPT)
    return records


def _conversation_format(name: str, column: str, default: tuple[str, str]) -> Format:
    def parse(record: Record, turn: int) -> Parsed:
        try:
            if column not in record:
                raise RowError(f"no field {column!r}")
            row = _row(*_parse_messages(record[column], column), turn)
        except RowError as error:
            return Parsed([error])
        row.extra = rest(record, column)
        row.id = own_id(record)
        if row.shape == {"keys": list(default)}:
            row.shape = None
        return Parsed([claim_references(row)])

    def emit(dataset: Dataset) -> Iterator[Record]:
        for stored in dataset.rows():
            yield with_extra({column: _emit_messages(stored, default, dataset.format == name)}, stored)

    return Format(
        name=name,
        matches=lambda columns: column in set(columns),
        parse=parse,
        emit=emit,
        claims=frozenset({column}),
        nested=frozenset({column}),
        multi_turn=True,
    )


def _parse_pair(record: Record, turn: int) -> Parsed:
    try:
        prompt, completion = (_text_or_messages(record, column) for column in ("prompt", "completion"))
        if isinstance(prompt, str) and isinstance(completion, str):
            if turn not in (0, -1):
                raise RowError(f"has 1 assistant turn, not the turn {turn} that was asked for")
            row = Row(prompt, response=completion)
        elif isinstance(prompt, str) or isinstance(completion, str):
            raise RowError("one of 'prompt' and 'completion' is text and the other a list of messages")
        else:
            asked, asked_fields, keys = _parse_messages(prompt, "prompt")
            answered, answered_fields, _ = _parse_messages(completion, "completion")
            row = _row(asked + answered, asked_fields + answered_fields, keys, turn)
            row.shape = {**(row.shape or {}), "prompt_messages": len(asked)}
    except RowError as error:
        return Parsed([error])
    row.extra = rest(record, "prompt", "completion")
    row.id = own_id(record)
    return Parsed([claim_references(row)])


def _text_or_messages(record: Record, column: str) -> str | list[Any]:
    if isinstance(record.get(column), list):
        messages: list[Any] = record[column]
        return messages
    return text(record, column)


def _emit_pairs(dataset: Dataset) -> Iterator[Record]:
    same_format = dataset.format == "prompt-completion"
    for stored in dataset.rows():
        instance = stored.instance
        split = stored.shape.get("prompt_messages") if same_format else None
        record: Record
        if split is None and not instance.history and not instance.later:
            record = {"prompt": instance.prompt, "completion": instance.response}
        else:
            messages = _emit_messages(stored, _OPENAI, same_format)
            split = len(instance.history) + 1 if split is None else split
            record = {"prompt": messages[:split], "completion": messages[split:]}
        yield with_extra(record, stored)


SHAREGPT = _conversation_format("sharegpt", "conversations", _SHAREGPT)
MESSAGES = _conversation_format("messages", "messages", _OPENAI)
PROMPT_COMPLETION = Format(
    name="prompt-completion",
    matches=lambda columns: {"prompt", "completion"} <= set(columns),
    parse=_parse_pair,
    emit=_emit_pairs,
    claims=frozenset({"prompt", "completion"}),
    either=frozenset({"prompt", "completion"}),
    multi_turn=True,
)
