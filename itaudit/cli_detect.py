"""`itaudit detect`: what each detector flags in the responses of a run, side by side."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_detect_job import detect_by_models, judge_options
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.cli_runs import find_run
from itaudit.errors import UserError

if TYPE_CHECKING:
    from itaudit.runs.detections import Detector
    from itaudit.runs.run import Run

LABEL_MAP: Callable[[Any], Any] = click.option(
    "--label-map", "label_map", multiple=True, metavar="FROM=TO", help="Reads a label of the file as another."
)
REFUSED_SHOWN = 10
"""Rows of a file that are told on stderr; `--json` has them all."""


@click.command("detect")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, help="Label of a tuned model; repeatable (default: all).")
@click.option(
    "--detector",
    "detectors",
    multiple=True,
    type=click.Choice(["reference", "consistency", "signal", "judge", "import"]),
    help="Repeatable (default: those of the recipe).",
)
@click.option("--file", "file", type=click.Path(path_type=Path), help="For --detector import: spans as JSON lines.")
@LABEL_MAP
@judge_options
@click.option("--again", is_flag=True, help="Detect anew what was detected before.")
@JSON_OPTION
def detect_command(
    run: Path,
    models: Sequence[str],
    detectors: Sequence["Detector"],
    file: Path | None,
    label_map: Sequence[str],
    again: bool,
    as_json: bool,
    **asking: Any,
) -> None:
    """Looks for hallucinated spans in the tuned models' responses.

    What a detector flags is a candidate until a person confirms it. Without --detector, those of the recipe look at
    what they have not seen yet, and everything that any detector found is shown.

    consistency and judge ask a model, in a process of its own. Interrupted, the same call goes on where it was.
    """
    from itaudit.detect.light import LIGHT
    from itaudit.detect.report import detect_document

    found = find_run(run)
    labels = tuned_labels(found, models)
    if (file is None) != ("import" not in detectors):
        raise UserError("--detector import and --file FILE belong together", code=2)
    wanted = dict.fromkeys(detectors or found.recipe.detect.detectors)
    if "judge" not in wanted and any(value for name, value in asking.items() if name != "detach"):
        raise UserError(
            "--engine, --judge-model, --base-url, --api-key-env and --max-tokens are for --detector judge", code=2
        )
    refused: list[dict[str, Any]] = []
    by_models: list[Detector] = []
    for detector in wanted:
        if detector == "import" and file is not None:
            refused = import_candidates(found, labels, file, label_map, chosen=bool(models))
        elif detector in LIGHT:
            carry_out(found, labels, detector, again=again)
        else:
            by_models.append(detector)
    if by_models:
        detect_by_models(found, labels, by_models, asking, again=again)
    document = detect_document(found, labels)
    if as_json:
        print_json(document | ({"refused": refused} if file is not None else {}))
        return
    tell_refused(refused)
    _print(document)


def tuned_labels(run: "Run", asked: Sequence[str]) -> tuple[str, ...]:
    """The tuned models that were asked for, or all that have answered. Raises UserError where there are none."""
    tuned = [label for label in run.labels if label != "base"]
    for label in asked:
        if label not in tuned:
            raise UserError(f"{run.path}: no tuned model {label!r}; there are {', '.join(tuned)}", code=2)
    labels = tuple(label for label in asked or tuned if len(run.table("responses", label).read()))
    if not labels:
        raise UserError(f"{run.path}: no responses to look at yet; `itaudit resume {run.path}` goes on")
    return labels


def carry_out(run: "Run", labels: Sequence[str], detector: "Detector", *, again: bool) -> None:
    """Has a detector without a model look at what it has not seen yet of each model, or at everything again."""
    from itaudit.detect.light import detect_light

    for label in labels:
        if again:
            run.detections(detector, label).clear()
        detect_light(detector, run, label)


def import_candidates(
    run: "Run", labels: Sequence[str], file: Path, label_map: Sequence[str], *, chosen: bool
) -> list[dict[str, Any]]:
    """Takes the candidates of a file in place of those that came before; returns the rows that were refused.

    Raises UserError, and changes nothing, where no row can be used.
    """
    from itaudit.detect.imported import detect_imported
    from itaudit.detect.ragtruth import MarksReader, parse_label_map

    model = labels[0] if chosen and len(labels) == 1 else None
    read = MarksReader(run, model=model, labels=parse_label_map(label_map)).read(file)
    if not read.responses:
        told = f"row {read.refused[0].row}: {read.refused[0].reason}" if read.refused else "no row is about the model"
        raise UserError(f"{file}: nothing to import: {told}")
    for label in labels:
        if any(named == label for named, _ in read.responses):
            detect_imported(run, label, read)
    return [{"row": one.row, "reason": one.reason} for one in read.refused]


def tell_refused(refused: Sequence[dict[str, Any]]) -> None:
    """Says on stderr which rows of a file were left out."""
    from itaudit.sanitize import visible_line

    for one in refused[:REFUSED_SHOWN]:
        click.echo(f"row {one['row']}: {visible_line(one['reason'])}", err=True)
    if len(refused) > REFUSED_SHOWN:
        click.echo(f"and {len(refused) - REFUSED_SHOWN} more; --json has them all", err=True)


def _print(document: dict[str, Any]) -> None:
    for label, model in document["models"].items():
        click.echo(f"{label}: {model['responses']} responses, {model['words']} content words")
        for name, told in model["detectors"].items():
            seconds = told["seconds_per_response"]
            click.echo(
                f"  {name:<12} {told['candidates']:>6} candidates in {told['responses']} responses, "
                f"{_percent(told['flagged_words'])} of the content words"
                + (f", {seconds:.3f} s a response" if seconds else "")
            )
            if told["refused"]:
                click.echo(f"  {'':<12} {told['refused']} phrases refused: they do not stand in the response")
            for problem, count in told["problems"].items():
                click.echo(f"  {'':<12} {count} not looked at: {problem}")
        if model["agreement"] is not None:
            _print_agreement(model["agreement"])


def _print_agreement(told: dict[str, Any]) -> None:
    click.echo(f"  agreement of all: {_alpha(told)}")
    for pair in told["pairs"]:
        first, second = pair["raters"]
        click.echo(
            f"    {first} and {second}: {_alpha(pair)}; both flag {pair['both']}, {first} alone "
            f"{pair['only_first']}, {second} alone {pair['only_second']}"
        )


def _alpha(told: dict[str, Any]) -> str:
    if told["alpha"] is None:
        return f"alpha not defined, {told['reason']}"
    return f"Krippendorff's alpha {told['alpha']:.2f} over {told['words']} words"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"
