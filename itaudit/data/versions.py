"""Versions of a dataset by name: `FILE@edited`, `FILE@source`, `FILE@12` (after 12 entries of its log), `FILE@NAME`."""

from pathlib import Path

from itaudit.data.dataset import Dataset
from itaudit.data.edited import EditedDataset
from itaudit.data.load import is_hub_name, load
from itaudit.data.overlay import EDITED, SOURCE, Overlay
from itaudit.errors import UserError


def split_version(source: str) -> tuple[str, str]:
    """A dataset and its version, which is empty where none is named.

    What stands there under the whole name wins, since a file's own name may hold an @.
    """
    name, at, version = source.rpartition("@")
    if not at or _is_there(source) or not (_is_there(name) or is_hub_name(name)):
        return source, ""
    if not version:
        raise UserError(f"{source}: names no version after the @; use @{EDITED}, @{SOURCE}, @NUMBER or @NAME", code=2)
    return name, version


def _is_there(name: str) -> bool:
    return bool(name) and Path(name).expanduser().exists()


def load_version(
    source: str | Path, *, format: str = "auto", split: str | None = None, turn: int = -1, default: str = SOURCE
) -> Dataset:
    """The instances of a dataset at the version that its name asks for, or at `default`.

    Takes what `load` takes. Raises UserError, code 2, for a version that there is not.
    """
    name, version = split_version(str(source))
    wanted = version or default
    if wanted == SOURCE:
        return load(name, format=format, split=split, turn=turn)
    return open_edited(f"{name}@{wanted}", format=format, split=split, turn=turn).dataset()


def open_edited(source: str | Path, *, format: str = "auto", split: str | None = None, turn: int = -1) -> EditedDataset:
    """A dataset with its edits; a past version can be read and exported, and not edited.

    Raises UserError as `load_version` does.
    """
    name, version = split_version(str(source))
    dataset = load(name, format=format, split=split, turn=turn)
    return EditedDataset(dataset, overlay_of(dataset.path, version))


def overlay_of(path: str, version: str = "") -> Overlay:
    """The overlay of a dataset (its absolute path, or hub name) at a version. Raises UserError, code 2."""
    overlay = Overlay.of(path)
    if version in ("", EDITED):
        return overlay
    return Overlay.of(path, until=overlay.line_of(version))
