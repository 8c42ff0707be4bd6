"""`itaudit data log` and `itaudit data export`: what was done to a dataset, and what came of it for others to use."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_data import print_changed_field
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.errors import UserError

if TYPE_CHECKING:
    from itaudit.data.dataset import Dataset
    from itaudit.data.edited import EditedDataset
    from itaudit.data.edits import Edit, Entry
    from itaudit.data.export import ExportReport, Transform
    from itaudit.steps import Ifd

_format = click.option("--format", "format", default="auto", help="The format to read; detected if not given.")
_turn = click.option("--turn", default=-1, show_default=True, help="The assistant turn that was edited, from 0.")


@click.command("log")
@click.argument("file")
@click.option("--id", "id", help="Only the instance of that id, or #ROW.")
@click.option("--diff", "-v", "diff", is_flag=True, help="Show what each edit changed, word by word.")
@click.option("--name", "name", help="Give the present state a name; FILE@NAME reads it at any time.")
@_format
@click.option("--split", help="The split of a hub dataset or `datasets` directory.")
@_turn
@JSON_OPTION
def log_command(
    file: str,
    id: str | None,
    diff: bool,
    name: str | None,
    format: str,
    split: str | None,
    turn: int,
    as_json: bool,
) -> None:
    """Show what was done to the instances of FILE, the newest first; FILE@NUMBER reads the state after an entry."""
    from itaudit.data.versions import open_edited

    edited = open_edited(file, format=format, split=split, turn=turn)
    if name is not None:
        line = edited.overlay.name(name)
        if as_json:
            print_json({"name": name, "number": line})
        else:
            _say(f"named entry {line}: {file}@{name} reads this state at any time")
        return
    entries = _log(edited, id)
    if as_json:
        conflicts = [{"edit": c.edit.edit, "id": c.edit.id, "reason": c.reason} for c in edited.conflicts()]
        unreadable = edited.overlay.unreadable_lines
        print_json(
            {
                "path": edited.source.path,
                "overlay": str(edited.overlay.path),
                "entries": entries,
                "conflicts": conflicts,
                "unreadable": unreadable,
            }
        )
        return
    _print_log(edited, entries, diff=diff)


def _log(edited: "EditedDataset", id: str | None) -> list[dict[str, Any]]:
    """The entries of an overlay, the newest first; `state` is standing, undone, conflict or replaced for an edit."""
    from itaudit.data.edits import Edit, Reversal

    overlay = edited.overlay
    edits = {entry.edit: entry for entry in overlay.entries if isinstance(entry, Edit)}
    conflicts = {conflict.edit.edit: conflict.reason for conflict in edited.conflicts()}
    found = []
    for line, entry in zip(overlay.lines, overlay.entries, strict=True):
        about = edits.get(entry.edit) if isinstance(entry, Reversal) else entry if isinstance(entry, Edit) else None
        if id is not None and (about is None or not _is_about(about, id)):
            continue
        found.append({"number": line, **_entry_document(entry, about, overlay.chains, conflicts)})
    return found[::-1]


def _is_about(edit: "Edit", id: str) -> bool:
    return edit.id == id or (id.startswith("#") and id[1:] == str(edit.index))


def _entry_document(
    entry: "Entry", about: "Edit | None", chains: Mapping[str, Any], conflicts: Mapping[str, str]
) -> dict[str, Any]:
    from itaudit.data.edits import Edit, Named
    from itaudit.data.provenance import utc_text

    told: dict[str, Any] = {"time": utc_text(entry.time), "user": entry.user}
    if isinstance(entry, Named):
        return {"op": "version", "name": entry.name, **told}
    if about is None:
        return {"op": getattr(entry, "op", ""), "edit": getattr(entry, "edit", ""), **told}
    told |= {"edit": about.edit, "id": about.id, "row": about.index, "by": about.by, "fields": sorted(about.after)}
    if not isinstance(entry, Edit):
        return {"op": entry.op, **told}
    standing = chains[entry.id].standing
    state = "standing" if chains[entry.id].holds(entry.edit) else "undone"
    state = "replaced" if any(one.replaces == entry.edit for one in standing) else state
    told |= {"state": "conflict" if entry.edit in conflicts else state, "reason": conflicts.get(entry.edit, "")}
    changed = {name: {"before": entry.before[name], "after": entry.after[name]} for name in sorted(entry.after)}
    optional = {"proposal": entry.proposal, "checks": entry.checks, "replaces": entry.replaces}
    return {"op": "edit", **told, "changes": changed} | {name: value for name, value in optional.items() if value}


def _print_log(edited: "EditedDataset", entries: Sequence[Mapping[str, Any]], *, diff: bool) -> None:
    overlay = edited.overlay
    if not entries:
        _say(f"no edits in {overlay.path}")
    for entry in entries:
        _say(_entry_line(entry))
        for field, values in entry.get("changes", {}).items() if diff else ():
            print_changed_field(field, values["before"], values["after"])
    conflicts = edited.conflicts()
    if conflicts:
        _say(f"{len(conflicts):,} in conflict, not applied; `itaudit open` shows them (v), to apply or drop each")
    if overlay.unreadable:
        shown = ", ".join(map(str, overlay.unreadable_lines[:10])) + (" …" if overlay.unreadable > 10 else "")
        _say(f"{overlay.unreadable:,} lines can't be read (torn, or of a later version) and are passed over: {shown}")


def _entry_line(entry: Mapping[str, Any]) -> str:
    head = f"{entry['number']:>5}  {entry['time']:<20}  {entry['user'] or '-':<10} "
    if entry["op"] == "version":
        return f"{head} version  @{entry['name']}"
    if "row" not in entry:
        return f"{head} {entry['op']:<8} of an edit that is not in the log"
    state = entry.get("state", "standing")
    mark = "" if state == "standing" else f"  ({state}{': ' + entry['reason'] if entry['reason'] else ''})"
    id = "" if entry["id"] == str(entry["row"]) else f" {entry['id']}"
    return f"{head} {entry['op']:<8} #{entry['row']}{id}  {', '.join(entry['fields'])}  by {entry['by']}{mark}"


@click.command("export")
@click.argument("file")
@click.option("--out", type=click.Path(path_type=Path), help="Its suffix is the container: .json, .jsonl, .csv, "
              ".parquet; none is a `datasets` directory, or a folder of task files.")  # fmt: skip
@click.option("--format", "target", default="", help="The format to write (default: the source's).")
@click.option("--read-format", "format", default="auto", help="The format to read; detected if not given.")
@click.option("--read-split", help="The split to read of a hub dataset or `datasets` directory.")
@_turn
@click.option("--only", type=click.Choice(["edited"]), help="Only instances whose text was changed.")
@click.option("--filter", "filter_text", default="", help="Only instances that match, as typed in the workbench.")
@click.option("--transform", "steps", multiple=True, metavar="STEP", help="Such as longest:k=1000; repeatable.")
@click.option("--provenance", is_flag=True, help="Add the column itaudit_edit: what was done to each instance.")
@click.option("--split", "splits", metavar="NAME=SHARE,…", help="Share out, such as train=0.9,test=0.1.")
@click.option("--seed", default=0, show_default=True, help="Of the splits.")
@click.option("--push", default="", metavar="OWNER/NAME", help="Upload to the hub; the token is HF_TOKEN's.")
@click.option("--private", is_flag=True, help="The hub dataset is private.")
@click.option("--force", is_flag=True, help="Overwrite what stands at --out or on the hub.")
@JSON_OPTION
def export_command(
    file: str,
    out: Path | None,
    target: str,
    format: str,
    read_split: str | None,
    turn: int,
    only: str | None,
    filter_text: str,
    steps: tuple[str, ...],
    provenance: bool,
    splits: str | None,
    seed: int,
    push: str,
    private: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write FILE as its edits leave it, with a card that says what was changed.

    FILE@NUMBER or FILE@NAME exports an earlier version, FILE@source the source itself.
    """
    from itaudit.data.export import ExportOptions, export
    from itaudit.data.load import HUB_NAME
    from itaudit.data.splits import parse_splits
    from itaudit.data.versions import open_edited

    if out is None and not push:
        raise UserError("nothing to write to: give --out, or --push OWNER/NAME", code=2)
    if push and not HUB_NAME.fullmatch(push):
        raise UserError(f"--push {push!r}: expected OWNER/NAME", code=2)
    if private and not push:
        raise UserError("--private is for --push", code=2)
    shares = parse_splits(splits) if splits is not None else None
    transform = transform_of(steps)
    _tell(f"reading {file}")
    edited = open_edited(file, format=format, split=read_split, turn=turn)
    options = ExportOptions(
        format=target,
        positions=_selected(edited, filter_text),
        filter=filter_text,
        only_edited=only == "edited",
        transform=None if transform is None else transform(edited),
        provenance=provenance,
        splits=shares,
        seed=seed,
        push=push,
        private=private,
        overwrite=force,
    )
    _tell("writing")
    report = export(edited, out, options)
    if as_json:
        print_json(report.to_json())
    else:
        for line in report_lines(report):
            _say(line)


