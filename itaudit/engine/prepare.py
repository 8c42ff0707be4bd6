"""The prepare stage: the dataset and the prompts of a recipe, read once and kept in the run directory."""

from typing import Any

import orjson
import pyarrow as pa

from itaudit import atomic, transforms
from itaudit.data.chosen import chosen_positions
from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset, with_rows
from itaudit.data.load import load
from itaudit.data.overlay import EDITED, SOURCE
from itaudit.data.versions import open_edited, split_version
from itaudit.engine.context import prompt_messages
from itaudit.engine.ifd import measured_by
from itaudit.engine.reporter import Reporter
from itaudit.errors import UserError
from itaudit.experiments.experiment import Experiment
from itaudit.recipe import Recipe, Rows
from itaudit.runs.retune import read_as
from itaudit.runs.run import Run
from itaudit.runs.tables import PROMPTS, write_table
from itaudit.steps import measured_with


def prepare_run(run: Run, reporter: Reporter) -> None:
    """Writes `dataset.arrow`, `prompts.arrow` and what the prompts were made from; raises UserError where nothing is
    left to work on.

    What is there stays: a run that another one was made from brings the prompts that it is compared by.
    """
    if run.dataset_path.exists() and run.prompts_path.exists():
        return
    reporter.stage_started("prepare", "", total=2, unit="files")
    base = run.recipe.base.model
    measure = _measure(run.recipe, reporter)
    told = run.transforms()
    if not run.dataset_path.exists():
        dataset, records, _ = read_rows(run.recipe.data, "data", reporter, measure, base, size=_size(run))
        if run.recipe.tuned_here() and not any(instance.response is not None for instance in dataset):
            raise UserError(f"data.path: {run.recipe.data.path} holds prompts without responses; nothing to tune on")
        _tell_transforms(run, told | {"data": [record.to_json() for record in records]})
        dataset.save(run.dataset_path)
    reporter.stage_started("prepare", "", total=2, unit="files", done=1)
    if not run.prompts_path.exists():
        prompts, records, whole = read_rows(run.recipe.prompts, "prompts", reporter, measure, base)
        _tell_transforms(run, run.transforms() | {"prompts": [record.to_json() for record in records]})
        prompts.save(run.prompts_dataset_path)
        if prompts.tasks:
            spaces = {name: space.to_json() for name, space in transforms.output_spaces(prompts, whole).items()}
            atomic.write_bytes(run.output_spaces_path, orjson.dumps(spaces, option=orjson.OPT_INDENT_2))
        write_table(pa.Table.from_pylist(_prompt_rows(prompts), schema=PROMPTS), run.prompts_path)
    rejected = len(run.dataset.rejected)
    reporter.stage_done("prepare", "", instances=len(run.dataset), prompts=len(run.prompts()), rejected=rejected)


def _size(run: Run) -> int:
    """How many instances the tables of an experiment say of this run, where its `data.limit` chooses them; else 0."""
    experiment = Experiment.around(run)
    sizes = [planned.size for planned in experiment.spec.runs if planned.name == run.name] if experiment else []
    return run.recipe.data.limit if run.recipe.data.limit in sizes else 0


def _tell_transforms(run: Run, told: dict[str, list[dict[str, Any]]]) -> None:
    """Writes what the transforms did; no file where there were none."""
    if any(told.values()):
        whole = {"data": told.get("data", []), "prompts": told.get("prompts", [])}
        atomic.write_bytes(run.transforms_path, orjson.dumps(whole, option=orjson.OPT_INDENT_2))


def read_rows(
    rows: Rows, key: str, reporter: Reporter, measure: transforms.Difficulties, base: str, *, size: int = 0
) -> tuple[Dataset, list[transforms.Record], Dataset]:
    """The instances that a recipe's table asks for, transformed, what each transform did, and the whole source.

    `base` is who measures, and `size` how many there have to be before transforms.

    Raises UserError where there are none, or fewer than `size`, and where a transform can't be carried out.
    """
    dataset, edited = _version(rows, key, reporter)
    if dataset.rejected:
        first = dataset.rejected[0]
        reporter.note(
            f"{key}: {len(dataset.rejected)} rows of {rows.path} were left out, first row {first.index}: {first.reason}"
        )
    chosen = chosen_positions(dataset, skip=rows.skip, limit=rows.limit, without_input=rows.without_input)
    part, whole = dataset if len(chosen) == len(dataset) else dataset.select(chosen), dataset
    if edited is not None:
        changed = edited.edited_positions()
        places = {position: place for place, position in enumerate(chosen) if position in changed}
        part = with_rows(part, {place: changed[position] for position, place in places.items()})
        whole = edited.dataset()
    if empty := part.empty_responses():
        reporter.note(f"{key}: {len(empty)} responses of {rows.path} are empty, first row {empty[0]}")
    if not len(part):
        raise UserError(f"{key}.path: no instance of {rows.path} qualifies ({len(dataset)} were read)")
    if len(part) < size:
        raise UserError(
            f"experiment.sizes: {size:,} is more than the {len(part):,} instances of {rows.path} that qualify; "
            "take it out of sizes, or ask for as many as there are"
        )
    steps = measured_with(transforms.parse_steps(rows.transforms), base)
    try:
        return *transforms.apply(part, steps, whole=whole, difficulties=measure), whole
    except UserError as error:
        raise UserError(f"{key}.transforms: {error}", code=error.code) from None


def _version(rows: Rows, key: str, reporter: Reporter) -> tuple[Dataset, EditedDataset | None]:
    """A dataset as its file has it, and with the edits that its path asks for, if any.

    Says what another day may not find.
    """
    name, version = split_version(rows.path)
    if version in ("", SOURCE):
        return load(name, format=rows.format, split=rows.split or None, turn=rows.turn), None
    edited = open_edited(rows.path, format=rows.format, split=rows.split or None, turn=rows.turn)
    if version == EDITED:
        reporter.note(read_as(key, rows.path, f"{name}@{edited.overlay.count}"))
    if conflicts := edited.conflicts():
        reporter.note(f"{key}: {len(conflicts)} edits of {name} are in conflict and were not applied")
    return edited.source, edited


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
