"""The difference between two texts to read: what went is struck out, what came is underlined, both in their colours."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from textual.content import Content

from itaudit.data.diff import word_changes
from itaudit.sanitize import visible

REMOVED_STYLE = "strike $error"
ADDED_STYLE = "underline $success"
LONGEST = 20_000
"""Characters of each text that are compared: more would hold up every key, and is told."""

Span = tuple[int, int, str]
"""Half-open offsets in the new text, and a style for them."""


@dataclass(frozen=True, slots=True)
class Diff:
    """Two texts in one; where in it each span begins, and where each stretch that differs."""

    content: Content
    spans: list[int]
    changes: list[int]


def diff_text(before: str, after: str, spans: Iterable[Span] = ()) -> Diff:
    """Both texts in one.

    Without colours, `[-what went-]` and `{+what came+}` tell what the styles can't.
    """
    marked = bool(os.environ.get("NO_COLOR"))
    old, new = before[:LONGEST], after[:LONGEST]
    wanted = sorted(spans)
    starts: dict[Span, int] = {}
    parts: list[Content] = []
    changes: list[int] = []
    length = at = 0
    kind_before = "same"
    for kind, text in word_changes(old, new):
        if kind != "same" and kind_before == "same":
            changes.append(length)
        kind_before = kind
        lead, tail = ("[-", "-]") if kind == "removed" else ("{+", "+}") if kind == "added" else ("", "")
        if not marked:
            lead = tail = ""
        part = Content(lead + visible(text) + tail)
        if kind == "removed":
            part = part.stylize(REMOVED_STYLE)
        else:
            if kind == "added":
                part = part.stylize(ADDED_STYLE)
            for span in wanted:
                start, end = max(span[0], at), min(span[1], at + len(text))
                if start < end:
                    part = part.stylize(span[2], start - at + len(lead), end - at + len(lead))
                    starts.setdefault(span, length + start - at + len(lead))
            at += len(text)
        parts.append(part)
        length += len(part)
    content = Content("").join(parts)
    if len(before) > LONGEST or len(after) > LONGEST:
        content += Content.styled(f"\n… only the first {LONGEST:,} characters are compared …", "$foreground-muted")
    return Diff(content, [starts.get(span, 0) for span in wanted], changes)


def marked_text(text: str, spans: Iterable[Span] = ()) -> Content:
    """A text to read with spans of it in styles."""
    content = Content(visible(text[:LONGEST]))
    for start, end, style in spans:
        content = content.stylize(style, start, min(end, LONGEST))
    if len(text) > LONGEST:
        content += Content.styled(f"\n… {len(text) - LONGEST:,} characters more", "$foreground-muted")
    return content


def fields_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> Content:
    """Every field that an edit changed, with the difference of its values."""
    parts = []
    for name, new in after.items():
        diff = diff_text(value_text(name, before[name]), value_text(name, new))
        parts.append(Content.assemble((name, "bold $primary"), "\n", diff.content))
    return Content("\n\n").join(parts)


def value_text(name: str, value: Any) -> str:
    """The value of a field as text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if name in ("history", "later"):
        return "\n\n".join(f"{turn['role']}:\n{turn['content']}" for turn in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "tags":
        return ", ".join(value)
    return orjson.dumps(value, default=str).decode()
