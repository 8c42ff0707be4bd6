"""`itaudit simplify`: simpler responses for a dataset, as a batch that can be stopped and resumed."""

import hashlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from itaudit.cli_data import tell_rejected
from itaudit.cli_follow import LINE_SECONDS, LOOK_SECONDS, follow_job
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from itaudit.data.dataset import Dataset
    from itaudit.data.edited import EditedDataset
    from itaudit.simplify.batch import Batch, BatchStatus, Estimate
    from itaudit.simplify.settings import Settings


@click.command("simplify")
@click.argument("file", required=False)
@click.option("--engine", type=click.Choice(["extractive", "local", "endpoint"]), help="Default: that of config.toml.")
@click.option("--model", help="Of the local engine or the endpoint.")
@click.option("--base-url", help="Address of the endpoint, such as http://localhost:8000/v1.")
@click.option("--api-key-env", help="Name of the environment variable that holds the endpoint's key.")
@click.option("--max-tokens", type=click.IntRange(1), help="Longest proposal of a model.")
@click.option("--prompt", help="Name of the prompt.")
@click.option("--filter", "filter_text", default="", help="Which instances, as in the workbench: words>300.")
@click.option("--limit", type=click.IntRange(1), help="At most so many, the first ones.")
@click.option("--name", help="Name of the batch; the same call finds its own without one.")
@click.option(
    "--accept",
    type=click.Choice(["passing", "none"]),
    default="none",
    show_default=True,
    help="Into the edits of FILE.",
)
@click.option("--estimate", is_flag=True, help="Tell what it would take, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before requests are sent.")
@click.option("--out", type=click.Path(path_type=Path), help="Write FILE with the passing proposals in it.")
@click.option("--to", "target", help="Format of --out; default: that of FILE.")
@click.option("--force", is_flag=True, help="Overwrite what stands at --out.")
@click.option("--format", "format", default="auto", help="The format to read; detected if not given.")
@click.option("--split", help="The split of a hub dataset or `datasets` directory.")
@click.option("--turn", default=-1, show_default=True, help="The assistant turn to simplify, from 0.")
@click.option("--edit-prompt", is_flag=True, help="Put a prompt of your own into the settings, and open it.")
@JSON_OPTION
def simplify_command(file: str | None, as_json: bool, edit_prompt: bool, **options: Any) -> None:
    """Make the responses of FILE simpler, check each proposal, and keep them for review.

    FILE is read with its edits, and stays as it is. Every proposal is kept in a batch beside it; `itaudit open FILE`
    reviews them. With --accept passing, those that the checks found nothing about become edits. With --out they
    are written into a copy, whether they become edits or not. Interrupted, the same call goes on where it was.
    """
    settings = _settings(options)
    if edit_prompt:
        _edit_prompt(settings.prompt)
        return
    if file is None:
        raise UserError("give the FILE to simplify", code=2)
    settings.require_engine("--engine endpoint")
    edited, positions = _chosen(file, options)
    _check_out(edited.source, options)
    if options["estimate"]:
        _tell_estimate(edited, positions, settings, as_json=as_json)
        return
    batch = _batch(edited, positions, settings, options)
    _work(batch, settings, yes=options["yes"])
    _finish(edited, batch, options, as_json=as_json)


def _settings(options: dict[str, Any]) -> "Settings":
    """The user's settings with what the command line says on top."""
    from itaudit.simplify.settings import read_settings, with_changes

    settings = with_changes(read_settings(), {"engine": options["engine"], "prompt": options["prompt"]}, "--prompt")
    section, longest = ("local", "max_new_tokens") if settings.engine == "local" else ("endpoint", "max_tokens")
    model, tokens = options["model"], options["max_tokens"]
    if settings.engine == "extractive" and (model or tokens):
        raise UserError("--model and --max-tokens are for --engine local or endpoint", code=2)
    if settings.engine != "endpoint" and (options["base_url"] or options["api_key_env"]):
        raise UserError("--base-url and --api-key-env are for --engine endpoint", code=2)
    changes = {
        f"{section}.model": model,
        f"{section}.{longest}": tokens,
        "endpoint.base_url": options["base_url"],
        "endpoint.api_key_env": options["api_key_env"],
    }
    return with_changes(settings, changes, "the command line")


def _edit_prompt(name: str) -> None:
    from itaudit.simplify.prompts import editable_prompt

    path = editable_prompt(name)
    click.echo(visible_line(str(path)))
    if sys.stdin.isatty() and sys.stdout.isatty():
        click.edit(filename=str(path))


