"""`itaudit marks`: what people said about spans of responses, listed, set, taken back, written and read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_detect import LABEL_MAP, tell_refused, tuned_labels
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.cli_lazy import LazyGroup
from itaudit.cli_runs import find_run
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.detect.spans import Flag
    from itaudit.runs.marks import Mark
    from itaudit.runs.run import Run

_MODEL = click.option("--model", required=True, help="Label of the model, such as sft.")
_PROMPT = click.option("--prompt", "prompt_id", required=True, help="Id of the prompt; `itaudit prompts` lists them.")
_SPAN = click.option("--span", required=True, metavar="S:E", help="Characters of the response.")


class _RunGroup(LazyGroup):
    """A group in which `marks RUN` means `marks list RUN`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            args = ["list", *args]
        return super().resolve_command(ctx, args)


@click.group("marks", cls=_RunGroup)
def marks_group() -> None:
    """Lists, sets, exports and imports marks on spans of responses; `marks RUN` lists."""


@marks_group.command("list")
@click.argument("run", type=click.Path(path_type=Path))
@JSON_OPTION
def list_command(run: Path, as_json: bool) -> None:
    """Lists the marks of a run, in the order of models, prompts and offsets."""
    from itaudit.runs.marks import mark_line

    found = find_run(run)
    marks = _in_order(found)
    if as_json:
        print_json([{**mark_line(mark), "stands": stands} for mark, stands in marks])
        return
    if not marks:
        click.echo(f"no marks in {found.path}; m in the workbench sets one, `marks import` reads a file", err=True)
    for mark, stands in marks:
        parts = [mark.model, mark.prompt_id, f"{mark.start}:{mark.end}", mark.label, mark.text, mark.by]
        parts += [f"on the word of {mark.detector}"] if mark.detector else []
        parts += [mark.note] if mark.note else []
        parts += [] if stands else ["the response no longer says so"]
        click.echo("\t".join(map(visible_line, parts)))


@marks_group.command("flags")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, help="Label of a tuned model; repeatable (default: all).")
@click.option("--prompt", "prompt_id", help="One prompt only; `itaudit prompts` lists them.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["candidate", "confirmed", "dismissed"]),
    help="Repeatable (default: all).",
)
@JSON_OPTION
def flags_command(
    run: Path, models: Sequence[str], prompt_id: str | None, states: Sequence[str], as_json: bool
) -> None:
    """Lists what stands on the responses: the detectors' candidates and people's marks, brought together."""
    from itaudit.detect.spans import ResponseFlags

    found = find_run(run)
    prompts = [prompt.id for prompt in found.prompts()] if prompt_id is None else [found.prompt(prompt_id).id]
    rows = [
        _flag_document(flag, label, prompt)
        for label in tuned_labels(found, models)
        for flags in [ResponseFlags(found, label)]
        for prompt in prompts
        for flag in flags.flags(prompt)
        if not states or flag.state in states
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        scores = " ".join(f"{name} {score:.2f}" for name, score in row["scores"].items())
        parts = [row["model"], row["prompt_id"], f"{row['start']}:{row['end']}", row["state"], row["label"] or "-"]
        click.echo("\t".join(map(visible_line, [*parts, row["text"], scores])))


def _flag_document(flag: "Flag", model: str, prompt_id: str) -> dict[str, Any]:
    return {
        "model": model,
        "prompt_id": prompt_id,
        "start": flag.start,
        "end": flag.end,
        "text": flag.text,
        "state": flag.state,
        "label": flag.label or None,
        "by": flag.by,
        "scores": flag.scores,
        "reasons": flag.reasons,
    }


@marks_group.command("add")
@click.argument("run", type=click.Path(path_type=Path))
@_MODEL
@_PROMPT
@_SPAN
@click.option("--label", default="hallucinated", show_default=True, help="hallucinated, unsupported, style, correct, …")
@click.option("--note", default="", help="What is to be said of it.")
@JSON_OPTION
def add_command(run: Path, model: str, prompt_id: str, span: str, label: str, note: str, as_json: bool) -> None:
    """Marks a span of a response; a mark of the same span is replaced."""
    from itaudit.cli_trace import parse_span
    from itaudit.runs.marks import Mark, check_label, mark_line

    found = find_run(run)
    text = _response(found, model, prompt_id)
    start, end = parse_span(span, text)
    mark = Mark(model, prompt_id, start, end, text[start:end], check_label(label), note=note)
    found.mark(mark)
    standing = found.marks()[mark.key]
    if as_json:
        print_json(mark_line(standing))
    else:
        click.echo(f"{standing.label}: {visible_line(standing.text)}")


@marks_group.command("remove")
@click.argument("run", type=click.Path(path_type=Path))
@_MODEL
@_PROMPT
@_SPAN
def remove_command(run: Path, model: str, prompt_id: str, span: str) -> None:
    """Takes the mark of a span away."""
    from itaudit.cli_trace import parse_span

    found = find_run(run)
    start, end = parse_span(span, _response(found, model, prompt_id))
    mark = found.marks().get((model, prompt_id, start, end))
    if mark is None:
        raise UserError(f"{found.path}: no mark at {span}; `itaudit marks {found.path}` lists them", code=2)
    found.mark(mark, removed=True)
    click.echo(f"taken away: {visible_line(mark.label)}: {visible_line(mark.text)}")


@marks_group.command("undo")
@click.argument("run", type=click.Path(path_type=Path))
def undo_command(run: Path) -> None:
    """Takes back the newest act on marks, whoever did it; an import is one act."""
    found = find_run(run)
    changes = found.undo_mark()
    if not changes:
        raise UserError(f"{found.path}: nothing to undo")
    for change in changes:
        now = f"{change.after.label}: {change.after.text}" if change.after else "no mark"
        before = f"{change.before.label}: {change.before.text}" if change.before else "no mark"
        click.echo(f"{visible_line(before)} -> {visible_line(now)}")


@marks_group.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Write them there (default: to standard output).")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["ragtruth", "marks"]),
    default="ragtruth",
    show_default=True,
    help="A response a line with its spans, or a mark a line.",
)
@click.option("--all", "every", is_flag=True, help="With ragtruth: the responses without a mark, too.")
@click.option("--force", is_flag=True, help="Overwrite what stands at --out.")
def export_command(run: Path, out: Path | None, format_: Any, every: bool, force: bool) -> None:
    """Writes the marks as JSON lines."""
    import orjson

    from itaudit import atomic
    from itaudit.detect.ragtruth import export_rows

    found = find_run(run)
    marks = _in_order(found)
    if out is not None and out.exists() and not force:
        raise UserError(f"{out}: exists already; --force overwrites it", code=2)
    rows = export_rows(found, [mark for mark, _ in marks], format_, every=every)
    content = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    if out is None:
        click.echo(content, nl=False)
    else:
        atomic.write_bytes(out, content)
    gone = sum(not stands for _, stands in marks)
    if gone and format_ == "ragtruth":
        click.echo(f"{gone} marks left out: the responses no longer say what was marked", err=True)
    if out is not None:
        click.echo(f"{len(marks) - (gone if format_ == 'ragtruth' else 0)} marks written to {out}", err=True)


