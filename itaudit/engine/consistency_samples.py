"""Further answers of a tuned model to the prompts of a run, drawn at random, and what they do not bear out.

The answers stay in the run (`samples/LABEL.arrow`): they are never drawn twice, and a resumed job draws the very ones
that an undisturbed one would have drawn.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from itaudit.detect import consistency
from itaudit.engine.generate import Query, generate_batch
from itaudit.engine.models import LoadedModel
from itaudit.engine.tuned_model import base_of, loaded_tuned, tuned_files
from itaudit.recipe import Generate
from itaudit.runs.detections import Detection, detection_row
from itaudit.runs.run import Run

Row = dict[str, Any]
"""Of a responses table."""


def fill_consistency(
    run: Run,
    label: str,
    *,
    check: Callable[[], None],
    progress: Callable[[int], None],
    base: Callable[[Run], LoadedModel] = base_of,
) -> None:
    """Fills the table of the detector `consistency` for one model, and draws the samples that it lacks.

    `check` is called before each batch and at each token, and may raise, which loses no batch that is done; `progress`
    is told how many responses are done. An adapter is read over what `base` gives. Raises UserError where the model
    can't be loaded.
    """
    table, drawn = run.detections("consistency", label), run.table("samples", label)
    if table.closed:
        return
    rows = run.table("responses", label).read().to_pylist()
    prompts = {prompt.id: prompt.prompt for prompt in run.prompts()}
    absent = run.recipe.detect.consistency.absent
    done = table.prompt_ids()
    with ExitStack() as stack:
        for group, samples, seconds in _sampled(run, label, rows, done, base, stack, check):
            found = []
            for row, texts in zip(group, samples, strict=True):
                started = time.perf_counter()
                detection = _detection(row, prompts[row["prompt_id"]], texts, absent)
                spent = seconds / len(group) + time.perf_counter() - started
                if row["prompt_id"] not in done:
                    found.append(detection_row(row["order"], replace(detection, seconds=spent)))
            table.append(found)
            done.update(row["prompt_id"] for row in group)
            progress(len(done))
    if not drawn.closed and drawn.prompt_ids():
        drawn.close()
    table.close()


def _detection(row: Row, prompt: str, samples: Sequence[str] | None, absent: float) -> Detection:
    if samples is None:
        problem = "the responses were imported without the model that wrote them, so that nothing can be sampled"
        return Detection(row["prompt_id"], (), problem)
    try:
        return Detection(
            row["prompt_id"], tuple(consistency.candidates(row["response"], prompt, samples, absent=absent))
        )
    except ValueError:
        return Detection(row["prompt_id"], (), "none of the samples says anything")


def _sampled(
    run: Run,
    label: str,
    rows: Sequence[Row],
    done: set[str],
    base: Callable[[Run], LoadedModel],
    stack: ExitStack,
    check: Callable[[], None],
) -> Iterator[tuple[Sequence[Row], Sequence[list[str] | None], float]]:
    """The responses that are not `done`, in groups, with their samples and the seconds that drawing those took.

    The samples are None where there is no model to draw them from. The model is loaded when the first is needed.
    """
    settings, table = run.recipe.detect.consistency, run.table("samples", label)
    known = {row["prompt_id"]: row["samples"] for row in table.read().to_pylist()}
    files = tuned_files(run, label) if len(known) < len(rows) else None
    loaded: LoadedModel | None = None
    for group in _groups(rows, max(1, run.recipe.generate.batch_size // settings.samples)):
        if done.issuperset(row["prompt_id"] for row in group):
            continue
        check()
        seconds = 0.0
        if files is not None and not known.keys() >= {row["prompt_id"] for row in group}:
            loaded = loaded or stack.enter_context(loaded_tuned(run, files, base))
            started = time.perf_counter()
            drawn = draw_samples(run, loaded, group, check=check)
            table.append([row for row in drawn if row["prompt_id"] not in known])
            known |= {row["prompt_id"]: row["samples"] for row in drawn if row["prompt_id"] not in known}
            seconds = time.perf_counter() - started
        yield group, [known.get(row["prompt_id"]) for row in group], seconds


def _groups(rows: Sequence[Row], size: int) -> list[list[Row]]:
    """Responses in groups of like contexts, the longest first; they depend on nothing but the responses."""
    ordered = sorted(rows, key=lambda row: (-len(row["context_ids"]), row["order"]))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def draw_samples(
    run: Run, loaded: LoadedModel, group: Sequence[Row], *, check: Callable[[], None] | None = None
) -> list[Row]:
    """Rows of the SAMPLES schema for some responses: further answers to what the model read before each.

    `check` is called at each token and may raise.
    """
    settings, generate = run.recipe.detect.consistency, run.recipe.generate
    wanted = Generate(
        max_new_tokens=generate.max_new_tokens, sample=True, temperature=settings.temperature, top_p=settings.top_p
    )
    # The number of the draw keeps batches from drawing alike, and the response's own batch too.
    queries = [
        Query(row["order"], f"{row['prompt_id']}:sample {draw}", row["context"], row["context_ids"])
        for row in group
        for draw in range(settings.samples)
    ]
    answers: list[Row] = []
    for start in range(0, len(queries), generate.batch_size):
        batch = queries[start : start + generate.batch_size]
        answers += generate_batch(loaded, batch, wanted, run.recipe.seed, check=check)
    made = []
    for number, row in enumerate(group):
        own = answers[number * settings.samples : (number + 1) * settings.samples]
        made.append(
            {
                "order": row["order"],
                "prompt_id": row["prompt_id"],
                "samples": [answer["response"] for answer in own],
                "finishes": [answer["finish"] for answer in own],
            }
        )
    return made
