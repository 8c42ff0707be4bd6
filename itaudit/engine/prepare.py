"""The prepare stage: the dataset and the prompts of a recipe, read once and kept in the run directory."""

from typing import Any

import orjson
import pyarrow as pa

from itaudit import atomic, transforms
from itaudit.data.dataset import Dataset
from itaudit.data.load import load
from itaudit.data.overlay import EDITED, SOURCE
from itaudit.data.versions import open_edited, split_version
from itaudit.engine.context import prompt_messages
from itaudit.engine.ifd import measured_by
from itaudit.engine.reporter import Reporter
from itaudit.errors import UserError
from itaudit.recipe import Recipe, Rows
from itaudit.runs.run import Run
from itaudit.runs.tables import PROMPTS, write_table
from itaudit.steps import measured_with


def prepare_run(run: Run, reporter: Reporter) -> None:
    """Writes `dataset.arrow` and `prompts.arrow`; raises UserError where nothing is left to work on."""
    if run.dataset_path.exists() and run.prompts_path.exists():
        return
    reporter.stage_started("prepare", "", total=2, unit="files")
    base = run.recipe.base.model
    measure = _measure(run.recipe, reporter)
    dataset, records = read_rows(run.recipe.data, "data", reporter, measure, base)
    if run.recipe.tuned_here() and not any(instance.response is not None for instance in dataset):
        raise UserError(f"data.path: {run.recipe.data.path} holds prompts without responses; nothing to tune on")
    reporter.stage_started("prepare", "", total=2, unit="files", done=1)
    prompts, prompt_records = read_rows(run.recipe.prompts, "prompts", reporter, measure, base)
    if records or prompt_records:
        told = {"data": [r.to_json() for r in records], "prompts": [r.to_json() for r in prompt_records]}
        atomic.write_bytes(run.transforms_path, orjson.dumps(told, option=orjson.OPT_INDENT_2))
    dataset.save(run.dataset_path)
    write_table(pa.Table.from_pylist(_prompt_rows(prompts), schema=PROMPTS), run.prompts_path)
    reporter.stage_done("prepare", "", instances=len(dataset), prompts=len(prompts), rejected=len(dataset.rejected))


def read_rows(
    rows: Rows, key: str, reporter: Reporter, measure: transforms.Difficulties, base: str
) -> tuple[Dataset, list[transforms.Record]]:
    """The instances that a recipe's table asks for, transformed, and what each transform did; `base` is who measures.

    Raises UserError where there are none, and where a transform can't be carried out.
    """
    dataset = _version(rows, key, reporter)
    if dataset.rejected:
        first = dataset.rejected[0]
        reporter.note(
            f"{key}: {len(dataset.rejected)} rows of {rows.path} were left out, first row {first.index}: {first.reason}"
        )
    if empty := dataset.empty_responses():
        reporter.note(f"{key}: {len(empty)} responses of {rows.path} are empty, first row {empty[0]}")
    positions = [
        position for position in range(len(dataset)) if not (rows.without_input and dataset[position].input.strip())
    ]
    chosen = positions[rows.skip :][: rows.limit or None]
    if not chosen:
        raise UserError(f"{key}.path: no instance of {rows.path} qualifies ({len(dataset)} were read)")
    steps = measured_with(transforms.parse_steps(rows.transforms), base)
    part = dataset if len(chosen) == len(dataset) else dataset.select(chosen)
    try:
        return transforms.apply(part, steps, whole=dataset, difficulties=measure)
    except UserError as error:
        raise UserError(f"{key}.transforms: {error}", code=error.code) from None


def _version(rows: Rows, key: str, reporter: Reporter) -> Dataset:
    """A dataset at the version that its path ends in, the source if in none; says what another day may not find."""
    name, version = split_version(rows.path)
    if version in ("", SOURCE):
        return load(name, format=rows.format, split=rows.split or None, turn=rows.turn)
    edited = open_edited(rows.path, format=rows.format, split=rows.split or None, turn=rows.turn)
    if version == EDITED:
        reporter.note(f"{key}: {rows.path} was read as {name}@{edited.overlay.count}, which names it for good")
    if conflicts := edited.conflicts():
        reporter.note(f"{key}: {len(conflicts)} edits of {name} are in conflict and were not applied")
    return edited.dataset()


def _measure(recipe: Recipe, reporter: Reporter) -> transforms.Difficulties:
    """Measures IFD by the recipe's base model, or the one that the step names, and says how far it is."""

    last = -1

    def progress(done: int, total: int) -> None:
        nonlocal last
        if last < 0 or done < last:
            # Two sequences an instance: the response after its instruction, and without it.
            reporter.stage_started("prepare", "", total=total, unit="losses", done=done)
        last = done
        reporter.progress("prepare", "", done)
        reporter.check()

    return measured_by(recipe.base, recipe.device, recipe.context, progress)


def _prompt_rows(prompts: Dataset) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for instance in prompts:
        # Ids of different files or splits may meet in one folder; a prompt must be told by its id.
        identifier = instance.id if instance.id not in taken else f"{instance.id}@{instance.index}"
        taken.add(identifier)
        reference = instance.response if instance.response is not None else instance.extra.get("reference")
        rows.append(
            {
                "id": identifier,
                "prompt": instance.prompt,
                "reference": reference if isinstance(reference, str) else None,
                "messages": orjson.dumps(prompt_messages(instance)).decode(),
            }
        )
    return rows