def _chosen(file: str, options: dict[str, Any]) -> "tuple[EditedDataset, Sequence[int]]":
    """The dataset with its edits, and which instances of it are meant."""
    from itaudit.data.cache import Cached
    from itaudit.data.edited import EditedDataset
    from itaudit.data.selection import parse_filter, select
    from itaudit.data.versions import overlay_of, split_version

    wanted = parse_filter(options["filter_text"])
    name, version = split_version(file)
    cached = Cached.open(name, format=options["format"], split=options["split"], turn=options["turn"])
    try:
        dataset, measures = cached.whole()
    finally:
        cached.close()
    tell_rejected(dataset)
    edited = EditedDataset(dataset, overlay_of(dataset.path, version))
    positions = select(edited, measures, wanted).tolist() if options["filter_text"] else list(range(len(dataset)))
    return edited, positions[: options["limit"]]


def _check_out(dataset: "Dataset", options: dict[str, Any]) -> None:
    """Raises UserError where --out can't be written: after hours of work would be late to say so."""
    out: Path | None = options["out"]
    if out is not None:
        from itaudit.data import formats
        from itaudit.data.write import check_fit, check_place

        check_place(dataset.path, {"": dataset}, out, overwrite=options["force"])
        check_fit(dataset, formats.named(options["target"] or dataset.format))


def _tell_estimate(edited: "EditedDataset", positions: "Sequence[int]", settings: "Settings", *, as_json: bool) -> None:
    from itaudit.simplify.batch import estimate

    found = estimate(edited, positions, settings)
    if as_json:
        print_json({"engine": settings.engine_label, **{name: getattr(found, name) for name in found.__slots__}})
    else:
        click.echo(_estimate_words(found, settings))


def _estimate_words(found: "Estimate", settings: "Settings") -> str:
    if settings.engine == "extractive":
        return f"{found.requests:,} instances, without a model"
    tokens = f"about {found.prompt_tokens:,} tokens read and {found.completion_tokens:,} written at most"
    price = "" if found.price is None or settings.engine == "local" else f", for about {found.price:,.2f}"
    if settings.engine == "endpoint" and found.price is None:
        price = "; price_input and price_output under [simplify.endpoint] would price it"
    return visible_line(f"{found.requests:,} requests to {settings.engine_label.rstrip(':')}, {tokens}{price}")


