"""Steps that choose instances by their Super-NaturalInstructions task: some tasks, or so many instances of each."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from itaudit.data.dataset import Dataset
from itaudit.errors import UserError
from itaudit.sanitize import visible
from itaudit.steps import ChooseTasks, PerTask
from itaudit.transforms.task_variants import Tasks

NAMES_SHOWN = 3


def of_each_task(dataset: Dataset, step: PerTask) -> tuple[Dataset, list[str]]:
    """At most `k` instances of every task after its first `skip`, and which tasks have fewer."""
    names = _names(dataset)
    seen: Counter[int] = Counter()
    chosen = []
    for position, record in enumerate(dataset.table.column("record").to_pylist()):
        if step.skip <= seen[record] < step.skip + step.k:
            chosen.append(position)
        seen[record] += 1
    if not chosen:
        largest = max(seen.values())
        raise UserError(f"skip={step.skip:,} leaves nothing: the largest task has {largest:,} instances", code=2)
    left = {names[record]: max(0, min(step.k, count - step.skip)) for record, count in seen.items()}
    fewer = [f"{visible(name)} ({count})" for name, count in left.items() if count < step.k]
    return dataset.select(chosen), [f"fewer than {step.k} instances: {', '.join(fewer)}"] if fewer else []


def of_tasks(dataset: Dataset, step: ChooseTasks, tasks: Tasks) -> tuple[Dataset, list[str]]:
    """The instances of the tasks that a step names, and how many tasks these are."""
    names = _names(dataset)
    notes = []
    wanted = set(names)
    if step.names or step.file:
        named = _called([part.strip() for part in step.names.split(",") if part.strip()], names, must="all")
        if step.file:
            listed = _read_names(Path(step.file))
            found = _called(listed, names, must="one")
            notes.append(f"{len(found):,} of the {len(listed):,} tasks that {visible(step.file)} names are here")
            named |= found
        wanted = named if step.keep == "named" else wanted - named
    if step.outputs != "any":
        wanted = {record for record in wanted if bool(tasks.space(record).labels) == (step.outputs == "labels")}
    chosen = [at for at, record in enumerate(dataset.table.column("record").to_pylist()) if record in wanted]
    if not chosen:
        raise UserError(f"none of the {len(names):,} tasks is left", code=2)
    return dataset.select(chosen), [f"{len(wanted):,} of {len(names):,} tasks", *notes]


def _names(dataset: Dataset) -> dict[int, str]:
    """The names of the tasks that have instances here, by record."""
    records = dict.fromkeys(dataset.table.column("record").to_pylist())
    if not dataset.tasks or not records.keys() <= dataset.tasks.keys():
        raise UserError(
            f"{visible(dataset.path)} is {dataset.format}; tasks are those of Super-NaturalInstructions task files",
            code=2,
        )
    return {record: dataset.tasks[record]["name"] for record in records}


def _called(wanted: Iterable[str], names: dict[int, str], *, must: str) -> set[int]:
    """The records of the tasks of these names, or numbers such as `task1393`; raises UserError for what is not here."""
    found: set[int] = set()
    missing = []
    by_name: dict[str, set[int]] = {}
    for record, name in names.items():
        for key in (name, name.partition("_")[0]):
            by_name.setdefault(key, set()).add(record)
    for name in wanted:
        if name in by_name:
            found |= by_name[name]
        else:
            missing.append(name)
    if missing and (must == "all" or not found):
        known = ", ".join(visible(name) for name in sorted(names.values())[:NAMES_SHOWN])
        more = f" and {len(missing) - 1:,} more of these names" if len(missing) > 1 else ""
        raise UserError(f"no task {visible(missing[0])!r}{more} here; the tasks are called {known} …", code=2)
    return found


def _read_names(path: Path) -> list[str]:
    where = visible(str(path))
    try:
        lines: list[Any] = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"{where}: cannot be read: {error.strerror or error}", code=2) from None
    except UnicodeDecodeError:
        raise UserError(f"{where}: is no text; expected the name of a task on each line", code=2) from None
    names = [line.strip().removesuffix(".json") for line in lines if line.strip()]
    if not names:
        raise UserError(f"{where}: names no task; expected the name of a task on each line", code=2)
    return names
