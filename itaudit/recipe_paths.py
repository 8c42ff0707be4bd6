"""What a name in a recipe means: a path seen from the recipe's folder, or a name on the hub."""

from pathlib import Path

from itaudit.errors import UserError


def _looks_local(name: str) -> bool:
    """Whether a name means a path: hub names are `name` or `owner/name`, and nothing else."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or bool(Path(name).suffix in _FILE_SUFFIXES)


_FILE_SUFFIXES = {
    ".json",
    ".jsonl",
    ".ndjson",
    ".csv",
    ".parquet",
    ".arrow",
    ".gguf",
    ".jinja",
    ".txt",
    ".tsv",
}


def resolve_path(name: str, directory: Path, where: str) -> str:
    """An absolute path where `name` means a local one, seen from `directory`; a hub name stays as it is."""
    path = directory / Path(name).expanduser()
    if path.exists():
        return str(path.resolve())
    if _looks_local(name):
        raise UserError(f"{where}: {path} does not exist", code=2)
    return name


def resolve_dataset(name: str, directory: Path, where: str) -> str:
    """`resolve_path` for a dataset, whose path may end in a version of it, such as `@edited`."""
    file, at, version = name.rpartition("@")
    if not at or (directory / Path(name).expanduser()).exists():
        return resolve_path(name, directory, where)
    return f"{resolve_path(file, directory, where)}@{version}"