def _batch(
    edited: "EditedDataset", positions: "Sequence[int]", settings: "Settings", options: dict[str, Any]
) -> "Batch":
    """The batch of this very call, or a new one."""
    from itaudit.simplify.batch import Batch, batches_folder, identity
    from itaudit.simplify.prompts import read_prompt

    prompt = "" if settings.engine == "extractive" else read_prompt(settings.prompt)
    limit = f"first {options['limit']}" if options["limit"] else ""
    chosen = " ".join(filter(None, [options["filter_text"], limit]))
    made = {**identity(settings, prompt), "filter": chosen, "turn": options["turn"], "split": options["split"]}
    digest = hashlib.sha256(orjson.dumps(made, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
    name = options["name"] or f"{settings.engine}-{digest}"
    folder = batches_folder(edited) / name
    if not (folder / "batch.json").exists():
        return Batch.create(edited, positions, settings, name, filter=chosen)
    batch = Batch(folder)
    if batch.task.filter != chosen:
        raise UserError(f"{folder}: was made with another --filter or --limit; give this one another --name", code=2)
    batch.resettle(settings, prompt)
    return batch


def _work(batch: "Batch", settings: "Settings", *, yes: bool) -> None:
    """Sees to it that the batch is done; raises UserError where it fails or is interrupted."""
    status = batch.status()
    if not status.at_work:
        if status.done == status.total:
            words = f"batch {batch.name} was done before, of the text as it stood then; --name makes a new one"
            click.echo(visible_line(words), err=True)
            return
        _confirm(status, settings, yes=yes)
        batch.start()
    try:
        status = follow_job(batch.status, _progress_words)
    except KeyboardInterrupt:
        _stop(batch)
        raise UserError(
            f"stopped with {batch.status().done} of {batch.task.total} done; the same call goes on"
        ) from None
    if status.state == "cancelled":
        raise UserError(f"cancelled with {status.done} of {status.total} done; the same call goes on")
    if status.state == "failed":
        raise UserError(
            f"{status.error or 'the worker died without a word'}; see {batch.log_path}; the same call goes on"
        )


def _confirm(status: "BatchStatus", settings: "Settings", *, yes: bool) -> None:
    """Asks, at a terminal, before requests go to a server."""
    if settings.engine != "endpoint" or yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    left = status.total - status.done
    question = f"Send {left:,} requests to {settings.endpoint.base_url}? (--estimate tells what they take)"
    if not click.confirm(visible_line(question), default=True, err=True):
        raise UserError("nothing was sent")


def _stop(batch: "Batch") -> None:
    """Asks the worker to stop, and waits until it has saved what it has."""
    click.echo("stopping; what is done is kept", err=True)
    try:
        batch.cancel()
    except UserError:
        return
    while batch.status().at_work:
        time.sleep(LOOK_SECONDS)


def _progress_words(status: "BatchStatus") -> str:
    from itaudit.units import duration_text, pace_text

    if status.waiting_for:
        return f"waiting for {status.waiting_for}"
    words = [f"{status.done:,}/{status.total:,} simplified", f"{status.passed:,} pass"]
    if status.problems:
        words.append(f"{status.problems:,} failed")
    if status.rate:
        words.append(pace_text(status.rate))
    if status.seconds_left is not None and status.state == "running":
        words.append(f"{duration_text(status.seconds_left)} left")
    return visible_line(" · ".join(words))


def _finish(edited: "EditedDataset", batch: "Batch", options: dict[str, Any], *, as_json: bool) -> None:
    """Accepts and writes what passes, and tells what came of it all."""
    from itaudit.simplify.summary import summary_of

    batch.refresh()
    accepted = _accept_passing(edited, batch) if options["accept"] == "passing" else 0
    out: Path | None = options["out"]
    if out is not None:
        from itaudit.data.write import write

        made = _with_passing(edited, batch)
        write(made, out, format=options["target"] or made.format, overwrite=options["force"])
    told = summary_of(batch.proposals()).to_json()
    document = {
        "path": edited.source.path,
        "batch": batch.name,
        "engine": batch.engine,
        "instances": batch.task.total,
        **told,
        "accepted": accepted,
        "out": str(out.resolve()) if out is not None else None,
    }
    if as_json:
        print_json(document)
    else:
        for line in _summary_lines(document):
            click.echo(visible_line(line))


def _accept_passing(edited: "EditedDataset", batch: "Batch") -> int:
    """Accepts the proposals that pass and were not decided about; how many that were."""
    waiting = [each for each in batch.undecided(edited) if each.entry.passes and not each.stale]
    accepted, said = 0, time.monotonic()
    for each in waiting:
        accepted += batch.accept(edited, each.position)
        if time.monotonic() - said > LINE_SECONDS:
            click.echo(f"accepted {accepted:,} of {len(waiting):,}", err=True)
            said = time.monotonic()
    return accepted


def _with_passing(edited: "EditedDataset", batch: "Batch") -> "Dataset":
    """The dataset with its edits, and with the proposals that pass and were not rejected."""
    from itaudit.data.edited_rows import EditedRow, with_rows

    rows = edited.edited_positions()
    for each in batch.undecided(edited):
        if not each.entry.passes or each.stale:
            continue
        row, after = edited.row(each.position), batch.proposal(each.entry.index).after
        others = tuple(text for text in row.instance.references if text not in (row.instance.response, after))
        made = replace(row.instance, response=after, references=(after, *others))
        rows[each.position] = EditedRow(row.source, made)
    return with_rows(edited.source, rows)


def _summary_lines(told: dict[str, Any]) -> list[str]:
    def change(name: str, digits: int) -> str:
        before, after = told[name]["before"], told[name]["after"]
        return "–" if before is None else f"{before:.{digits}f} → {after:.{digits}f}"

    reasons = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in told["reasons"].items())
    lines = [
        f"{told['proposals']:,} of {told['instances']:,} simplified by {told['engine']}, batch {told['batch']}",
        f"  pass        {told['passed']:,} ({told['unchanged']:,} of them unchanged)",
        f"  to confirm  {told['stopped']:,}{f' ({reasons})' if reasons else ''}",
        f"  words       {change('words', 1)}",
        f"  grade       {change('grade', 1)}",
    ]
    if told["problems"]:
        lines.insert(3, f"  no answer   {told['problems']:,}; the same call asks again")
    if told["accepted"]:
        lines.append(f"  accepted    {told['accepted']:,} as edits of {told['path']}")
    if told["out"]:
        lines.append(f"  written to  {told['out']}")
    if not told["accepted"] and not told["out"]:
        lines.append(f"itaudit open {told['path']}  reviews them; --accept passing or --out FILE takes those that pass")
    return lines
