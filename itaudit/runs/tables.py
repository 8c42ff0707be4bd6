"""The Arrow tables of a run: their columns, and how they grow part by part without ever being half written.

A stage appends parts (`KIND/LABEL/000001.arrow`, each replaced into place whole) and closes the table by
merging them into `KIND/LABEL.arrow`, in the order of the prompts. Readers memory-map whichever of the two is there.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc

from itaudit import atomic
from itaudit.errors import UserError

_LOCK_POLL_SECONDS = 0.2

_INTS, _FLOATS = pa.list_(pa.int32()), pa.list_(pa.float32())

PROMPTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("reference", pa.string()),
        # The conversation up to and with the prompt: JSON, a list of {role, content}.
        pa.field("messages", pa.string(), nullable=False),
    ]
)

RESPONSES = pa.schema(
    [
        pa.field("order", pa.int32(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("response", pa.string(), nullable=False),
        # eos: ended by itself; cut_off: reached max_new_tokens; empty: ended at once; imported: from a file.
        pa.field("finish", pa.string(), nullable=False),
        # Token ids of the response, with the EOS token if there is one, and of what the model read before it.
        pa.field("ids", _INTS, nullable=False),
        pa.field("context_ids", _INTS, nullable=False),
        pa.field("context", pa.string(), nullable=False),
    ]
)

SCORES = pa.schema(
    [
        pa.field("order", pa.int32(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        # One value a position; starts and ends are half-open character offsets of the response.
        pa.field("ids", _INTS, nullable=False),
        pa.field("starts", _INTS, nullable=False),
        pa.field("ends", _INTS, nullable=False),
        pa.field("rank_base", _INTS, nullable=False),
        pa.field("logprob_base", _FLOATS, nullable=False),
        # Null where the tuned model can't be loaded.
        pa.field("logprob_tuned", _FLOATS),
        pa.field("kl", _FLOATS),
        pa.field("kl_reverse", _FLOATS),
        pa.field("kl_aligntds", _FLOATS),
        # k values a position, most likely first, positions one after the other.
        pa.field("top_base_ids", _INTS, nullable=False),
        pa.field("top_base_logprobs", _FLOATS, nullable=False),
        pa.field("top_tuned_ids", _INTS),
        pa.field("top_tuned_logprobs", _FLOATS),
        # Totals over the positions, for lists and summaries.
        pa.field("unshifted", pa.int32(), nullable=False),
        pa.field("marginal", pa.int32(), nullable=False),
        pa.field("shifted", pa.int32(), nullable=False),
        pa.field("kl_sum", pa.float64()),
    ]
)

_EVIDENCE = pa.struct([("field", pa.string()), ("start", pa.int32()), ("end", pa.int32()), ("text", pa.string())])
_SOURCE = pa.struct(
    [
        ("index", pa.int64()),
        ("score", pa.float64()),
        ("instruction", pa.string()),
        ("evidence", pa.list_(_EVIDENCE)),
        ("words", pa.list_(pa.struct([("word", pa.string()), ("score", pa.float64())]))),
    ]
)
_SPAN = pa.struct(
    [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
        ("kind", pa.string()),
        ("frequency", pa.int64()),
        ("sources", pa.list_(_SOURCE)),
    ]
)

TRACES = pa.schema(
    [
        pa.field("order", pa.int32(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("spans", pa.list_(_SPAN), nullable=False),
    ]
)

_CANDIDATE = pa.struct(
    [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
        # 0 to 1, higher is more suspect; what it measures is the detector's business.
        ("score", pa.float64()),
        ("reason", pa.string()),
    ]
)

DETECTIONS = pa.schema(
    [
        pa.field("order", pa.int32(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("candidates", pa.list_(_CANDIDATE), nullable=False),
        # Why the detector has nothing to say of a response; empty where it looked at it.
        pa.field("problem", pa.string(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        # Phrases that a model named and that do not stand in the response.
        pa.field("refused", pa.int32(), nullable=False),
    ]
)

SAMPLES = pa.schema(
    [
        pa.field("order", pa.int32(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        # Further answers of the same model, drawn at random, and how each ended: as `finish` of a response.
        pa.field("samples", pa.list_(pa.string()), nullable=False),
        pa.field("finishes", pa.list_(pa.string()), nullable=False),
    ]
)

_CAUSE_WORD = pa.struct(
    [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
        # 0-based base rank of the word's first token; -1 where no token covers it.
        ("rank", pa.int32()),
        ("in_prompt", pa.bool_()),
        # Instances whose responses hold the word.
        ("frequency", pa.int64()),
        # Which of the row's turns hold the word.
        ("turns", pa.list_(pa.int32())),
        # A bit a draw, packed: whether random instances, and whether another word, would have matched.
        ("by_instances", pa.binary()),
        ("by_words", pa.binary()),
    ]
)

CAUSES = pa.schema(
    [
        pa.field("order", pa.int32(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        # The instances most similar to the prompt, best first, and the turns of their responses.
        pa.field("similar", pa.list_(pa.struct([("index", pa.int64()), ("score", pa.float64())])), nullable=False),
        pa.field("turns", pa.list_(pa.struct([("index", pa.int64()), ("turn", pa.int32())])), nullable=False),
        # Instances in all, and draws a word.
        pa.field("instances", pa.int64(), nullable=False),
        pa.field("draws", pa.int32(), nullable=False),
        pa.field("words", pa.list_(_CAUSE_WORD), nullable=False),
    ]
)

VOCABULARY = pa.schema([pa.field("text", pa.string(), nullable=False)])

SCHEMAS = {"responses": RESPONSES, "scores": SCORES, "traces": TRACES, "causes": CAUSES, "samples": SAMPLES}


def write_table(table: pa.Table, path: Path) -> None:
    """Writes an Arrow IPC file, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


