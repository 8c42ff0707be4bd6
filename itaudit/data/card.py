"""The dataset card of an export: what was changed, by whom or what, with which checks, and how to make it again."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from itaudit.data.edited import EditedDataset, EditedRow
from itaudit.data.edits import TEXTS, TURNS, values_of
from itaudit.sanitize import visible_line

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card tells; see `ExportOptions`. `changed` are the exported rows whose text the edits changed."""

    edited: EditedDataset
    changed: Sequence[EditedRow]
    deleted: int
    format: str
    out: str
    filter: str
    only_edited: bool
    steps: Sequence[Mapping[str, Any]]
    provenance: bool
    splits: Mapping[str, int]
    shares: Mapping[str, float]
    seed: int
    date: datetime

    @property
    def instances(self) -> int:
        return sum(self.splits.values())

    @property
    def name(self) -> str:
        """The source's file name or hub name: the folders above a file are nobody's business."""
        path = self.edited.source.path
        return visible_line(Path(path).name if Path(path).is_absolute() else path)

    def engines(self) -> dict[str, int]:
        """How many of the changed instances each engine, or hand, changed the text of; most first."""
        counts = Counter(
            by for row in self.changed for by in {edit.by for edit in row.edits if edit.after.keys() & {*TEXTS, *TURNS}}
        )
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def card_text(facts: Facts) -> str:
    """The card as Markdown, with the header that the hub reads."""
    from huggingface_hub import DatasetCardData

    size = next((name for most, name in _SIZES if facts.instances < most), "n>1M")
    header = DatasetCardData(
        pretty_name=f"{facts.name}, edited",
        tags=["instruction-tuning", "itaudit"],
        task_categories=["text-generation"],
        size_categories=[size],
    )
    parts = [f"---\n{header.to_yaml()}\n---", f"# {_text(facts.name)}, edited", *_sections(facts)]
    return "\n\n".join(parts) + "\n"


def _sections(facts: Facts) -> Iterator[str]:
    source = facts.edited.source
    yield _list(
        [
            f"Source: `{_code(facts.name)}` ({source.format}, {len(source):,} instances)",
            f"SHA-256 of the source: `{source.sha256}`",
            f"Exported: {facts.date:%Y-%m-%d} as {facts.format}, {facts.instances:,} instances",
        ]
    )
    yield "## What was changed"
    yield _list(_changes(facts))
    if facts.changed:
        rows = [f"| {_text(by)} | {count:,} |" for by, count in facts.engines().items()]
        yield "\n".join(["| changed by | instances |", "| --- | ---: |", *rows])
    checks = list(_checks(facts.changed))
    if checks:
        yield "## Checks on accepted proposals"
        yield _list(checks)
    if facts.filter or facts.only_edited or facts.steps:
        yield "## What was chosen"
        yield _list(list(_choices(facts)))
    if facts.shares:
        yield "## Splits"
        rows = [f"| {name} | {facts.shares[name]:g} | {count:,} |" for name, count in facts.splits.items()]
        yield "\n".join([f"Shared out with seed {facts.seed}.", "", "| split | share | instances |",
                         "| --- | ---: | ---: |", *rows])  # fmt: skip
    left_out = list(_left_out(facts))
    if left_out:
        yield "## What was left out"
        yield _list(left_out)
    if facts.provenance:
        yield "## Provenance"
        yield (
            "The column `itaudit_edit` holds, as JSON text, what was done to an instance: `by`, `fields`, `time`, `of` "
            "(the hash of what the source said), `tags`, `note`. It is empty where nothing was done."
        )
    yield "## How to make it again"
    yield f"With the source and its `.workshop` folder:\n\n```sh\n{_command(facts)}\n```"


def _changes(facts: Facts) -> list[str]:
    lines = [f"{len(facts.changed):,} instances changed, {facts.deleted:,} deleted"]
    fields: Counter[str] = Counter()
    for row in facts.changed:
        before, after = values_of(row.source), values_of(row.instance)
        fields.update(name for name in before if before[name] != after[name])
    lines += [f"`{name}` of {count:,} instances" for name, count in fields.items()]
    pairs = [
        (len(row.source.response.split()), len((row.instance.response or "").split()))
        for row in facts.changed
        if row.source.response is not None and row.source.response != row.instance.response
    ]
    if pairs:
        before, after = (sum(counts) / len(pairs) for counts in zip(*pairs, strict=True))
        lines.append(f"Words in a changed response: {before:.1f} on average before, {after:.1f} after")
    return lines


def _checks(rows: Sequence[EditedRow]) -> Iterator[str]:
    """What the checks said of proposals that were accepted, and still stand."""
    found = [edit.checks for row in rows for edit in row.edits if edit.checks]
    if not found:
        return
    reasons: Counter[str] = Counter()
    for checks in found:
        told = checks.get("reasons")
        lines = told if isinstance(told, list) else []
        # "new number: 12" and "keeps 40 % of the content words" are told by their kind.
        reasons.update({re.sub(r"\d[\d.,]*", "…", str(line).partition(":")[0]) for line in lines})
    passed = sum(checks.get("passes") is True for checks in found)
    yield f"{len(found):,} proposals were checked: new numbers, dates and names, lost content words, refusals, cuts"
    yield f"{passed:,} passed; {len(found) - passed:,} were confirmed by hand"
    for reason, count in reasons.most_common(_SHOWN):
        yield f"confirmed although: {_text(reason)} ({count:,})"


def _choices(facts: Facts) -> Iterator[str]:
    if facts.only_edited:
        yield "Only instances whose text was changed"
    if facts.filter:
        yield f"Filter: `{_code(facts.filter)}`"
    for step in facts.steps:
        yield f"Transform: `{_code(str(step['step']))}` ({step['before']:,} instances before, {step['after']:,} after)"
        for note in step.get("notes", ()):
            yield f"  {_text(str(note))}"


def _left_out(facts: Facts) -> Iterator[str]:
    source = facts.edited.source
    conflicts = facts.edited.conflicts()
    if conflicts:
        yield f"{len(conflicts):,} edits in conflict with the source, which were not applied"
    if source.rejected:
        yield f"{len(source.rejected):,} rows of the source that can't be used"
    for rejection in source.rejected[:_SHOWN]:
        yield f"row {rejection.index}: {_text(rejection.reason)}"


def _command(facts: Facts) -> str:
    overlay = facts.edited.overlay
    words = ["itaudit", "data", "export", f"{facts.name}@{overlay.count}", "--format", facts.format]
    words += ["--out", visible_line(facts.out) or "OUT"]
    words += ["--only", "edited"] if facts.only_edited else []
    words += ["--filter", visible_line(facts.filter)] if facts.filter else []
    for step in facts.steps:
        words += ["--transform", visible_line(str(step["step"]))]
    if facts.shares:
        words += ["--split", ",".join(f"{name}={share:g}" for name, share in facts.shares.items())]
        words += ["--seed", str(facts.seed)]
    words += ["--provenance"] if facts.provenance else []
    return shlex.join(words)


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _text(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in visible_line(text))


def _code(text: str) -> str:
    """Text for a code span."""
    return visible_line(text).replace("`", "'")
