"""`itaudit retune`: a run anew, with its dataset as it is edited now."""

from pathlib import Path

import click

from itaudit.cli_jobs import work
from itaudit.cli_json import JSON_OPTION
from itaudit.cli_runs import find_run


@click.command("retune")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, metavar="LABEL", help="Tune only this model again (default: all).")
@click.option("--name", default="", help="Name of the new run (default: the run's, with -mended).")
@click.option("--detach", is_flag=True, help="Start the worker and return at once.")
@click.option("--no-open", is_flag=True, help="Print the summary instead of opening the workbench.")
@JSON_OPTION
def retune_command(run: Path, models: tuple[str, ...], name: str, detach: bool, no_open: bool, as_json: bool) -> None:
    """Tunes the models of RUN again on its dataset as it is edited now, as a new run beside it.

    Recipe, seed and prompts stay; what the base model said is taken over. `itaudit show` of the new run names RUN as
    its parent, and the workbench shows both side by side.
    """
    from itaudit.runs.retune import retune, retune_plan

    plan = retune_plan(find_run(run))
    for remark in plan.remarks:
        click.echo(f"note: {remark}", err=True)
    count = len(plan.changes)
    click.echo(f"{count} {'instance' if count == 1 else 'instances'} changed; the dataset is {plan.data}", err=True)
    labels = [label for label in plan.labels if not models or label in models]
    unknown = [label for label in models if label not in plan.labels]
    work(retune(plan, unknown or labels, name=name), detach=detach, no_open=no_open, as_json=as_json)