MADE_BY = "`itaudit resume`"
"""What makes a table of a run again that somebody took away."""


def map_table(path: Path, schema: pa.Schema, made_by: str = MADE_BY) -> pa.Table:
    """The memory-mapped table of an Arrow IPC file that has the columns of `schema`.

    Raises FileNotFoundError, and UserError for any other file, which says that `made_by` makes it anew.
    """
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: not an Arrow table: {error}; delete it, and {made_by} makes it anew") from None
    for field in schema:
        if field.name not in table.column_names or table.schema.field(field.name).type != field.type:
            raise UserError(
                f"{path}: has no column {field.name} of {field.type}; another itaudit wrote it: "
                f"delete it, and {made_by} makes it anew"
            )
    return table


class GrowingTable:
    """A table of one stage and model, keyed by prompt, that survives being interrupted at any moment."""

    def __init__(
        self, directory: Path, kind: str, label: str, *, schema: pa.Schema | None = None, made_by: str = MADE_BY
    ) -> None:
        self.schema = schema or SCHEMAS[kind]
        self.made_by = made_by
        self.whole = directory / kind / f"{label}.arrow"
        self.parts = directory / kind / label

    @property
    def closed(self) -> bool:
        return self.whole.exists()

    def version(self) -> tuple[bool, int]:
        """Changes whenever there is more to read."""
        parts = self._part_files()
        return self.closed, len(parts)

    def files(self) -> list[Path]:
        """The files that its rows stand in now."""
        # The parts first, as in `read`.
        parts = self._part_files()
        return [self.whole] if self.closed else parts

    @contextmanager
    def held(self, check: Callable[[], None]) -> Iterator[None]:
        """Waits until nobody else fills the table by this lock, since several would append the same rows twice.

        `check` is called while it waits, and may raise.
        """
        # Screens read tables, and need not load what fills them.
        from filelock import FileLock, Timeout

        self.whole.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.whole.with_suffix(".lock"))
        while not lock.is_locked:
            check()
            with suppress(Timeout):
                lock.acquire(timeout=_LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows as one part."""
        self.parts.mkdir(parents=True, exist_ok=True)
        files = self._part_files()
        number = int(files[-1].stem) + 1 if files else 1
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=self.schema)
        write_table(table, self.parts / f"{number:06d}.arrow")

    def extend(self, rows: Iterable[Mapping[str, Any]], part: int, progress: Callable[[int], None]) -> None:
        """Adds rows as they come, so many a part; `progress` is told how many there are after each full one.

        What stops the rows from coming loses no part that is written.
        """
        there, pending = len(self.read()), list[Mapping[str, Any]]()
        for row in rows:
            pending.append(row)
            if len(pending) == part:
                self.append(pending)
                there, pending = there + part, []
                progress(there)
        if pending:
            self.append(pending)

    def close(self) -> None:
        """Merges the parts into the whole table, sorted by the order of the prompts."""
        write_table(self.read().sort_by("order").combine_chunks(), self.whole)
        shutil.rmtree(self.parts, ignore_errors=True)

    def replace(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Closes the table with these rows, whatever was in it."""
        write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=self.schema).sort_by("order"), self.whole)
        shutil.rmtree(self.parts, ignore_errors=True)

    def clear(self) -> None:
        """Takes all rows away, so that the stage begins anew."""
        self.whole.unlink(missing_ok=True)
        shutil.rmtree(self.parts, ignore_errors=True)

    def read(self) -> pa.Table:
        """All rows so far; empty where there are none yet."""
        if self.closed:
            return map_table(self.whole, self.schema, self.made_by)
        try:
            parts = [map_table(part, self.schema, self.made_by) for part in self._part_files()]
        except FileNotFoundError:
            # The stage merged its parts between our listing and our reading.
            return self.read()
        if self.whole.exists():
            # It did so meanwhile, and some parts may have been gone when they were listed.
            return map_table(self.whole, self.schema, self.made_by)
        # `Schema.empty_table` would import pandas, which takes longer than all the rest of opening a run.
        return pa.concat_tables(parts) if parts else pa.Table.from_batches([], self.schema)

    def prompt_ids(self) -> set[str]:
        """The prompts that are done."""
        return set(self.read()["prompt_id"].to_pylist())

    def row(self, prompt_id: str) -> dict[str, Any] | None:
        """One prompt's row, or None."""
        table = self.read()
        # A search in Python: importing Arrow's compute functions costs ten times what it would save.
        try:
            position = table["prompt_id"].to_pylist().index(prompt_id)
        except ValueError:
            return None
        row: dict[str, Any] = table.slice(position, 1).to_pylist()[0]
        return row

    def _part_files(self) -> list[Path]:
        try:
            return sorted(self.parts.glob("[0-9]*.arrow")) if self.parts.is_dir() else []
        except FileNotFoundError:
            # The folder went between the two looks.
            return []