def _selected(edited: "EditedDataset", text: str) -> Sequence[int] | None:
    if not text.strip():
        return None
    from itaudit.data.measures import measured
    from itaudit.data.selection import parse_filter, select

    positions = select(edited, measured(edited.source), parse_filter(text))
    if not len(positions):
        raise UserError(f"--filter {text!r}: matches no instance; `itaudit data filter` tries one out")
    chosen: list[int] = positions.tolist()
    return chosen


def transform_of(texts: Sequence[str]) -> "Callable[[EditedDataset], Transform] | None":
    """What makes the transform of an export from the texts of its steps; None without any. Raises UserError."""
    if not texts:
        return None
    from itaudit.steps import measured_with
    from itaudit.transforms import apply, parse_steps

    steps = measured_with(parse_steps(texts), "embedded")

    def prepared(edited: "EditedDataset") -> "Transform":
        def transform(dataset: "Dataset") -> "tuple[Dataset, list[dict[str, Any]]]":
            made, records = apply(dataset, steps, whole=edited.dataset(), difficulties=_measured)
            return made, [record.to_json() for record in records]

        return transform

    return prepared


def _measured(dataset: "Dataset", step: "Ifd") -> "Sequence[float | None]":
    """The difficulty of instances by the model that a step names."""
    # Only a step that measures pays for loading the model libraries.
    from itaudit.cli_ifd import progress_bar
    from itaudit.engine.ifd import measured_by
    from itaudit.recipe import Base, Context

    with progress_bar() as progress:
        return measured_by(Base(), "auto", Context(), progress)(dataset, step)


def report_lines(report: "ExportReport") -> list[str]:
    """What an export did, for people."""
    where = ", ".join([*report.files, *([report.pushed] if report.pushed else [])])
    lines = [f"{report.instances:,} instances written as {report.format}: {where}"]
    lines += [f"  {name}: {count:,}" for name, count in report.splits.items()]
    engines = ", ".join(f"{count:,} by {by}" for by, count in report.engines.items())
    lines.append(f"{report.changed:,} changed{f' ({engines})' if engines else ''}, {report.deleted:,} deleted")
    if report.conflicts:
        lines.append(f"{report.conflicts:,} edits in conflict were not applied; `itaudit data log` lists them")
    if report.rejected:
        lines.append(f"{report.rejected:,} rows left out (`itaudit data check` shows why)")
    return lines


def _tell(line: str) -> None:
    """Progress, beside what was asked for."""
    from itaudit.sanitize import visible_line

    click.echo(visible_line(line), err=True)


def _say(line: str) -> None:
    from itaudit.sanitize import visible_line

    click.echo(visible_line(line))
