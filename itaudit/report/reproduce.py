"""How to get the same again: commands, recipes, versions, devices and what was read, with its hashes."""

import hashlib
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from itaudit.analysis.table import Column, Table, Value
from itaudit.errors import UserError
from itaudit.report.subjects import Subject
from itaudit.runs.cells import Cell, runs_of
from itaudit.runs.left_out import checked
from itaudit.runs.run import Run

PACKAGES = (
    "itaudit", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "numpy", "scipy", "pyarrow"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reproduction:
    """`commands` in their order, `recipes` as (file name, TOML), and tables of facts and of files."""

    commands: tuple[str, ...]
    recipes: tuple[tuple[str, str], ...]
    facts: Table
    files: Table


def check(cell: Cell) -> None:
    """Raises UserError where what a run was made of, and on, can't be read."""
    cell.run.base()
    cell.run.state()
    cell.run.prompts()
    if cell.run.dataset_path.exists():
        _ = cell.run.dataset


def reproduction(subjects: Sequence[Subject]) -> Reproduction:
    """How to repeat what the report tells, as far as it can be read.

    Raises UserError for the recipe of an experiment that can't be read.
    """
    recipes, commands = [], []
    for subject in subjects:
        for path in _recipe_paths(subject):
            name = f"{path.parent.name}.toml"
            recipes.append((name, _text(path)))
            commands.append(f"itaudit run {shlex.quote(name)} --name {shlex.quote(path.parent.name)}")
    names = [path.name for subject in subjects for path in subject.paths]
    commands.append(f"itaudit report {' '.join(map(shlex.quote, names))}")
    runs = runs_of(checked((cell for subject in subjects for cell in subject.cells), check))
    return Reproduction(tuple(commands), tuple(recipes), _facts(runs), _files(subjects, runs))


def _recipe_paths(subject: Subject) -> list[Path]:
    if subject.experiment is not None:
        return [subject.experiment.spec_path]
    return [run.recipe_path for run in subject.runs]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't read the recipe: {error}") from None


def _facts(runs: Sequence[Run]) -> Table:
    bases = dict.fromkeys(_base(run) for run in runs)
    devices = dict.fromkeys(device for run in runs if (device := run.state().device))
    dates = sorted(state.started for run in runs if (state := run.state()).started)
    rows: list[dict[str, Value]] = [{"fact": "base model", "value": base} for base in bases]
    rows += [{"fact": "device of the runs", "value": device} for device in devices]
    if dates:
        last = max(run.state().updated for run in runs)
        rows.append({"fact": "runs carried out", "value": f"{_time(dates[0])} to {_time(last)}"})
    rows += [{"fact": name, "value": found} for name in PACKAGES if (found := _version(name))]
    rows.append({"fact": "Python", "value": f"{platform.python_version()}, {platform.system()} {platform.machine()}"})
    columns = (Column("fact", "what", "text"), Column("value", "value", "text"))
    note = "Versions are those that were installed when this report was written."
    return Table("facts", "Versions and device", columns, tuple(rows), note)


def _base(run: Run) -> str:
    asked = run.recipe.base
    name = str(run.base().get("name") or asked.model)
    revision = "" if Path(asked.model).exists() or asked.model == "embedded" else f", revision {asked.revision}"
    return f"{name}{revision}, dtype {asked.dtype}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _files(subjects: Sequence[Subject], runs: Sequence[Run]) -> Table:
    rows: dict[tuple[str, str], dict[str, Value]] = {}
    for subject in subjects:
        for path in _recipe_paths(subject):
            rows["recipe", str(path)] = {"what": "recipe", "path": str(path), "sha256": _sha256(path)}
    row: dict[str, Value]
    for run in runs:
        if run.dataset_path.exists():
            data = run.dataset
            row = {"what": "dataset", "path": data.path, "format": data.format, "sha256": data.sha256}
            rows["dataset", f"{data.path} {data.sha256}"] = row
        if run.prompts_path.exists():
            row = {"what": "prompts", "path": run.recipe.prompts.path, "rows": len(run.prompts())}
            # What was asked is hashed as it was asked: a file may hold more than a run takes of it.
            asked = hashlib.sha256("\0".join(prompt.prompt for prompt in run.prompts()).encode(errors="surrogatepass"))
            rows["prompts", asked.hexdigest()] = {**row, "sha256": asked.hexdigest()}
    columns = (
        Column("what", "what", "text"),
        Column("path", "path", "text"),
        Column("format", "format", "text"),
        Column("rows", "prompts", "count"),
        Column("sha256", "SHA-256", "text"),
    )
    note = "The hash of a dataset is of its source; that of prompts is of their texts, joined by NUL."
    return Table("files", "What was read", columns, tuple(rows.values()), note)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
