"""A dataset with its edits written for others to use: the data, and a card that says what was done to it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from itaudit.data import formats as known
from itaudit.data.card import Facts, card_text
from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset, EditedRow
from itaudit.data.formats.base import Format
from itaudit.data.provenance import with_provenance
from itaudit.data.splits import share_out
from itaudit.data.write import check_fit, check_place, write_splits
from itaudit.errors import UserError

Transform = Callable[[Dataset], tuple[Dataset, Sequence[Mapping[str, Any]]]]
"""Makes another dataset of one; returns also what each step did: {step, before, after, notes}."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is exported, and how.

    `format` is the source's unless named. `positions` (of the edited dataset, in the order to write; deleted ones
    are left out) are what `filter`, as the user typed it, selected; `only_edited` leaves those whose text changed.
    `transform` comes after both. `splits` maps names to shares of 1. `push` is a hub name; the hub's own
    tools find the token (HF_TOKEN). `date` goes into the card; now, in UTC, where it is None.
    """

    format: str = ""
    positions: Sequence[int] | None = None
    filter: str = ""
    only_edited: bool = False
    transform: Transform | None = None
    provenance: bool = False
    splits: Mapping[str, float] | None = None
    seed: int = 0
    push: str = ""
    private: bool = False
    overwrite: bool = False
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: `files` (the folder, or the files with the card last) and `pushed`, the hub's address.

    `instances` counts what was written, `splits` by split; `changed` and `deleted` are instances whose text the edits
    changed, or that they left out, `engines` how many of the changed ones each engine (or hand) worked on,
    `conflicts` edits that were not applied, `rejected` rows of the source that can't be used.
    """

    files: tuple[str, ...]
    pushed: str
    format: str
    instances: int
    splits: Mapping[str, int]
    changed: int
    deleted: int
    engines: Mapping[str, int]
    conflicts: int
    rejected: int
    steps: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return asdict(self)


def export(edited: EditedDataset, out: Path | None, options: ExportOptions | None = None) -> ExportReport:
    """Writes a dataset as its edits leave it, with a card; to `out` (see `data.write`), to the hub, or to both.

    All of it is put into place once it is whole, and nothing where it fails; the source is never written. Raises
    UserError where nothing is left to write, where an accepted edit would be lost, and what `write` raises.
    """
    options = options or ExportOptions()
    source = edited.source
    if not source.sha256:
        raise UserError("the dataset is still being read; export it once all rows are there")
    target = known.named(options.format or source.format)
    if out is None and not options.push:
        raise UserError("nowhere to write; name a file or folder with --out, or a hub name with --push", code=2)
    if out is not None:
        check_place(source.path, options.splits or {"": 1.0}, out, overwrite=options.overwrite, card=True)
    dataset, rows, steps = _made(edited, options, target)
    check_fit(dataset, target)
    splits = _split(dataset, options)
    facts = Facts(
        edited=edited,
        changed=[row for row in rows.values() if row.changed],
        deleted=_deleted(edited, options.positions),
        format=target.name,
        out=out.name if out else "",
        filter=options.filter,
        only_edited=options.only_edited,
        steps=steps,
        provenance=options.provenance,
        splits={name: len(part) for name, part in splits.items()},
        shares=options.splits or {},
        seed=options.seed,
        date=options.date or datetime.now(UTC),
    )
    card = card_text(facts)
    written: list[Path] = []
    if out is not None:
        written = write_splits(splits, out, format=target.name, overwrite=options.overwrite, card=card)
    pushed = ""
    if options.push:
        pushed = _push(splits, target.name, card, options, written)
    return ExportReport(
        files=tuple(str(path) for path in written),
        pushed=pushed,
        format=target.name,
        instances=len(dataset),
        splits=facts.splits if options.splits else {},
        changed=len(facts.changed),
        deleted=facts.deleted,
        engines=facts.engines(),
        conflicts=len(edited.conflicts()),
        rejected=len(source.rejected),
        steps=tuple(steps),
    )


def _made(
    edited: EditedDataset, options: ExportOptions, target: Format
) -> tuple[Dataset, dict[int, EditedRow], Sequence[Mapping[str, Any]]]:
    """The instances to write, which of them have edits, and what the steps of the transform did."""
    rows = _exported_rows(edited, options)
    if not target.has_response:
        _check_answers(rows.values())
    dataset = _chosen(edited, options)
    if options.provenance:
        dataset = with_provenance(dataset, {row.source.id: row for row in rows.values()}, target.name)
    steps: Sequence[Mapping[str, Any]] = ()
    if options.transform is not None:
        dataset, steps = options.transform(dataset)
        left = set(dataset.table.column("id").to_pylist())
        rows = {position: row for position, row in rows.items() if row.source.id in left}
    if not len(dataset):
        raise UserError("no instance is left to export; widen the filter")
    return dataset, rows, steps


def _exported_rows(edited: EditedDataset, options: ExportOptions) -> dict[int, EditedRow]:
    """The rows with edits that are part of the export, by position."""
    chosen = None if options.positions is None else set(options.positions)
    return {
        position: row
        for position, row in edited.edited_positions().items()
        if not row.deleted and (chosen is None or position in chosen) and (row.changed or not options.only_edited)
    }


def _chosen(edited: EditedDataset, options: ExportOptions) -> Dataset:
    """The edited instances that are to be written, in order."""
    whole = edited.dataset()
    if options.positions is None and not options.only_edited:
        return whole
    rows = edited.edited_positions()
    wanted = range(len(edited)) if options.positions is None else options.positions
    if options.only_edited:
        wanted = [position for position in wanted if position in rows and rows[position].changed]
    dropped = [position for position, row in rows.items() if row.deleted]
    return whole.select(_places(wanted, dropped))


def _places(positions: Sequence[int], dropped: Collection[int]) -> list[int]:
    """Where positions stand once the dropped ones are gone."""
    import numpy as np

    kept = np.array(positions, np.int64)
    gone = np.array(sorted(dropped), np.int64)
    kept = kept[~np.isin(kept, gone)]
    places: list[int] = (kept - np.searchsorted(gone, kept)).tolist()
    return places


def _deleted(edited: EditedDataset, positions: Sequence[int] | None) -> int:
    chosen = None if positions is None else set(positions)
    rows = edited.edited_positions().items()
    return sum(row.deleted and (chosen is None or position in chosen) for position, row in rows)


def _check_answers(rows: Collection[EditedRow]) -> None:
    """Raises UserError where a format without responses would lose one that an edit brought."""
    for row in rows:
        if row.source.response is None and row.instance.response is not None:
            raise UserError(
                f"row {row.source.index}: was given a response, which prompts cannot hold; name another format"
            )


def _split(dataset: Dataset, options: ExportOptions) -> dict[str, Dataset]:
    if not options.splits:
        return {"": dataset}
    ids = dataset.table.column("id").to_pylist()
    return {name: dataset.select(p) for name, p in share_out(ids, options.splits, options.seed).items()}


def _push(splits: Mapping[str, Dataset], format: str, card: str, options: ExportOptions, written: list[Path]) -> str:
    from itaudit.data import containers, hub

    target = known.named(format)
    tables = {name: containers.table(dataset, target) for name, dataset in splits.items()}
    try:
        return hub.push(tables, options.push, card=card, private=options.private, overwrite=options.overwrite)
    except UserError as error:
        kept = f"; what was written to {written[0]} stays" if written else ""
        raise UserError(f"{error}{kept}", code=error.code) from error
