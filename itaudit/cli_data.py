"""`itaudit data`: what a dataset holds, other formats for it, and how two of them differ."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.cli_lazy import LazyGroup

if TYPE_CHECKING:
    from rich.text import Text

    from itaudit.data.dataset import Dataset

_SHOWN = 20
_EMPTY = "the response is empty: all that it teaches is to say nothing"


@click.group(
    "data",
    cls=LazyGroup,
    lazy={
        "dedup": "cli_data_view:dedup_command",
        "export": "cli_data_edit:export_command",
        "filter": "cli_data_view:filter_command",
        "ifd": "cli_ifd:ifd_command",
        "log": "cli_data_edit:log_command",
        "stats": "cli_data_view:stats_command",
    },
)
def data_group() -> None:
    """Look into datasets, compare, mend and write them."""


_format = click.option("--format", "format", default="auto", help="The format to read; detected if not given.")
_split = click.option("--split", help="The split of a hub dataset or `datasets` directory.")
_turn = click.option("--turn", default=-1, show_default=True, help="The assistant turn to audit, from 0.")


@data_group.command()
@click.argument("file")
@_format
@_split
@_turn
@JSON_OPTION
def check(file: str, format: str, split: str | None, turn: int, as_json: bool) -> None:
    """Show what FILE (a file, folder or hub name) holds and which rows cannot be used."""
    from itaudit.data.versions import load_version

    dataset = load_version(file, format=format, split=split, turn=turn)
    if as_json:
        rejected = [{"index": r.index, "reason": r.reason} for r in dataset.rejected]
        print_json(
            {
                "path": dataset.path,
                "format": dataset.format,
                "instances": len(dataset),
                "sha256": dataset.sha256,
                "rejected": rejected,
                "warnings": [{"index": index, "reason": _EMPTY} for index in dataset.empty_responses()],
            }
        )
        return
    _print(_summary(dataset))


@data_group.command()
@click.argument("file")
@click.option("--to", "target", required=True, help="The format to write.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Its suffix is the container.")
@_format
@_split
@_turn
@click.option("--force", is_flag=True, help="Overwrite what stands at --out.")
def convert(file: str, target: str, out: Path, format: str, split: str | None, turn: int, force: bool) -> None:
    """Write FILE in another format and container: .json, .jsonl, .csv, .parquet or a folder."""
    from itaudit.data import formats
    from itaudit.data.versions import load_version
    from itaudit.data.write import write

    formats.named(target)
    dataset = load_version(file, format=format, split=split, turn=turn)
    write(dataset, out, format=target, overwrite=force)
    left_out = f", {len(dataset.rejected):,} rows left out (itaudit data check shows why)"
    _print(_line(f"{len(dataset):,} instances written as {target} to {out}{left_out if dataset.rejected else ''}"))


@data_group.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@_format
@JSON_OPTION
def diff(before: str, after: str, format: str, as_json: bool) -> None:
    """Show the instances that B adds, lacks or changes, compared with A."""
    from itaudit.data.diff import compare
    from itaudit.data.versions import load_version

    difference = compare(load_version(before, format=format), load_version(after, format=format))
    if as_json:
        changed = [
            {"key": c.key, "fields": {n: {"before": a, "after": b} for n, (a, b) in c.fields.items()}}
            for c in difference.changed
        ]
        print_json(
            {
                "by": difference.by,
                "added": difference.added,
                "removed": difference.removed,
                "changed": changed,
            }
        )
        return
    counts = f"{len(difference.added):,} added, {len(difference.removed):,} removed"
    _print(_line(f"{counts}, {len(difference.changed):,} changed (matched by {difference.by})"))
    for sign, keys in (("+", difference.added), ("-", difference.removed)):
        for key in keys:
            _print(_line(f"{sign} {key}"))
    for change in difference.changed:
        _print(_line(f"~ {change.key}"))
        for name, (old, new) in change.fields.items():
            print_changed_field(name, old, new)


def _summary(dataset: "Dataset") -> "Text":
    lines = [
        f"path       {dataset.path}",
        f"format     {dataset.format}",
        f"instances  {len(dataset):,}",
        f"sha256     {dataset.sha256}",
        f"rejected   {len(dataset.rejected):,}",
    ]
    lines += [f"  row {rejection.index}: {rejection.reason}" for rejection in dataset.rejected[:_SHOWN]]
    if len(dataset.rejected) > _SHOWN:
        lines.append(f"  and {len(dataset.rejected) - _SHOWN:,} more; --json lists them all")
    empty = dataset.empty_responses()
    lines.append(f"warnings   {len(empty):,}")
    lines += [f"  row {index}: {_EMPTY}" for index in empty[:_SHOWN]]
    text = _line(lines[0])
    for line in lines[1:]:
        text.append("\n").append_text(_line(line))
    return text


def print_changed_field(name: str, old: Any, new: Any) -> None:
    """Prints how a field changed."""
    _print(_changed_field(name, old, new))


def _changed_field(name: str, old: Any, new: Any) -> "Text":
    """A field's change, word by word where both are texts; told by marks as well as by colour."""
    from itaudit.data.diff import word_changes
    from itaudit.sanitize import visible

    text = _line(f"    {name}: ")
    old, new = _conversation(old), _conversation(new)
    if isinstance(old, str) and isinstance(new, str):
        pieces = word_changes(old, new)
    else:
        pieces = [("removed", _told(old)), ("added", _told(new))]
    for tag, piece in pieces:
        if tag == "same":
            text.append(visible(piece))
        elif tag == "removed":
            text.append(f"[-{visible(piece)}-]", "red")
        else:
            text.append(f"{{+{visible(piece)}+}}", "green")
    return text


def _conversation(value: Any) -> Any:
    """Turns as one text, so that they can be compared word by word; anything else as it is."""
    if not isinstance(value, list) or not all(isinstance(turn, dict) and "role" in turn for turn in value):
        return value
    return "".join(f"\n{turn['role']}: {turn.get('content', '')}" for turn in value)


def tell_rejected(dataset: "Dataset") -> None:
    """Says on standard error that rows were left out, where some were."""
    count = len(dataset.rejected)
    if count:
        rows = "1 row is" if count == 1 else f"{count:,} rows are"
        click.echo(f"{rows} left out, as `itaudit data check` explains", err=True)


def _line(line: str) -> "Text":
    from rich.text import Text

    from itaudit.sanitize import visible

    return Text(visible(line))


def _print(text: "Text") -> None:
    from rich.console import Console

    # soft_wrap leaves long lines to the terminal, so that what is piped on stays whole.
    Console(markup=False, highlight=False, emoji=False).print(text, soft_wrap=True)


def _told(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()
