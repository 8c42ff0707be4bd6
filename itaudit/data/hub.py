"""Datasets by hub name or in folders that the `datasets` library reads; the only module that imports it."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from itaudit.data.sources import BATCH, ArrowSource
from itaudit.errors import UserError
from itaudit.sanitize import visible

if TYPE_CHECKING:
    import datasets


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the library's progress bars and retry notices off the terminal, which may belong to a screen."""
    import datasets
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    bars, hub_bars = datasets.are_progress_bars_disabled(), are_progress_bars_disabled()
    datasets.disable_progress_bars()
    disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if not bars:
            datasets.enable_progress_bars()
        if not hub_bars:
            enable_progress_bars()


def is_saved(source: str | Path) -> bool:
    """Whether `source` is a folder that `save_to_disk` wrote."""
    return any((Path(source) / name).exists() for name in ("state.json", "dataset_dict.json"))


def load_split(source: str | Path, split: str | None) -> "datasets.Dataset":
    """One split of a hub dataset, a saved `datasets` directory or a folder of data files.

    Without `split` it is the only one, or `train`. Raises UserError, naming the source and what to do.
    """
    import datasets
    from datasets.exceptions import DatasetsError

    shown = visible(str(source))
    read = datasets.load_from_disk if is_saved(source) else datasets.load_dataset
    loaded: Any
    try:
        with _quiet():
            loaded = read(str(source))
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, DatasetsError) as error:
        first = visible((str(error).splitlines() or [type(error).__name__])[0][:200])
        if isinstance(source, Path):
            message = f"cannot be loaded ({first}); write the folder again, or load one of its files"
        else:
            message = (
                f"no such file, and the hub gave no dataset ({first});"
                " check the name and the connection (HF_TOKEN for a private dataset), or download it"
            )
        raise UserError(f"{shown}: {message}") from error
    if isinstance(loaded, datasets.Dataset):
        if split is not None and str(loaded.split) != split:
            raise UserError(f"{shown}: is a single split ({loaded.split}); leave --split out", code=2)
        return loaded
    names = list(loaded)
    chosen = split or (names[0] if len(names) == 1 else "train")
    if chosen not in loaded:
        asked = f"no split {split!r}" if split else "several splits"
        raise UserError(f"{shown}: {asked}; name one with --split: {', '.join(map(visible, names))}", code=2)
    return loaded[chosen]


def source(dataset: "datasets.Dataset") -> ArrowSource:
    """The rows of a loaded dataset."""
    arrow = dataset.with_format("arrow")
    return ArrowSource(dataset.data.schema, arrow.iter(batch_size=BATCH))


def sha256(dataset: "datasets.Dataset") -> str:
    """The SHA-256 of the rows in Arrow's own stream form, in batches of a fixed size and without metadata."""

    class Sink:
        closed = False

        def __init__(self) -> None:
            self.digest = hashlib.sha256()

        def write(self, data: Any) -> int:
            self.digest.update(data)
            return len(data)

        def flush(self) -> None:
            pass

        def close(self) -> None:
            self.closed = True

    sink = Sink()
    schema = dataset.data.schema.remove_metadata()
    with pa.ipc.new_stream(sink, schema) as writer:
        for table in dataset.with_format("arrow").iter(batch_size=BATCH):
            writer.write_table(table.replace_schema_metadata(None).combine_chunks())
    return sink.digest.hexdigest()


def save(splits: Mapping[str, pa.Table], folder: Path) -> None:
    """Writes a table under the name "", or tables by the names of their splits, as a `datasets` directory."""
    saved = as_datasets(splits)
    with _quiet():
        saved.save_to_disk(str(folder))


def push(splits: Mapping[str, pa.Table], name: str, *, card: str, private: bool, overwrite: bool) -> str:
    """Uploads tables, as `save` takes them, and their card to the hub; returns the address of the dataset.

    The token is the one that the hub's own tools use (HF_TOKEN, or of a login). Raises UserError where the name is
    taken and `overwrite` is not set, and where the hub refuses or can't be reached.
    """
    from datasets.exceptions import DatasetsError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    shown = visible(name)
    # The base of all errors of the library's HTTP client, which differs from version to version.
    http_error: type[Exception] = HfHubHTTPError.__bases__[0]
    # The library meets an answer that is not the hub's, such as a proxy's, with a KeyError or worse.
    strange = (LookupError, AttributeError, TypeError)
    refusals = (OSError, ValueError, RuntimeError, DatasetsError, http_error, pa.ArrowException, *strange)
    try:
        with _quiet():
            api = HfApi(library_name="itaudit")
            url = api.create_repo(name, repo_type="dataset", private=private, exist_ok=overwrite)
            # The library adds what it knows of the columns to a card that is there.
            api.upload_file(
                path_or_fileobj=card.encode(),
                path_in_repo="README.md",
                repo_id=url.repo_id,
                repo_type="dataset",
                commit_message="Add the dataset card",
            )
            as_datasets(splits).push_to_hub(url.repo_id, private=private)
            return str(url)
    except refusals as error:
        if isinstance(error, HfHubHTTPError) and error.response is not None and error.response.status_code == 409:
            raise UserError(f"{shown}: stands on the hub already; name another, or overwrite it with --force") from None
        first = visible((str(error).strip().splitlines() or [type(error).__name__])[0][:200])
        wanted = "check the name, the connection and HF_TOKEN, which has to allow writing"
        raise UserError(f"{shown}: the hub took no dataset ({first}); {wanted}") from error


def as_datasets(splits: Mapping[str, pa.Table]) -> "datasets.Dataset | datasets.DatasetDict":
    """Tables as the library's own types, all splits with the same columns where their types allow that."""
    import datasets

    if "" in splits:
        return datasets.Dataset(splits[""])
    tables = dict(splits)
    try:
        whole = pa.concat_tables(splits.values(), promote_options="permissive")
        done = 0
        for name, table in splits.items():
            tables[name] = whole.slice(done, len(table))
            done += len(table)
    except pa.ArrowException:
        # Each keeps its own columns: a folder can hold that, and the hub says what it misses.
        pass
    return datasets.DatasetDict(
        {name: datasets.Dataset(table, split=datasets.NamedSplit(name)) for name, table in tables.items()}
    )
