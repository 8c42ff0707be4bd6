"""`itaudit rate` and `itaudit ratings`: people rate answers without knowing whose they are; what came of it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.cli_runs import find_run
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.runs.cells import Cell


@click.command("rate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--rater", required=True, help="Your name; come back with it to go on where you stopped.")
@click.option("--models", help="Labels parted by commas (default: as the last time, or as the others; all at first).")
@click.option("--prompts", type=click.IntRange(min=0), help="How many prompts, chosen by the seed; 0 is all.")
@click.option("--seed", type=int, help="Shuffles prompts, and for each rater answers (default: 0).")
def rate_command(run: Path, rater: str, models: str | None, prompts: int | None, seed: int | None) -> None:
    """Rates the answers of a run from 1 to 5 in five aspects, their models unknown, in random order."""
    from itaudit import paths
    from itaudit.evaluation.blind import BlindRating, choose
    from itaudit.runs.ratings import Ratings, check_rater

    found = find_run(run)
    labels = None if models is None else [label.strip() for label in models.split(",") if label.strip()]
    if labels == []:
        raise UserError(f"--models: expected labels parted by commas; there are {', '.join(found.labels)}", code=2)
    ratings = Ratings(found.ratings_path)
    name = ratings.named(check_rater(rater))
    choice = choose(found, ratings, name, models=labels, prompts=prompts, seed=seed)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("rating needs a terminal; `itaudit ratings RUN` tells what was rated without one", code=2)
    rating = BlindRating(found, ratings, name, choice)
    from itaudit.tui.rating_app import RatingApp

    RatingApp(found, rating, paths.runs_dir()).run()
    count = rating.count()
    click.echo(f"{count.rated} of {count.answers} answers rated, {count.skipped} skipped, {count.left} left")
    if count.left:
        click.echo(f"itaudit rate {found.path} --rater {visible_line(name)} goes on from there")


@click.command("ratings")
@click.argument("subject", metavar="RUN|EXPERIMENT", type=click.Path(path_type=Path))
@click.option("--reference", help="Label that the others are compared with (default: the first of the recipe).")
@click.option("--out", type=click.Path(path_type=Path), help="Write every rating with its model there: .csv or .jsonl.")
@click.option("--force", is_flag=True, help="Overwrite what stands at --out.")
@JSON_OPTION
def ratings_command(subject: Path, reference: str | None, out: Path | None, force: bool, as_json: bool) -> None:
    """Tells what people rated, model by model, and how far they agree."""
    from itaudit.cli_tables import print_tables, tell_left_out
    from itaudit.evaluation import rating_tables
    from itaudit.runs.left_out import checked, told_by

    path, cells, label = _cells(subject, reference)
    told = told_by(rating_tables, cells, label).require()
    rows, gone = _exported(checked(cells, rating_tables.check), out, force)
    if as_json:
        print_json({"path": str(path), "reference": label, "no_longer_given": gone, **told.to_json(), "ratings": rows})
        return
    if not told.tables:
        raise UserError(f"{path}: nobody has rated anything yet; `itaudit rate RUN --rater NAME` begins")
    print_tables(told.tables)
    tell_left_out(told.left_out)
    if gone:
        click.echo(f"{gone} rated answers left out: no model gives them any more", err=True)
    if out is not None:
        click.echo(f"{len(rows)} ratings written to {out}", err=True)


def _cells(subject: Path, reference: str | None) -> tuple[Path, Sequence["Cell"], str]:
    """The path of a run or an experiment, its cells, and the label that the others are compared with."""
    from itaudit.cli_experiment import find_subject
    from itaudit.experiments.experiment import Experiment
    from itaudit.runs.cells import cells_of

    found = find_subject(subject)
    if isinstance(found, Experiment):
        cells, label = found.cells(), found.spec.reference
    else:
        cells, label = cells_of(found), found.labels[1] if len(found.labels) > 1 else found.labels[0]
    labels = dict.fromkeys(cell.label for cell in cells)
    if reference is not None and reference not in labels:
        raise UserError(f"--reference: no model {reference!r}; there are {', '.join(labels)}", code=2)
    return found.path, cells, reference or label


def _exported(cells: Sequence["Cell"], out: Path | None, force: bool) -> tuple[list[dict[str, Any]], int]:
    """Every rating with its model, written where it is wanted; and how many answers are no longer given."""
    from itaudit.evaluation.unblinding import rating_rows

    if out is not None and out.suffix not in (".csv", ".jsonl"):
        raise UserError(f"{out}: expected a name that ends in .csv or .jsonl", code=2)
    if out is not None and out.exists() and not force:
        raise UserError(f"{out}: exists already; --force overwrites it", code=2)
    rows, gone = rating_rows(cells)
    if out is not None:
        _write(out, rows)
    return rows, gone


def _write(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    import csv
    import io

    import orjson

    from itaudit import atomic
    from itaudit.evaluation.unblinding import ROW

    if out.suffix == ".jsonl":
        content = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    else:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, ROW)
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue().encode("utf-8", "surrogateescape")
    atomic.write_bytes(out, content)
