"""From an instance as a run was tuned on it to the same instance in the dataset file, where it can be mended."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from itaudit.data.edited import EditedDataset
from itaudit.data.edits import content_hash
from itaudit.data.instance import Instance
from itaudit.data.versions import split_version
from itaudit.errors import UserError
from itaudit.runs.run import Run


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The dataset of a run: a path or hub name, which edits of it were tuned on, and how its file is read."""

    name: str
    version: str
    format: str
    split: str | None
    transforms: tuple[str, ...]

    @property
    def short(self) -> str:
        """The name without its folders."""
        return Path(self.name).name


@dataclass(frozen=True, slots=True)
class Found:
    """Where an instance stands in its file; None where it is gone. `remark` is one line, where there is one to say."""

    position: int | None
    remark: str = ""


def source_file(run: Run) -> SourceFile:
    """The dataset that a run was tuned on. Raises UserError where its file is gone."""
    rows = run.recipe.data
    name, version = split_version(rows.path)
    path = Path(name).expanduser()
    # Recipes hold absolute paths; anything else is a name on the hub.
    if path.is_absolute() and not path.exists():
        raise UserError(f"{name} is gone; enter shows the run's own copy of the source")
    return SourceFile(name, version, rows.format, rows.split or None, tuple(rows.transforms))


def find_instance(edited: EditedDataset, instance: Instance, source: SourceFile, *, whole: bool = True) -> Found | None:
    """Looks an instance of the run up in the file.

    None while the file is not read `whole`, and what was read of it does not hold the instance where it stood.
    """
    try:
        position: int | None = edited.source.position(instance.index)
    except KeyError:
        position = None
    wanted = content_hash(instance)
    if position is not None and edited.source[position].id == instance.id:
        if wanted == content_hash(edited[position]):
            return Found(position)
        if wanted in _past(edited, position):
            return Found(position, "Edited since this run was tuned; = shows how.")
        if source.transforms:
            steps = ", ".join(source.transforms)
            return Found(position, f"The run was tuned on what {steps} made of it; this is the file's own text.")
    if not whole:
        return None
    moved = _elsewhere(edited, instance)
    if moved is not None and moved != position:
        row = edited.source[moved].index
        return Found(moved, f"{source.short} changed since this run was tuned: row {instance.index} is now row {row}.")
    if position is not None and edited.source[position].id == instance.id:
        return Found(position, f"{source.short} changed since this run was tuned: this is what the row says now.")
    return Found(None, f"{source.short} no longer holds row {instance.index} of this run; enter shows the run's copy.")


def _past(edited: EditedDataset, position: int) -> set[str]:
    """The content hashes of an instance as its source has it and after each of its edits."""
    from itaudit.data.edited_rows import edited_row
    from itaudit.data.edits import Edit

    source = edited.source[position]
    hashes = {content_hash(source)}
    # Also of edits that were taken back since: the run may have been tuned on them.
    made = [entry for entry in edited.overlay.entries if isinstance(entry, Edit) and entry.id == source.id]
    for count in range(1, len(made) + 1):
        hashes.add(content_hash(edited_row(source, made[:count]).instance))
    return hashes


def _elsewhere(edited: EditedDataset, instance: Instance) -> int | None:
    """Where an instance stands now by its own id, or by what it says."""
    import pyarrow.compute as pc

    table = edited.source.table
    if edited.source.explicit_ids:
        hits = np.flatnonzero(pc.equal(table.column("id"), instance.id).to_numpy())
        return int(hits[0]) if len(hits) else None
    if not instance.response:
        return None
    hits = np.flatnonzero(pc.equal(table.column("response"), instance.response).fill_null(False).to_numpy())
    wanted = content_hash(instance)
    return next((int(hit) for hit in hits if content_hash(edited.source[int(hit)]) == wanted), None)
