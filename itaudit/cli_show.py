"""`itaudit show`, `prompts` and `tokens`: what a run or an experiment holds."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.cli_runs import find_run
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.experiments.experiment import Experiment
    from itaudit.runs.run import Run


@click.command("show")
@click.argument("run", type=click.Path(path_type=Path))
@JSON_OPTION
def show_command(run: Path, as_json: bool) -> None:
    """Summarises a run, its models, their shares of shift classes and mean KL in nats, or an experiment."""
    from itaudit.cli_experiment import find_subject

    show(find_subject(run), as_json=as_json)


@click.command("prompts")
@click.argument("run", type=click.Path(path_type=Path))
@JSON_OPTION
def prompts_command(run: Path, as_json: bool) -> None:
    """Lists the prompts of a run."""
    found = find_run(run)
    if as_json:
        print_json([{"id": p.id, "prompt": p.prompt, "reference": p.reference} for p in found.prompts()])
        return
    for prompt in found.prompts():
        click.echo(f"{visible_line(prompt.id)}\t{visible_line(prompt.prompt)}")


@click.command("tokens")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Label of the model, such as sft.")
@click.option("--prompt", "prompt_id", required=True, help="Id of the prompt; `itaudit prompts` lists them.")
@JSON_OPTION
def tokens_command(run: Path, model: str, prompt_id: str, as_json: bool) -> None:
    """Prints one response, token by token."""
    from itaudit.summary import tokens_document

    document = tokens_document(find_run(run), model, prompt_id)
    if as_json:
        print_json(document)
        return
    click.echo(
        f"{'position':>8} {'start':>6} {'rank':>6} {'log p base':>10} {'log p tuned':>11} {'KL':>7}  class      token"
    )
    for position, token in enumerate(document["tokens"], 1):
        tuned = "" if token["logprob_tuned"] is None else f"{token['logprob_tuned']:.3f}"
        kl = "" if token["kl"] is None else f"{token['kl']:.3f}"
        click.echo(
            f"{position:>8} {token['start']:>6} {token['rank_base']:>6} {token['logprob_base']:>10.3f} {tuned:>11} "
            f"{kl:>7}  {token['class']:<10} {visible_line(token['text'] or token['token'])}"
        )


def show(subject: "Run | Experiment", *, as_json: bool) -> None:
    """Prints the summary of a run, or an experiment's runs and tables."""
    from itaudit import cli_experiment
    from itaudit.runs.run import Run

    if not isinstance(subject, Run):
        cli_experiment.show(subject, as_json=as_json)
        return
    from itaudit.summary import show_document

    if as_json:
        document = show_document(subject)
        for problem in document.get("problems", ()):
            click.echo(visible_line(problem), err=True)
        print_json(document)
        return
    from rich.console import Console

    from itaudit.follow import format_summary

    Console().print(format_summary(subject))