@marks_group.command("import")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", help="The model that rows without one of the run's models are about.")
@LABEL_MAP
@click.option("--by", default="", help="Who marked what the file does not sign (default: the file's name).")
@JSON_OPTION
def import_command(run: Path, file: Path, model: str | None, label_map: Sequence[str], by: str, as_json: bool) -> None:
    """Reads marks from JSON lines: RAGTruth's rows of responses, or a mark a line.

    A span is taken where its text stands at its offsets, or exactly once; anything else is told and left out.
    """
    from itaudit.detect.ragtruth import MarksReader, new_marks, parse_label_map

    found = find_run(run)
    if model is not None:
        found.table("responses", model)
    read = MarksReader(found, model=model, labels=parse_label_map(label_map)).read(file)
    marks = new_marks(read.marks, found.marks().values(), by=by or file.name)
    if not read.responses and read.refused:
        raise UserError(f"{file}: nothing to import: row {read.refused[0].row}: {read.refused[0].reason}")
    found.mark(*marks)
    refused = [{"row": one.row, "reason": one.reason} for one in read.refused]
    already = len(read.marks) - len(marks)
    if as_json:
        print_json({"imported": len(marks), "already_there": already, "refused": refused})
        return
    tell_refused(refused)
    click.echo(f"{len(marks)} marks imported, {already} were there already, {len(refused)} refused")


def _response(run: "Run", model: str, prompt_id: str) -> str:
    response = run.response(model, run.prompt(prompt_id).id)
    if response is None:
        raise UserError(f"{run.path}: {model} has not answered {prompt_id!r} yet")
    return response.response


def _in_order(run: "Run") -> list[tuple["Mark", bool]]:
    """The marks with whether the responses still say what was marked."""
    texts: dict[str, dict[str, str]] = {}
    for label in {mark.model for mark in run.marks().values()} & set(run.labels):
        columns = run.table("responses", label).read().select(["prompt_id", "response"])
        texts[label] = dict(zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True))
    orders = {prompt.id: prompt.order for prompt in run.prompts()}
    models = {label: number for number, label in enumerate(run.labels)}

    def place(mark: "Mark") -> tuple[int, int, int, int]:
        last = len(orders) + len(models)
        return models.get(mark.model, last), orders.get(mark.prompt_id, last), mark.start, mark.end

    marks = sorted(run.marks().values(), key=place)
    return [(mark, mark.stands_in(texts.get(mark.model, {}).get(mark.prompt_id, ""))) for mark in marks]
