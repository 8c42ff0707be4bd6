"""An instance as text to read: its turns in order, evidence and matches highlighted, its other columns below."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from textual.content import Content

from itaudit.data.instance import Instance
from itaudit.sanitize import visible, visible_line
from itaudit.trace.types import Evidence

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

EVIDENCE_STYLE = "bold underline $evidence"
MATCH_STYLE = "reverse"
SHOWN = 20_000
"""Characters of one field that are shown: wrapping a text of megabytes would hold up every key."""
_BEFORE = 2_000
# Who speaks is said in words; the colours help to find the next turn of the same speaker.
_ROLE_STYLES = {"assistant": "bold $accent", "system": "bold $secondary", "tool": "bold $secondary"}


@dataclass(frozen=True, slots=True)
class Field:
    """One text of an instance: its name as evidence uses it, what stands above it, and the text."""

    name: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class InstanceText:
    """What is shown of an instance; `focus` is the offset of the first highlight in it, if there is one."""

    content: Content
    focus: int | None


def fields_of(instance: Instance) -> Iterator[Field]:
    """All texts of an instance in the order of the conversation."""
    for number, message in enumerate(instance.history):
        yield Field(f"history[{number}]", message.role, message.content)
    yield Field("instruction", "user · instruction" if instance.input else "user", instance.instruction)
    if instance.input:
        yield Field("input", "user · input", instance.input)
    if instance.response is not None:
        yield Field("response", "assistant", instance.response)
    for number, message in enumerate(instance.later):
        yield Field(f"later[{number}]", message.role, message.content)
    for number, reference in enumerate(text for text in instance.references if text != instance.response):
        yield Field(f"references[{number}]", "another accepted answer", reference)


def instance_text(
    instance: Instance,
    highlights: Sequence[Evidence] = (),
    patterns: "Sequence[Pattern]" = (),
    *,
    before: Content | None = None,
) -> InstanceText:
    """The instance to read. `highlights` are offsets in its fields; `patterns` are what is searched for.

    `before` is what stands above it.
    """
    lead = before or Content()
    parts: list[Content] = []
    evidence_at: int | None = None
    match_at: int | None = None
    length = len(lead)
    several = bool(instance.history or instance.later)
    for field in fields_of(instance):
        own = [evidence for evidence in highlights if evidence.field == field.name]
        body, first = _body(field.text, own, patterns)
        title = f"{field.title}  ◂ audited turn" if several and field.name == "response" else field.title
        style = _ROLE_STYLES.get(field.title.partition(" ")[0], "bold $primary")
        block = Content.assemble((visible_line(title), style), "\n", body)
        if first is not None:
            offset = length + len(title) + 1 + first
            if own and evidence_at is None:
                evidence_at = offset
            match_at = offset if match_at is None else match_at
        parts.append(block)
        length += len(block) + 2
    if instance.extra:
        rows = [
            Content.assemble((f"{visible_line(str(name))}  ", "$foreground-muted"), _marked(_plain(value), patterns))
            for name, value in instance.extra.items()
        ]
        parts.append(Content.assemble(("other columns", "bold $primary"), "\n", Content("\n").join(rows)))
    return InstanceText(lead + Content("\n\n").join(parts), match_at if evidence_at is None else evidence_at)


def instance_json(instance: Instance) -> str:
    """The instance as JSON, for copying: nothing in it is changed, and no control character reaches a terminal."""
    fields = {
        "index": instance.index,
        "id": instance.id,
        "instruction": instance.instruction,
        "input": instance.input,
        "response": instance.response,
        "history": [{"role": message.role, "content": message.content} for message in instance.history],
        "later": [{"role": message.role, "content": message.content} for message in instance.later],
        "references": list(instance.references),
        "extra": dict(instance.extra),
    }
    kept = {name: value for name, value in fields.items() if value not in ("", [], {})}
    return orjson.dumps(kept, option=orjson.OPT_INDENT_2, default=str).decode()


def _body(text: str, evidence: Sequence[Evidence], patterns: "Sequence[Pattern]") -> tuple[Content, int | None]:
    """A field's text, and where in it the first highlight begins."""
    if not text:
        return Content.styled("(empty)", "$foreground-muted"), None
    start = 0
    if len(text) > SHOWN and evidence:
        start = max(0, min(each.start for each in evidence) - _BEFORE)
    shown = text[start : start + SHOWN]
    body, first = Content(visible(shown)), None
    for found in _found(shown, patterns):
        body = body.stylize(MATCH_STYLE, *found)
        first = found[0] if first is None else first
    spans = [(max(0, each.start - start), min(len(shown), each.end - start)) for each in evidence]
    spans = [(begin, end) for begin, end in spans if begin < end]
    for begin, end in spans:
        body = body.stylize(EVIDENCE_STYLE, begin, end)
    if spans:
        first = min(begin for begin, _ in spans)
    if start:
        lead = f"… {start:,} characters before …\n"
        body = Content.styled(lead, "$foreground-muted") + body
        first = None if first is None else first + len(lead)
    if start + SHOWN < len(text):
        body += Content.styled(f"\n… {len(text) - start - SHOWN:,} characters more", "$foreground-muted")
    return body, first


def _marked(text: str, patterns: "Sequence[Pattern]") -> Content:
    content = Content(visible(text))
    for found in _found(text, patterns):
        content = content.stylize(MATCH_STYLE, *found)
    return content


def _found(text: str, patterns: "Sequence[Pattern]") -> list[tuple[int, int]]:
    return sorted(span for pattern in patterns for span in pattern.spans(text))


def _plain(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"
