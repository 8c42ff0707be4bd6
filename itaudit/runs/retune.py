"""A re-tune: a new run beside an old one, with the same recipe and the dataset as it is edited now."""

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from itaudit import atomic
from itaudit.data.chosen import chosen_positions
from itaudit.data.edited_rows import EditedRow, edited_row, with_rows
from itaudit.data.edits import Edit, replay, values_of
from itaudit.data.opened import open_whole
from itaudit.data.overlay import EDITED, SOURCE
from itaudit.data.versions import split_version
from itaudit.errors import UserError
from itaudit.runs.lineage import Lineage, Place, Shared, lineage_of, write_lineage
from itaudit.runs.run import BASE, Run
from itaudit.runs.state import RunState

if TYPE_CHECKING:
    from itaudit.data.edited import EditedDataset

_MENDED = "-mended"
_NAMED_FOR_GOOD = "was read as {}, which names it for good"


def read_as(key: str, path: str, version: str) -> str:
    """The note of a run whose recipe names a dataset that moves on, such as `FILE@edited`."""
    return f"{key}: {path} {_NAMED_FOR_GOOD.format(version)}"


@dataclass(frozen=True, slots=True)
class Change:
    """A row of the dataset that is not what the run was tuned on; either is None where the row is deleted."""

    index: int
    before: "EditedRow | None"
    after: "EditedRow | None"


@dataclass(frozen=True, slots=True)
class RetunePlan:
    """What a re-tune of a run would be: the dataset that stands now by its lasting name, and what changed in it.

    `labels` are the models that can be tuned again, in the recipe's order; `before` is the dataset that the run was
    tuned on; `remarks` are lines that whoever decides should know.
    """

    run: Run
    before: str
    data: str
    changes: tuple[Change, ...]
    labels: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def rows(self) -> frozenset[int]:
        """The rows of the dataset that changed."""
        return frozenset(change.index for change in self.changes)


def retune_plan(run: Run) -> RetunePlan:
    """What a re-tune would be; reads the dataset, so that it may take a while.

    Raises UserError where the run tunes no model, its dataset can't be read, or no edit concerns it.
    """
    labels = tuple(run.recipe.tuned_here())
    if not labels:
        raise UserError(f"{run.name} tunes no model: there is nothing to tune again")
    rows = run.recipe.data
    name, _ = split_version(rows.path)
    edited = open_whole(f"{name}@{EDITED}", format=rows.format, split=rows.split or None).edited
    used = lines_used(run, edited)
    now = edited.overlay.count
    source = edited.source
    positions = chosen_positions(source, skip=rows.skip, limit=rows.limit, without_input=rows.without_input)
    found = changes_between(edited, used, now)
    taken = set(positions)
    changes = tuple(change for position, change in found if position in taken)
    moved = _source_changed(run, edited, positions, used)
    if not changes and not moved:
        more = f"; {len(found)} edits are of instances that it does not use" if found else ""
        raise UserError(f"{Path(name).name} holds no edits since {run.name} was tuned{more}: edit it first")
    remarks = []
    if moved:
        remarks.append(f"{Path(name).name} itself changed since {run.name} was tuned")
    if conflicts := len(edited.conflicts()):
        remarks.append(f"{conflicts} edits are in conflict and are not applied")
    if rows.transforms:
        remarks.append(f"{', '.join(rows.transforms)} is applied after the edits")
    if rows.turn != -1:
        remarks.append(f"turn {rows.turn} is tuned on; edits of longer conversations may not fit it")
    before = f"{name}@{used}" if used else name
    return RetunePlan(run, before, f"{name}@{now}", changes, labels, tuple(remarks))


def lines_used(run: Run, edited: "EditedDataset") -> int:
    """How many lines of the dataset's log of edits the run was tuned with; raises UserError for a version that is gone.

    0 is the source as its file has it.
    """
    _, version = split_version(run.recipe.data.path)
    if version in ("", SOURCE):
        return 0
    if version != EDITED:
        return edited.overlay.line_of(version)
    pattern = re.compile(re.escape(read_as("data", run.recipe.data.path, "\0")).replace("\0", r".*@(\d+)"), re.DOTALL)
    noted = [match for note in run.state().notes if (match := pattern.fullmatch(note))]
    return int(noted[-1][1]) if noted else 0


def changes_between(edited: "EditedDataset", first: int, last: int) -> list[tuple[int, Change]]:
    """(position, what changed) of the instances that say something else after `last` lines of the log."""
    before, after = replay(edited.overlay.first(first)), replay(edited.overlay.first(last))
    found = []
    for id in before.keys() | after.keys():
        old, new = (chains[id].standing if id in chains else [] for chains in (before, after))
        position = edited.position_of(id)
        if position is None or _ids(old) == _ids(new):
            continue
        source = edited.source[position]
        was, now = edited_row(source, old), edited_row(source, new)
        if was.deleted != now.deleted or values_of(was.instance) != values_of(now.instance):
            change = Change(source.index, None if was.deleted else was, None if now.deleted else now)
            found.append((position, change))
    return sorted(found, key=lambda pair: pair[0])


def _ids(edits: Iterable[Edit]) -> list[str]:
    return [edit.edit for edit in edits]


