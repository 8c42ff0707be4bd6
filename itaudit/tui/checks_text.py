"""What the checks found about a text, in lines to read."""

from collections.abc import Collection
from typing import Protocol

from textual.content import Content

from itaudit.data.instance import Instance
from itaudit.sanitize import visible_line
from itaudit.simplify.checks import Checks, check
from itaudit.simplify.readability import Measures

_DROPPED = 12
_CHECKED = 20_000
"""Characters of a text that are checked while it is typed; a proposal is always checked, whatever its length."""
_GRAVE = 300.0
"""From this severity on a proposal is no answer: cut off, a refusal, empty, or not there."""


class Judged(Protocol):
    """A proposal, or what lists know of it."""

    @property
    def passes(self) -> bool: ...

    @property
    def severity(self) -> float: ...


def severity_mark(proposal: Judged) -> tuple[str, str]:
    """A mark and its style: ✗ for what is no answer, ! for what has to be confirmed, ✓ for what passes."""
    if proposal.passes:
        return "✓", "$success"
    return ("✗", "bold $error") if proposal.severity >= _GRAVE else ("!", "bold $warning")


def checks_text(checks: Checks, confirmed: Collection[str] = ()) -> Content:
    """Length and grade before and after, what has to be confirmed, and what was dropped."""
    lines = [Content(measures_line(checks))]
    if checks.passes:
        words = "✓ the same text" if checks.unchanged else "✓ nothing to confirm"
        lines.append(Content.styled(words, "$success"))
    for reason in checks.reasons:
        lines.append(Content.styled(f"! {visible_line(reason)}", "bold $warning"))
    if confirmed:
        lines.append(Content.styled(f"✓ confirmed: {visible_line(', '.join(confirmed))}", "$success"))
    # What is less than wanted stands among the reasons already.
    parts = [f"keeps {100 * checks.kept:.0f} % of the content words"] if checks.kept >= checks.threshold else []
    if checks.dropped:
        shown = visible_line(", ".join(checks.dropped[:_DROPPED]))
        more = f" … {len(checks.dropped) - _DROPPED:,} more" if len(checks.dropped) > _DROPPED else ""
        parts.append(f"dropped: {shown}{more}")
    lines.append(Content.styled("; ".join(parts), "$foreground-muted"))
    return Content("\n").join(lines)


def measures_line(checks: Checks) -> str:
    """`words 143 → 58 · sentences 9 → 4 · grade 11.2 → 8.4 · 41 % of the length`."""
    before, after = checks.before, checks.after
    parts = [f"words {before.words:,} → {after.words:,}", f"sentences {before.sentences:,} → {after.sentences:,}"]
    if before.grade is not None or after.grade is not None:
        parts.append(f"grade {_grade(before)} → {_grade(after)}")
    parts.append(f"{100 * checks.compression:.0f} % of the length")
    return " · ".join(parts)


def _grade(measures: Measures) -> str:
    return "–" if measures.grade is None else f"{measures.grade:.1f}"


def length_line(text: str, instance: Instance | None) -> Content:
    """How long a text is; of a response, what the checks find against its source."""
    if instance is None or not instance.response or len(text) > _CHECKED or len(instance.response) > _CHECKED:
        return Content(f"words {len(text.split()):,} · characters {len(text):,}")
    checks = check(instance, text)
    if checks.unchanged:
        return Content(f"words {checks.after.words:,} · sentences {checks.after.sentences:,} · as in the source")
    line = Content(measures_line(checks))
    if not checks.passes:
        line += Content.styled(f"\n! {visible_line('; '.join(checks.reasons))}", "$warning")
    return line
