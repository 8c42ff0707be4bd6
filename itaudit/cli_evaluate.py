"""`itaudit evaluate`: what references and a judge say of the answers of a run, or of an experiment's runs."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_detect_job import follow_asking, judge_changes, judge_options
from itaudit.cli_experiment import find_subject
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.evaluate_settings import Evaluate, Question


@click.command("evaluate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--judge", is_flag=True, help="Have a judge look at what it has not seen yet.")
@click.option(
    "--question",
    "questions",
    multiple=True,
    type=click.Choice(["aspects", "pairs"]),
    help="What a judge is asked; repeatable (default: the recipe's).",
)
@click.option("--model", "models", multiple=True, help="Label of a model; repeatable (default: all).")
@click.option("--pair", "pairs", multiple=True, metavar="A:B", help="Models whose answers are compared; repeatable.")
@judge_options
@click.option("--again", is_flag=True, help="Judge anew what was judged before.")
@click.option("--estimate", is_flag=True, help="Tell what a judge would still be asked, and ask nobody.")
@JSON_OPTION
def evaluate_command(
    run: Path,
    judge: bool,
    questions: "Sequence[Question]",
    models: Sequence[str],
    pairs: Sequence[str],
    again: bool,
    estimate: bool,
    as_json: bool,
    **asking: Any,
) -> None:
    """Tells how good the answers of a run's models are, or of those of an experiment.

    Without --judge, what references, earlier judgements and people's ratings say. With it, a judge rates five aspects
    of each answer and compares pairs in both orders, in a process of its own. Interrupted, the same call goes on.
    """
    path = find_subject(run).path
    if estimate:
        if again:
            raise UserError("--estimate tells what is still to be asked, and --again asks for all of it", code=2)
        _tell_estimate(path, questions, models, pairs, asking, as_json=as_json)
        return
    chosen = any(value for name, value in asking.items() if name != "detach")
    if judge or chosen or again or questions or models or pairs:
        _judge(path, questions, models, pairs, asking, again=again)
        if asking["detach"] and not as_json:
            return
    _show(path, as_json=as_json)


def _judge(
    path: Path,
    questions: "Sequence[Question]",
    models: Sequence[str],
    pairs: Sequence[str],
    asking: dict[str, Any],
    *,
    again: bool,
) -> None:
    from itaudit.evaluation.judge_task import begin_judging, check_judging, clear_judging, task_path
    from itaudit.experiments.evaluating import (
        cancel_evaluating,
        evaluated_at,
        evaluation_paths,
        evaluation_status,
        start_evaluating,
        work_of,
    )
    from itaudit.runs.judgements import judging_folder

    status = evaluation_status(path)
    if status is None or not status.at_work:
        subject = evaluated_at(path)
        settings = subject.settings
        wanted = questions or settings.questions
        work = work_of(path, questions, models, pairs)
        folder = judging_folder(work[0][0])
        changes = _changes(settings, asking)
        if again:
            if folder.parent != path:
                raise UserError(f"{path}: its judge is that of {folder.parent}; give --again there", code=2)
            for run in subject.runs:
                if run.job() in ("queued", "running"):
                    raise UserError(f"{run.path}: its worker is still at work; `itaudit logs {run.path} -f`")
            # What makes no sense takes nothing away.
            check_judging(settings, changes, wanted)
            clear_judging(folder, subject.runs, wanted)
        if all(table.closed for run, asked in work for table in asked.tables(run)) and not any(changes.values()):
            return
        if any(changes.values()):
            begin_judging(folder, settings, changes, wanted)
        else:
            # A judge that has begun goes on.
            begin_judging(folder, settings, changes, [one for one in wanted if not task_path(folder, one).exists()])
        start_evaluating(path, questions, models, pairs)
    elif again:
        raise UserError(f"{path}: a judge is at work on it; --again can't begin anew before it ends")
    if not asking["detach"]:
        log = evaluation_paths(path)[1]
        follow_asking(partial(evaluation_status, path), partial(cancel_evaluating, path), log)


def _changes(settings: "Evaluate", asking: dict[str, Any]) -> dict[str, Any]:
    """What the command line changes of the judge's settings, by dotted names."""
    from itaudit.evaluation.judge_task import evaluation_judge

    if asking["base_url"] and not asking["engine"]:
        asking = asking | {"engine": "endpoint"}
    return judge_changes(lambda: evaluation_judge(settings, {}, check=False)[0], asking)


def _tell_estimate(
    path: Path,
    questions: "Sequence[Question]",
    models: Sequence[str],
    pairs: Sequence[str],
    asking: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from itaudit.evaluation.estimate import estimate
    from itaudit.experiments.evaluating import evaluated_at, work_of
    from itaudit.runs.judgements import judging_folder

    settings = evaluated_at(path).settings
    work = work_of(path, questions, models, pairs)
    found = estimate(judging_folder(work[0][0]), work, settings, _changes(settings, asking))
    if as_json:
        print_json(asdict(found))
        return
    click.echo(
        visible_line(
            f"{found.questions:,} questions to {found.judge.rstrip(':')}, about {found.prompt_tokens:,} tokens read "
            f"and {found.completion_tokens:,} written at most"
        )
    )


def _show(path: Path, *, as_json: bool) -> None:
    from itaudit.cli_tables import print_tables, tell_left_out
    from itaudit.evaluation import judge_tables, rating_tables, task_tables
    from itaudit.experiments.evaluating import evaluated_at
    from itaudit.runs.left_out import together, told_by

    subject = evaluated_at(path)
    makers = (task_tables, judge_tables, rating_tables)
    told = together(told_by(maker, subject.cells, subject.reference) for maker in makers)
    if as_json:
        print_json({"path": str(subject.path), "reference": subject.reference, **told.to_json()})
        return
    print_tables(told.tables)
    tell_left_out(told.left_out)
    if not told.tables:
        click.echo("nothing to tell yet: no references by task, no judgements and no ratings; see docs/evaluation.md")
