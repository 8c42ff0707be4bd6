"""The part of `itaudit detect` that has detectors ask a model, in a process of its own, and follows it."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_follow import LOOK_SECONDS, follow_job
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.detect.job import DetectStatus
    from itaudit.runs.detections import Detector
    from itaudit.runs.run import Run


_OPTIONS = (
    click.option("--engine", type=click.Choice(["local", "endpoint"]), help="Of the judge."),
    click.option("--judge-model", help="Hub name, directory or GGUF file, or as the endpoint calls it."),
    click.option("--base-url", help="Address of the judge's endpoint, such as http://localhost:8000/v1."),
    click.option("--api-key-env", help="Name of the environment variable that holds the endpoint's key."),
    click.option("--max-tokens", type=click.IntRange(1), help="Longest answer of the judge."),
    click.option("--detach", is_flag=True, help="Do not wait for detectors that ask a model."),
)


def judge_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of detectors that ask a model."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def judge_changes(run: "Run", options: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line changes of the judge's settings, by dotted names."""
    from itaudit.detect.judge_task import judge_settings

    told = {name: options[name] for name in ("judge_model", "base_url", "api_key_env", "max_tokens")}
    if not any(told.values()):
        return {"engine": options["engine"]}
    engine = options["engine"] or judge_settings(run, {}, check=False)[0].engine
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
    from itaudit.detect.job import detect_status, start_detecting
    from itaudit.detect.judge_task import clear_judge, judge_task

    status = detect_status(run)
    if status is None or not status.at_work:
        changes = judge_changes(run, options)
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
    try:
        status = follow_job(partial(_status, run), _words)
    except KeyboardInterrupt:
        status = _stop(run)
        told = f"{status.done} of {status.total} done" if status is not None else "nothing done"
        raise UserError(f"stopped with {told}; the same call goes on") from None
    if status.state == "cancelled":
        raise UserError(f"cancelled with {status.done} of {status.total} done; the same call goes on")
    if status.state == "failed":
        raise UserError(f"{status.error}; see {run.detect_log_path}; the same call goes on")


def _stop(run: "Run") -> "DetectStatus | None":
    """Asks the worker to stop, and waits until it has saved what it has."""
    from itaudit.detect.job import cancel_detecting, detect_status

    click.echo("stopping; what is done is kept", err=True)
    try:
        cancel_detecting(run)
    except UserError:
        return detect_status(run)
    while (status := detect_status(run)) is not None and status.at_work:
        time.sleep(LOOK_SECONDS)
    return status


def _status(run: "Run") -> "DetectStatus":
    from itaudit.detect.job import detect_status

    status = detect_status(run)
    if status is None:
        raise UserError(f"{run.detect_status_path}: went away while its worker was at work")
    return status


def _words(status: "DetectStatus") -> str:
    from itaudit.units import duration_text, pace_text

    if status.waiting_for:
        return visible_line(f"waiting for {status.waiting_for}")
    words = [f"{status.detector} {status.model}".strip() or "starting", f"{status.done:,}/{status.total:,} responses"]
    if status.problems:
        words.append(f"{status.problems:,} problems")
    if status.rate:
        words.append(pace_text(status.rate))
    if status.seconds_left is not None:
        words.append(f"{duration_text(status.seconds_left)} left")
    return visible_line(" · ".join(words))
