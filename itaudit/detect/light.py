"""The detectors that need no model: they read what a run already holds, and fill its tables prompt by prompt."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from itaudit.detect import reference, signal
from itaudit.runs.detections import Detection, Detector, detection_row
from itaudit.runs.rows import Prompt, scores_of
from itaudit.runs.run import Run
from itaudit.runs.tables import GrowingTable

LIGHT: tuple[Detector, ...] = ("reference", "signal")
PROMPTS_PER_PART = 64

Look = Callable[[Prompt, str], Detection | None]
"""What a detector says of a response to a prompt; None while what it looks at is still to come."""


def detect_light(
    detector: Detector,
    run: Run,
    label: str,
    *,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Fills the table of a light detector for one model; what is in it stays.

    `check` is called before each response and may raise, which loses no part that is written; `progress` is told how
    many responses are done. The table is closed where all responses are there. Whoever else fills the same table is
    waited for.
    """
    table = run.detections(detector, label)
    if table.closed:
        return
    with table.held(check):
        _fill(detector, run, label, table, check, progress)


def _fill(
    detector: Detector,
    run: Run,
    label: str,
    table: GrowingTable,
    check: Callable[[], None],
    progress: Callable[[int], None],
) -> None:
    if table.closed:
        return
    look = _LOOKS[detector](run, label)
    done = table.prompt_ids()
    answers = run.table("responses", label)
    whole = answers.closed
    prompts = {prompt.id: prompt for prompt in run.prompts()}

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal whole
        for row in answers.read().select(["order", "prompt_id", "response"]).to_pylist():
            if row["prompt_id"] in done:
                continue
            check()
            started = time.perf_counter()
            found = look(prompts[row["prompt_id"]], row["response"])
            if found is None:
                whole = False
            else:
                yield detection_row(row["order"], replace(found, seconds=time.perf_counter() - started))

    table.extend(rows(), PROMPTS_PER_PART, progress)
    if whole:
        table.close()


def _by_reference(_run: Run, _label: str) -> Look:
    return reference.detect


def _by_signal(run: Run, label: str) -> Look:
    table = run.table("scores", label)
    closed, scores = table.closed, table.read()
    rows = {prompt_id: number for number, prompt_id in enumerate(scores["prompt_id"].to_pylist())}

    def look(prompt: Prompt, response: str) -> Detection | None:
        number = rows.get(prompt.id)
        if number is None:
            return Detection(prompt.id, (), "the response is not scored") if closed else None
        found = signal.candidates(scores_of(scores.slice(number, 1).to_pylist()[0]), response, run.thresholds)
        return Detection(prompt.id, tuple(found))

    return look


_LOOKS: Mapping[Detector, Callable[[Run, str], Look]] = {"reference": _by_reference, "signal": _by_signal}