def _source_changed(run: Run, edited: "EditedDataset", positions: Sequence[int], used: int) -> bool:
    """Whether the file says something else than when the run read it, as far as that can be told."""
    if run.recipe.data.transforms or run.recipe.data.turn != -1 or not run.dataset_path.exists():
        return False
    source = edited.source
    chains = replay(edited.overlay.first(used))
    places = {position: place for place, position in enumerate(positions)}
    rows = {}
    for id, chain in chains.items():
        position = edited.position_of(id)
        if position in places:
            rows[places[position]] = edited_row(source[position], chain.standing)
    part = source if len(positions) == len(source) else source.select(positions)
    return with_rows(part, rows).sha256 != run.dataset.sha256


def estimated_seconds(state: RunState, labels: Iterable[str]) -> float | None:
    """How long tuning models again and reading their answers took before; None where a model was not tuned."""
    total = 0.0
    for label in labels:
        stages = [stage for stage in state.stages.values() if stage.model == label]
        if not any(stage.stage == "tune" and stage.state == "done" for stage in stages):
            return None
        for stage in stages:
            # A stage that was interrupted and went on tells its rate by the part after.
            rate = stage.rate(stage.ended) if stage.ended else None
            total += stage.total / rate if rate else 0.0
    return total


def mended_name(name: str) -> str:
    """What a re-tune of a run is called unless the user says otherwise."""
    root = re.sub(rf"{_MENDED}(-\d+)?$", "", name)
    return f"{root[: 64 - len(_MENDED)]}{_MENDED}"


def retune(plan: RetunePlan, labels: Sequence[str], *, name: str = "", span: Place | None = None) -> Run:
    """Makes the new run beside the old one, its worker not started yet.

    Prompts, and what the base model said and how it was scored, are taken over: none of it depends on the dataset.
    Raises UserError for a name or label that can't be, and where nothing can be written.
    """
    from itaudit.recipe import check_recipe

    parent = plan.run
    for label in labels:
        if label not in plan.labels:
            raise UserError(f"{parent.name} tunes no model {label!r}; there are {', '.join(plan.labels)}", code=2)
    table = parent.recipe.model_dump()
    table["name"] = name or mended_name(parent.recipe.name)
    table["data"]["path"] = plan.data
    table["models"] = {label: model for label, model in table["models"].items() if label in labels}
    child = Run.create(parent.path.parent, check_recipe(table, "the re-tune"))
    try:
        shared = computed_with(parent)
        rows = tuple(change.index for change in plan.changes)
        write_lineage(child, Lineage(parent.path, (plan.before, plan.data), rows, span, shared))
        if parent.prompts_path.exists():
            for path in prompt_files(parent):
                _take_over(parent, child, path)
            if shared is not None:
                for path in base_tables(parent):
                    _take_over(parent, child, path)
    except OSError as error:
        raise UserError(f"{child.path}: can't write the new run: {error.strerror}; delete it and try again") from None
    return child


def drop_unless_same(run: Run, device: str, base: str) -> str:
    """Removes what a run took over from its parent where it would be computed otherwise now; says why, or nothing.

    `device` is the device in words and `base` the directory that the base model is loaded from.
    """
    lineage = lineage_of(run)
    if lineage is None or lineage.shared is None:
        return ""
    shared = lineage.shared
    if shared.device == device and shared.base == base:
        return ""
    for path in base_tables(run):
        path.unlink(missing_ok=True)
    write_lineage(run, Lineage(lineage.parent, lineage.data, lineage.edited, lineage.span))
    was, now = (shared.device, device) if shared.device != device else (shared.base, base)
    return f"the base model answers anew: {lineage.parent.name} was computed with {was}, and this run with {now}"


def computed_with(parent: Run) -> Shared | None:
    """What a run's base answers were computed with; None where they can't be taken for what would come now."""
    base, device = parent.base(), parent.state().device
    responses = parent.table("responses", BASE)
    if not (base and device and responses.closed):
        return None
    answered = responses.whole.stat().st_mtime
    files = [file for file in Path(str(base["path"])).glob("*") if file.is_file()]
    # Weights that somebody wrote since would answer otherwise.
    if not files or any(file.stat().st_mtime > answered for file in files):
        return None
    return Shared(device, str(base["path"]))


def prompt_files(run: Run) -> tuple[Path, ...]:
    """The files that hold the prompts and what they were made from; a run has its prompts once the last is there."""
    return (run.transforms_path, run.prompts_dataset_path, run.output_spaces_path, run.prompts_path)


def base_tables(run: Run) -> list[Path]:
    """The files that hold what the base model said, and what its tokens read as."""
    tables = [run.table(kind, BASE) for kind in ("responses", "scores")]
    return [run.vocabulary_path, *(table.whole for table in tables if table.closed)]


def _take_over(parent: Run, child: Run, path: Path) -> None:
    if path.exists():
        target = child.path / path.relative_to(parent.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, atomic.replacing(target) as file:
            shutil.copyfileobj(source, file)


def changes_of(run: Run, lineage: Lineage) -> tuple[Change, ...]:
    """The edits that tell a re-tune from its parent; reads the dataset, so that it may take a while.

    Raises UserError where the dataset can't be read any more.
    """
    name, _ = split_version(lineage.data[1])
    rows = run.recipe.data
    edited = open_whole(f"{name}@{EDITED}", format=rows.format, split=rows.split or None).edited
    versions = [split_version(data)[1] for data in lineage.data]
    first, last = (edited.overlay.line_of(version) if version else 0 for version in versions)
    return tuple(change for _, change in changes_between(edited, first, last) if change.index in lineage.edited)
