"""A dataset written as a file or folder, in any format that can hold it."""

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from itaudit import paths
from itaudit.atomic import replacing
from itaudit.data import containers
from itaudit.data import formats as known
from itaudit.data.dataset import Dataset
from itaudit.data.formats.base import Format, RowError
from itaudit.data.sources import shown
from itaudit.errors import UserError

CARD = "README.md"
"""The name of a dataset card inside a folder, which the Hub shows."""


def formats() -> tuple[str, ...]:
    """The names of the formats that `write` and `load` know."""
    return known.names()


def write(dataset: Dataset, out: Path, *, format: str, overwrite: bool = False) -> None:
    """Writes the instances to `out`, whose suffix is the container: .json, .jsonl, .csv or .parquet.

    Without a suffix `out` is a folder: a `datasets` directory, or task files for `superni`. What stands
    there stays unless `overwrite` is set, and until the new file is whole. Raises UserError where the format
    cannot hold what an instance says (earlier turns, no response, a column named like a field), where a value
    has no place in the container, and where `out` cannot be written.
    """
    write_splits({"": dataset}, out, format=format, overwrite=overwrite)


def write_splits(
    splits: Mapping[str, Dataset], out: Path, *, format: str, overwrite: bool = False, card: str = ""
) -> list[Path]:
    """As `write`, for one dataset under the name "" or several by name; returns what was written, the card last.

    Named splits of a file get files of their own, `NAME.SPLIT.SUFFIX`; those of a folder stand in it. A `card`
    is the README of a folder, and `NAME.card.md` beside a file. Either all of it is put into place, or nothing.
    """
    target = known.named(format)
    check_place(next(iter(splits.values())).path, splits, out, overwrite=overwrite, card=bool(card))
    for dataset in splits.values():
        check_fit(dataset, target)
    try:
        if out.suffix == "":
            _write_folder(splits, out, target, card)
            return [out]
        files = _files(out, splits)
        with ExitStack() as stack:
            for name, dataset in splits.items():
                containers.WRITERS[out.suffix.lower()](dataset, target, stack.enter_context(replacing(files[name])))
            if card:
                stack.enter_context(replacing(_card_path(out))).write(card.encode())
        return [*files.values(), *([_card_path(out)] if card else [])]
    except RowError as error:
        raise UserError(f"{shown(out)}: cannot be written as {format}: {error}") from error
    except OSError as error:
        raise UserError(f"{shown(out)}: cannot be written: {error.strerror or error}") from error


def check_place(source: str, splits: Mapping[str, object], out: Path, *, overwrite: bool, card: bool = False) -> None:
    """Raises UserError where `write_splits` may not put something, so that it is known before the work is done."""
    suffix = out.suffix.lower()
    if suffix and suffix not in containers.WRITERS:
        wanted = "use .json, .jsonl, .csv, .parquet or a folder"
        raise UserError(f"{shown(out)}: no container ends in {suffix!r}; {wanted}", code=2)
    parent = out.absolute().parent
    if not parent.is_dir():
        raise UserError(f"{shown(out)}: there is no folder {shown(parent)}; make it first")
    origin = Path(source).resolve()
    places = [out] if suffix == "" else [*_files(out, splits).values(), *([_card_path(out)] if card else [])]
    for place in places:
        real = place.resolve()
        if origin.exists() and (real == origin or real in origin.parents or origin in real.parents):
            what = "is the source itself" if real == origin else "holds the source or is a part of it"
            raise UserError(f"{shown(place)}: {what}, which is never written; choose another name")
        if _in_workshop(real):
            # `edits.jsonl` looks like any other JSON lines to --force, and a log that is gone is work that is gone.
            raise UserError(f"{shown(place)}: is in a workshop, which holds edits; choose another folder")
        if not place.exists():
            continue
        if not overwrite:
            raise UserError(f"{shown(place)}: exists already; choose another name, or overwrite it with --force")
        if place.is_dir() != (suffix == "") or (place.is_dir() and not _is_ours(place)):
            raise UserError(f"{shown(place)}: stands there and is no dataset to overwrite; choose another name")


