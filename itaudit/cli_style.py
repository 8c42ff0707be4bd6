"""`itaudit style`: what responses look like, how near the dataset's they are, and what shifted positions say."""

from pathlib import Path

import click

from itaudit.cli_json import JSON_OPTION, print_json


@click.command("style")
@click.argument("subject", metavar="RUN|EXPERIMENT", type=click.Path(path_type=Path))
@click.option("--reference", help="Label of the model that the others are compared with (default: the first).")
@JSON_OPTION
def style_command(subject: Path, reference: str | None, as_json: bool) -> None:
    """Tells length, layout and openings of responses, what is copied from the dataset, and the kinds of shifted tokens.

    Each model is compared with the base model, with the dataset's own answers, and with one other model. Reads what is
    there and asks no model; docs/style.md says how it is counted.
    """
    from itaudit.cli_experiment import find_subject
    from itaudit.cli_tables import print_tables, tell_left_out
    from itaudit.errors import UserError
    from itaudit.experiments.experiment import Experiment
    from itaudit.runs.cells import cells_of
    from itaudit.runs.left_out import told_by
    from itaudit.style import tables

    found = find_subject(subject)
    if isinstance(found, Experiment):
        labels, cells, first = found.spec.labels, found.cells(), found.spec.reference
    else:
        labels, cells, first = found.labels[1:], cells_of(found), found.labels[1]
    if reference is not None and reference not in labels:
        raise UserError(f"--reference: no model {reference!r}; there are {', '.join(labels)}", code=2)
    told = told_by(tables, cells, reference or first).require()
    if not told.tables:
        raise UserError(f"{found.path}: no tuned model's responses are all scored yet; `itaudit logs {found.path}`")
    if as_json:
        kind = "experiment" if isinstance(found, Experiment) else "run"
        print_json({kind: str(found.path), "reference": reference or first, **told.to_json()})
        return
    print_tables(told.tables)
    tell_left_out(told.left_out)
