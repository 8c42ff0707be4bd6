"""An instance with its edits as text to read: as they leave it, as it was, or what they changed word by word."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from itaudit.data.edited import EditedRow
from itaudit.data.overlay import values_of
from itaudit.sanitize import visible_line
from itaudit.trace.types import Evidence
from itaudit.tui.dataset_view import Shown
from itaudit.tui.diff_text import fields_diff
from itaudit.tui.instance_text import InstanceText, instance_text

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

_SHOWN = {"edited": "as edited", "original": "as it was", "difference": "what changed"}


def row_text(
    row: EditedRow,
    shown: Shown,
    highlights: Sequence[Evidence] = (),
    patterns: "Sequence[Pattern]" = (),
    *,
    before: Content | None = None,
) -> InstanceText:
    """What is shown of an instance; `highlights` are offsets in the fields of the source."""
    lead = (before or Content()) + _lead(row, shown)
    if not row.changed:
        return instance_text(row.instance, highlights, patterns, before=lead)
    if shown == "difference":
        old, new = values_of(row.source), values_of(row.instance)
        changed = [name for name in new if old[name] != new[name]]
        diff = fields_diff({name: old[name] for name in changed}, {name: new[name] for name in changed})
        return InstanceText(lead + diff, None)
    if shown == "original":
        return instance_text(row.source, highlights, patterns, before=lead)
    # Evidence in a text that was changed would lie anywhere.
    same = [each for each in highlights if _text_of(row, each.field)]
    return instance_text(row.instance, same, patterns, before=lead)


def _lead(row: EditedRow, shown: Shown) -> Content:
    """What is known of the instance beside its texts, each on a line."""
    lines = []
    if row.deleted:
        lines.append(Content.styled("✗ deleted: exports leave it out", "$error"))
    if row.changed:
        by = ", ".join(dict.fromkeys(visible_line(edit.by) for edit in row.edits if set(edit.after) - _REMARKS))
        words = f"~ edited by {by} · {_SHOWN[shown]} · = {_NEXT[shown]}"
        lines.append(Content.styled(words, "$success"))
    for conflict in row.conflicts:
        reason = f"! an edit by {visible_line(conflict.edit.by)} is not applied: {visible_line(conflict.reason)}"
        lines.append(Content.styled(reason, "$warning"))
    if row.tags:
        lines.append(Content.styled(f"# {visible_line(', '.join(row.tags))}", "$secondary"))
    if row.note:
        lines.append(Content.styled(f"# {visible_line(row.note)}", "$secondary"))
    return Content("\n").join([*lines, Content("\n")]) if lines else Content()


_REMARKS = frozenset({"deleted", "tags", "note"})
_NEXT = {"edited": "original", "original": "difference", "difference": "edited"}


def _text_of(row: EditedRow, field: str) -> bool:
    """Whether a field says what its source says."""
    name = field.partition("[")[0]
    return bool(getattr(row.source, name, None) == getattr(row.instance, name, None))
