"""`itaudit data ifd`: the instruction-following difficulty of every instance, as columns of a dataset."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_json import JSON_OPTION
from itaudit.errors import UserError

if TYPE_CHECKING:
    from itaudit.data.dataset import Dataset
    from itaudit.engine.ifd import Difficulty

COLUMNS = ("ifd", "ifd_loss_with", "ifd_loss_without")


@click.command("ifd")
@click.argument("file")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Its suffix is the container.")
@click.option("--model", default="embedded", show_default=True, help="Hub name, directory, GGUF file or `embedded`.")
@click.option("--revision", default="main", show_default=True, help="Revision of a hub model.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps, cuda or cuda:N.")
@click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto", show_default=True
)
@click.option("--template", default="auto", show_default=True, help="As context.template of a recipe.")
@click.option("--system", default="", help="System message for conversations that have none.")
@click.option("--max-length", type=click.IntRange(1), default=1024, show_default=True, help="Tokens that are measured.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many instances.")
@click.option("--format", "format", default="auto", help="The format to read; detected if not given.")
@click.option("--split", help="The split of a hub dataset or `datasets` directory.")
@click.option("--turn", default=-1, show_default=True, help="The assistant turn to audit, from 0.")
@click.option("--force", is_flag=True, help="Overwrite what stands at --out.")
@JSON_OPTION
def ifd_command(
    file: str,
    out: Path,
    model: str,
    revision: str,
    device: str,
    dtype: str,
    template: str,
    system: str,
    max_length: int,
    limit: int | None,
    format: str,
    split: str | None,
    turn: int,
    force: bool,
    as_json: bool,
) -> None:
    """Measure how little the instructions of FILE help a model to say the responses, and write it beside them.

    The columns are `ifd`, and the mean losses in nats a token that it is the ratio of, `ifd_loss_with` and
    `ifd_loss_without` (Li et al. 2023). A job that was stopped goes on where it was when it is called again.
    """
    from itaudit.data.columns import with_columns
    from itaudit.data.versions import load_version
    from itaudit.data.write import check_place, write
    from itaudit.recipe import Base, Context

    base = Base.model_validate({"model": model, "revision": revision, "dtype": dtype})
    context = Context(template=template, system=system)
    dataset = load_version(file, format=format, split=split, turn=turn, default="edited")
    if limit is not None:
        dataset = dataset[:limit]
    # Hours of work may come before the file is written.
    check_place(dataset.path, {"": dataset}, out, overwrite=force)
    if not any(instance.response for instance in dataset):
        raise UserError(f"{file}: holds no response to measure; expected a dataset of instances")
    from itaudit.engine.ifd import difficulties, load_for_ifd

    loaded = load_for_ifd(base, device)
    with progress_bar() as progress:
        found = difficulties(loaded, dataset, context, max_length=max_length, progress=progress)
    write(with_columns(dataset, _columns(found)), out, format=dataset.format, overwrite=force)
    _tell(_document(dataset, out, loaded.files.name, found), as_json=as_json)


def _columns(found: "Sequence[Difficulty | None]") -> dict[str, list[float | None]]:
    values = [(one.ifd, one.loss_with, one.loss_without) if one else (None, None, None) for one in found]
    return {name: [row[place] for row in values] for place, name in enumerate(COLUMNS)}


def _document(dataset: "Dataset", out: Path, model: str, found: "Sequence[Difficulty | None]") -> dict[str, Any]:
    import statistics

    values = sorted(one.ifd for one in found if one and one.ifd is not None)
    return {
        "path": dataset.path,
        "out": str(out),
        "model": model,
        "instances": len(dataset),
        "measured": len(values),
        "above_1": sum(value > 1 for value in values),
        "ifd": {
            "lowest": values[0],
            "median": statistics.median(values),
            "mean": statistics.fmean(values),
            "highest": values[-1],
        }
        if values
        else None,
    }


def _tell(document: dict[str, Any], *, as_json: bool) -> None:
    import json

    from itaudit.sanitize import visible_line

    if as_json:
        # Escaped to ASCII, so that no text and no locale can break the document.
        click.echo(json.dumps(document))
        return
    measured, instances = document["measured"], document["instances"]
    click.echo(
        visible_line(f"{measured:,} of {instances:,} instances measured by {document['model']}: {document['out']}")
    )
    if ifd := document["ifd"]:
        figures = ", ".join(f"{name} {value:.3f}" for name, value in ifd.items())
        click.echo(f"IFD {figures}; {document['above_1']:,} above 1, where the instruction does not help")


@contextmanager
def progress_bar() -> "Iterator[Callable[[int, int], None]]":
    """Progress on standard error: a bar in a terminal, a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, markup=False, highlight=False)
    columns = (TextColumn("measuring losses"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not console.is_terminal
    with Progress(*columns, console=console, refresh_per_second=2, transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=None)
        told = 0

        def tell(done: int, total: int) -> None:
            nonlocal told
            bar.update(task, completed=done, total=total)
            tenth = 10 * done // max(total, 1)
            if hidden and tenth > told:
                told = tenth
                print(f"losses: {done} of {total}", file=sys.stderr, flush=True)

        yield tell
