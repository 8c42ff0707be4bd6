"""The part of `itaudit detect` that has detectors ask a model, in a process of its own, and follows it."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_follow import LOOK_SECONDS, follow_job
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.detect.job import AskingStatus
    from itaudit.detect_settings import JudgeModel
    from itaudit.runs.detections import Detector
    from itaudit.runs.run import Run


_OPTIONS = (
    click.option("--engine", type=click.Choice(["local", "endpoint"]), help="Of the judge."),
    click.option("--judge-model", help="Hub name, directory or GGUF file, or as the endpoint calls it."),
    click.option("--base-url", help="Address of the judge's endpoint, such as http://localhost:8000/v1."),
    click.option("--api-key-env", help="Name of the environment variable that holds the endpoint's key."),
    click.option("--max-tokens", type=click.IntRange(1), help="Longest answer of the judge."),
    click.option("--detach", is_flag=True, help="Start the job and return at once."),
)


def judge_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of detectors that ask a model."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def judge_changes(settings: "Callable[[], JudgeModel]", options: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line changes of a judge's settings, by dotted names; `settings` are those without changes."""
    told = {name: options[name] for name in ("judge_model", "base_url", "api_key_env", "max_tokens")}
    if not any(told.values()):
        return {"engine": options["engine"]}
    engine = options["engine"] or settings().engine
    if engine == "local" and (told["base_url"] or told["api_key_env"]):
        raise UserError("--base-url and --api-key-env are for --engine endpoint", code=2)
    longest = "max_new_tokens" if engine == "local" else "max_tokens"
    return {
        "engine": engine,
        f"{engine}.model": told["judge_model"],
        f"{engine}.{longest}": told["max_tokens"],
        "endpoint.base_url": told["base_url"],
        "endpoint.api_key_env": told["api_key_env"],
    }


def detect_by_models(
    run: "Run",
    labels: Sequence[str],
    detectors: Sequence["Detector"],
    options: Mapping[str, Any],
    *,
    again: bool,
) -> None:
    """Has a worker fill what the detectors lack, and follows it unless it is detached.

    A worker that is at work already is followed. Raises UserError where it fails or is interrupted.
    """
    from itaudit.detect.job import cancel_detecting, detect_status, start_detecting
    from itaudit.detect.judge_task import check_judge, clear_judge, judge_settings, judge_task

    status = detect_status(run)
    if status is None or not status.at_work:
        changes = judge_changes(lambda: judge_settings(run, {}, check=False)[0], options)
        if again and "judge" in detectors:
            # What makes no sense takes nothing away.
            check_judge(run, changes)
        for label in labels:
            for detector in detectors if again else ():
                clear_judge(run, label) if detector == "judge" else run.detections(detector, label).clear()
            # A closed table answers for its own judge alone.
            if "judge" in detectors and (any(changes.values()) or not run.detections("judge", label).closed):
                judge_task(run, label, changes)
        if all(run.detections(detector, label).closed for detector in detectors for label in labels):
            return
        start_detecting(run, detectors, labels)
    elif again:
        raise UserError(f"{run.path}: detectors are at work on it; --again can't begin anew before they end")
    if options["detach"]:
        return
    follow_asking(partial(detect_status, run), partial(cancel_detecting, run), run.detect_log_path)


def follow_asking(
    look: "Callable[[], AskingStatus | None]", cancel: Callable[[], object], log: Path, *, hint: str = "the same call"
) -> None:
    """Follows a job that asks a model to its end; Ctrl-C stops it. Raises UserError where it is not done then.

    `hint` is what goes on with it, in words.
    """

    def told() -> "AskingStatus":
        status = look()
        if status is None:
            raise UserError(f"{log.parent}: the status went away while the worker was at work")
        return status

    try:
        status = follow_job(told, _words)
    except KeyboardInterrupt:
        click.echo("stopping; what is done is kept", err=True)
        with suppress(UserError):
            cancel()
        while (status := told()).at_work:
            time.sleep(LOOK_SECONDS)
        raise UserError(f"stopped with {status.done} of {status.total} done; {hint} goes on") from None
    if status.state == "cancelled":
        raise UserError(f"cancelled with {status.done} of {status.total} done; {hint} goes on")
    if status.state == "failed":
        raise UserError(f"{status.error}; see {log}; {hint} goes on")


def _words(status: "AskingStatus") -> str:
    from itaudit.units import duration_text, pace_text

    if status.waiting_for:
        return visible_line(f"waiting for {status.waiting_for}")
    words = [status.what or "starting", f"{status.done:,}/{status.total:,} responses"]
    if status.problems:
        words.append(f"{status.problems:,} problems")
    if status.rate:
        words.append(pace_text(status.rate))
    if status.seconds_left is not None:
        words.append(f"{duration_text(status.seconds_left)} left")
    return visible_line(" · ".join(words))