def _files(out: Path, splits: Mapping[str, object]) -> dict[str, Path]:
    return {name: out.with_name(f"{out.stem}.{name}{out.suffix}") if name else out for name in splits}


def _in_workshop(real: Path) -> bool:
    """Whether a resolved path is in a folder that keeps edits, of whatever dataset."""
    kept = (paths.state_dir() / "workshops").resolve()
    return real == kept or kept in real.parents or any(one.name.endswith(".workshop") for one in real.parents)


def _card_path(out: Path) -> Path:
    return out.with_name(f"{out.name}.card.md")


def _is_ours(folder: Path) -> bool:
    """Whether a folder is nothing but a dataset that this module could have written."""
    entries = [entry for entry in folder.iterdir() if entry.name != CARD]
    if (folder / "dataset_dict.json").exists():
        return all(entry.name == "dataset_dict.json" or (entry.is_dir() and _is_saved(entry)) for entry in entries)
    if entries and all(entry.is_dir() for entry in entries):
        # Splits of task files, which come with a card; without one it may be anybody's folder of folders.
        return (folder / CARD).exists() and all(_is_tasks(list(entry.iterdir())) for entry in entries)
    return _is_saved(folder) or _is_tasks(entries)


def _is_saved(folder: Path) -> bool:
    known = all(entry.suffix in (".json", ".arrow") or entry.name == CARD for entry in folder.iterdir())
    return known and (folder / "state.json").exists()


def _is_tasks(entries: list[Path]) -> bool:
    return all(entry.suffix == ".json" and entry.is_file() for entry in entries)


def check_fit(dataset: Dataset, target: Format) -> None:
    """Raises UserError where a format can't hold what an instance says."""

    def first(condition: pa.ChunkedArray) -> int | None:
        position = pc.index(condition, True).as_py()
        return None if position < 0 else int(dataset.table.column("index")[position].as_py())

    table = dataset.table
    if not target.multi_turn:
        turns = pc.or_(pc.is_valid(table.column("history")), pc.is_valid(table.column("later")))
        row = first(turns)
        if row is not None:
            raise UserError(
                f"row {row} has more than one turn or a system message, which {target.name} cannot hold;"
                " use messages, sharegpt or prompt-completion"
            )
    if target.has_response:
        row = first(pc.is_null(table.column("response")))
        if row is not None:
            raise UserError(f"row {row} has no response, which {target.name} needs; use prompts")


def _write_folder(splits: Mapping[str, Dataset], out: Path, target: Format, card: str) -> None:
    with _replacing_folder(out) as made:
        if target.name == "superni":
            for name, dataset in splits.items():
                folder = made / name
                folder.mkdir(exist_ok=True)
                _task_files(dataset, target, folder)
        else:
            from itaudit.data import hub

            hub.save({name: containers.table(dataset, target) for name, dataset in splits.items()}, made)
        if card:
            (made / CARD).write_text(card, encoding="utf-8")


@contextmanager
def _replacing_folder(out: Path) -> Iterator[Path]:
    """An empty folder beside `out` that takes its place once it is whole; on an error nothing changes."""
    made, old = (out.absolute().parent / f".{out.name}.{uuid4().hex}" for _ in range(2))
    made.mkdir()
    try:
        yield made
        if out.exists():
            out.replace(old)
        try:
            made.replace(out)
        except BaseException:
            if old.exists():
                old.replace(out)
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _task_files(dataset: Dataset, target: Format, folder: Path) -> None:
    for number, task in enumerate(target.emit(dataset)):
        name = re.sub(r"[/\0]", "_", str(task.get("name", f"task{number}"))).lstrip(".")
        path = folder / f"{name}.json"
        if not name or path.exists():
            path = folder / f"{name}-{number}.json"
        path.write_bytes(containers.task_file(task))
