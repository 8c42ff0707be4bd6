"""`itaudit data stats`, `filter` and `dedup`: what a dataset with its edits holds, in part and in all."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_data import tell_rejected
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.data.cache import Cached
    from itaudit.data.dataset import Dataset
    from itaudit.data.duplicates import Duplicates
    from itaudit.data.instance import Instance
    from itaudit.data.opened import Opened
    from itaudit.data.selection import Positions
    from itaudit.data.statistics import Distribution, Statistics

_SHOWN = 10
_BAR = 30

_read_format = click.option("--read-format", "read_format", default="auto", help="The format to read (detected).")
_split = click.option("--split", help="The split of a hub dataset or `datasets` directory.")
_filter = click.option("--filter", "filter", default="", help="Which instances, such as 'words>300 category:open_qa'.")
_out = click.option("--out", type=click.Path(path_type=Path), help="Write them there; its suffix is the container.")
_format = click.option("--format", "format", help="The format to write (default: the source's).")
_force = click.option("--force", is_flag=True, help="Overwrite what stands at --out.")


@click.command("stats")
@click.argument("file")
@_filter
@_read_format
@_split
@JSON_OPTION
def stats_command(file: str, filter: str, read_format: str, split: str | None, as_json: bool) -> None:
    """Show lengths, openings, formats, languages and columns of FILE (FILE@source: without its edits)."""
    from itaudit.data.selection import parse_filter
    from itaudit.data.statistics import statistics_of

    wanted = parse_filter(filter)
    opened = _open(file, read_format, split)
    positions = _selected(opened, filter) if wanted else None
    with _progress("counting", len(opened.edited)) as progress:
        found = statistics_of(opened.edited, opened.measures, positions, progress=progress)
    if as_json:
        source = opened.edited.source
        print_json({"path": source.path, "format": source.format, "filter": filter, **found.to_json()})
        return
    for line in _statistics_lines(found):
        _say(line)


@click.command("filter")
@click.argument("file")
@_filter
@click.option("--sort", help="A measure or column, such as words, or -words for the largest first.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many.")
@_out
@_format
@_force
@_read_format
@_split
@JSON_OPTION
def filter_command(
    file: str,
    filter: str,
    sort: str | None,
    limit: int | None,
    out: Path | None,
    format: str | None,
    force: bool,
    read_format: str,
    split: str | None,
    as_json: bool,
) -> None:
    """Print the instances of FILE that a filter selects, or write them to --out.

    \b
    words>300 chars<=20 turns>1     measures and columns compared
    category:open_qa,closed_qa      one of these values
    category~open response~/re/     holds a text, matches an expression
    row:10-20 id:X tag:NAME edited deleted tagged flagged conflict duplicate empty
    word "free text" /expression/   anywhere in an instance
    -TERM                           does not hold; all terms have to
    """
    from itaudit.data.selection import parse_filter

    parse_filter(filter)
    _check_writing(out, format)
    opened = _open(file, read_format, split)
    positions = _selected(opened, filter, sort)
    chosen = positions[:limit]
    if out is not None:
        _write(_dataset(opened, chosen), out, format, force)
        _report(as_json, {"out": str(out), "instances": len(chosen)}, f"{len(chosen):,} instances written to {out}")
    elif as_json:
        instances = [_document(opened.edited[position]) for position in chosen.tolist()]
        print_json({"path": opened.edited.source.path, "selected": len(positions), "instances": instances})
    else:
        for position in chosen.tolist():
            instance = opened.edited[position]
            _say(*_cells(instance))
        more = f", {len(positions) - len(chosen):,} more" if len(chosen) < len(positions) else ""
        click.echo(f"{len(chosen):,} of {len(opened.edited):,} instances{more}", err=True)


@click.command("dedup")
@click.argument("file")
@click.option("--threshold", default=0.8, show_default=True, type=click.FloatRange(0, 1, min_open=True),
              help="Jaccard similarity of runs of three words; 1 finds exact copies alone.")  # fmt: skip
@click.option("--field", type=click.Choice(["instance", "prompt", "response"]), default="instance", show_default=True,
              help="What is compared.")  # fmt: skip
@_out
@_format
@_force
@_read_format
@_split
@JSON_OPTION
def dedup_command(
    file: str,
    threshold: float,
    field: Any,
    out: Path | None,
    format: str | None,
    force: bool,
    read_format: str,
    split: str | None,
    as_json: bool,
) -> None:
    """Show the exact and near copies in FILE, or write it to --out with the first of each group alone."""
    import numpy as np

    from itaudit.data.duplicates import find_duplicates

    _check_writing(out, format)
    opened = _open(file, read_format, split)
    with _progress("comparing", len(opened.edited)) as progress:
        found = find_duplicates(opened.edited, threshold=threshold, field=field, progress=progress)
    document: dict[str, Any] = {
        "path": opened.edited.source.path,
        "threshold": threshold,
        "field": field,
        "instances": found.instances,
        "copies": len(found.copies),
    }
    if out is not None:
        left = np.setdiff1d(_selected(opened, ""), found.copies)
        _write(_dataset(opened, left), out, format, force)
        told = f"{len(left):,} instances written to {out}, {len(found.copies):,} copies left out"
        _report(as_json, {**document, "out": str(out), "written": len(left)}, told)
    elif as_json:
        print_json({**document, "groups": _groups(opened, found)})
    else:
        _print_groups(opened, found)


def _open(file: str, format: str, split: str | None) -> "Opened":
    from itaudit.data.opened import open_whole

    with _progress("reading", 100) as progress:

        def heard(cached: "Cached") -> None:
            if cached.share is not None:
                progress(int(100 * cached.share))

        opened = open_whole(file, format=format, split=split, progress=heard)
    if opened.warning:
        click.echo(f"warning: {visible_line(opened.warning)}", err=True)
    tell_rejected(opened.edited.source)
    return opened


def _selected(opened: "Opened", text: str, sort: str | None = None) -> "Positions":
    """What a filter selects; deleted instances only where it asks for them."""
    from itaudit.data.selection import parse_filter, select

    wanted = parse_filter(text if parse_filter(text).asks_for("deleted") else f"{text} -deleted")
    duplicates = None
    if wanted.asks_for("duplicate"):
        from itaudit.data.duplicates import find_duplicates

        with _progress("comparing", len(opened.edited)) as progress:
            duplicates = find_duplicates(opened.edited, progress=progress).copies
    with _progress("selecting", len(opened.edited)) as progress:
        return select(
            opened.edited,
            opened.measures,
            wanted,
            sort,
            duplicates=duplicates,
            progress=lambda reached, _: progress(reached),
        )


def _dataset(opened: "Opened", positions: "Positions") -> "Dataset":
    from itaudit.data.edited import with_rows

    if not len(positions):
        raise UserError("no instance is selected: nothing was written; widen the filter")
    rows = opened.edited.edited_positions()
    chosen = positions.tolist()
    # What was selected is written, be it deleted.
    changed = {number: rows[position] for number, position in enumerate(chosen) if position in rows}
    return with_rows(opened.edited.source.select(chosen), changed)


def _check_writing(out: Path | None, format: str | None) -> None:
    """Refuses before the dataset is read what would fail after it."""
    from itaudit.data import formats

    if out is None and format is not None:
        raise UserError("--format is the format to write: give --out too, or --read-format for the one to read", code=2)
    if format is not None:
        formats.named(format)


def _write(dataset: "Dataset", out: Path, format: str | None, force: bool) -> None:
    from itaudit.data.write import write

    write(dataset, out, format=format or dataset.format, overwrite=force)


def _report(as_json: bool, document: dict[str, Any], line: str) -> None:
    if as_json:
        print_json(document)
    else:
        _say(line)


def _statistics_lines(found: "Statistics") -> Iterator[str]:
    yield f"instances      {found.instances:,}"
    for name in ("empty", "without_response", "edited", "deleted", "tagged", "noted", "conflicts"):
        if getattr(found, name) or name == "empty":
            yield f"{name.replace('_', ' '):<15}{getattr(found, name):,}"
    for name, lengths in found.lengths.items():
        yield ""
        yield from _distribution_lines(name, lengths)
    answered = max(1, found.instances - found.without_response)
    yield ""
    yield "formats of responses"
    for name, count in found.formats.items():
        yield f"  {count / answered:7.1%}  {name}"
    for words, openings in found.openings.items():
        yield ""
        yield f"openings of {words} word{'s' if words != '1' else ''}"
        for text, count in openings[:_SHOWN]:
            yield f"  {count / answered:7.1%}  {text}"
    yield ""
    yield f"languages of {found.language_sample:,} instances"
    for language, count in found.languages[:_SHOWN]:
        yield f"  {count / max(1, found.language_sample):7.1%}  {language}"
    for name, column in found.columns.items():
        yield ""
        missing = f", {column.missing:,} without" if column.missing else ""
        yield f"{name}: {column.distinct:,} values{missing}"
        for value, count in column.values[:_SHOWN]:
            yield f"  {count / max(1, found.instances):7.1%}  {value}"


def _distribution_lines(name: str, lengths: "Distribution") -> Iterator[str]:
    if not lengths.count:
        return
    few = {"0.05": "5 %", "0.5": "median", "0.95": "95 %"}
    shares = "  ".join(f"{label} {lengths.quantiles[share]:,.6g}" for share, label in few.items())
    yield f"{name}: mean {lengths.mean:,.6g}  {shares}  largest {lengths.maximum:,.6g}"
    most = max(lengths.counts)
    for edge, count in zip(lengths.edges, lengths.counts, strict=False):
        yield f"  {edge:>10,.6g}  {'█' * round(_BAR * count / most):<{_BAR}}  {count:,}"


def _groups(opened: "Opened", found: "Duplicates") -> list[dict[str, Any]]:
    index = opened.edited.source.table.column("index")
    ids = opened.edited.source.table.column("id")

    def about(position: int) -> dict[str, Any]:
        return {"index": index[position].as_py(), "id": ids[position].as_py()}

    return [
        {
            **about(group.first),
            "copies": [
                {**about(copy), "similarity": similarity}
                for copy, similarity in zip(group.copies, group.similarities, strict=True)
            ],
        }
        for group in found.groups
    ]


def _print_groups(opened: "Opened", found: "Duplicates") -> None:
    for group in found.groups:
        _say(*_cells(opened.edited[group.first]))
        for copy, similarity in zip(group.copies, group.similarities, strict=True):
            number, *texts = _cells(opened.edited[copy])
            _say(f"  {similarity:.2f}  {number}", *texts)
    share = len(found.copies) / max(1, found.instances)
    exact = sum(group.exact for group in found.groups)
    click.echo(
        f"{len(found.copies):,} of {found.instances:,} instances ({share:.1%}) are copies of {len(found.groups):,}"
        f" others, {exact:,} of them exact; --out FILE writes the dataset without them",
        err=True,
    )


def _document(instance: "Instance") -> dict[str, Any]:
    return {
        "index": instance.index,
        "id": instance.id,
        "instruction": instance.instruction,
        "input": instance.input,
        "response": instance.response,
        "history": _turns(instance.history),
        "later": _turns(instance.later),
        "extra": dict(instance.extra),
    }


def _turns(messages: Sequence[Any]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


@contextmanager
def _progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while it is a terminal; what is yielded takes how far the work has come."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=max(1, length), label=label, file=sys.stderr) as bar:
        yield lambda reached: bar.update(reached - bar.pos)


def _cells(instance: "Instance") -> tuple[str, str, str]:
    return f"#{instance.index}", instance.prompt, instance.response or ""


def _say(*cells: str) -> None:
    click.echo("\t".join(map(visible_line, cells)))
