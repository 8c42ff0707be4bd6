"""A dataset that is shown while it is still read: parsed by a process of its own, mapped from the cache.

Nothing heavy is imported until rows are there, so that the reading process starts before everything else.
"""

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itaudit.data.cache_files import Whole, find_whole, key_of, part_names
from itaudit.data.child import Child
from itaudit.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from itaudit.data.dataset import Dataset


class Cached:
    """The rows of a source that are there so far, and a loader at work where they are not all there.

    `dataset` and `measures` (see `itaudit.data.measures`) are None until the first rows came, then grow with
    `poll`; the rows of both correspond, and those that were there stay. `complete` tells that all are there;
    before, the dataset has no `sha256`. `problem` is one line if no more will come, `warning` one line if all
    is well but for the cache.
    """

    def __init__(self, source: str, options: dict[str, Any]) -> None:
        self.source = source
        self.dataset: Dataset | None = None
        self.measures: pa.Table | None = None
        self.complete = False
        self.problem = ""
        self.warning = ""
        self.share: float | None = None
        """How much of the source was read, 0 to 1, where that is known."""
        self.folder: Path | None = None
        """Where the finished copy stands, once there is one."""
        self._options = options
        self._whole: Whole | None = None
        self._loader: Child | None = None
        self._gone: Path | None = None
        """Where a part that the loader told of is no more."""
        self._parts: list[Dataset] = []
        self._measured: list[pa.Table] = []
        self._reader: threading.Thread | None = None
        self._here: tuple[Dataset, pa.Table] | UserError | None = None

    @classmethod
    def open(cls, source: str | Path, *, format: str = "auto", split: str | None = None, turn: int = -1) -> "Cached":
        """Takes what `itaudit.data.load.load` takes and returns at once; starts a loader if there is no copy.

        What is wrong with the source shows in `problem` after a `poll`.
        """
        cached = cls(str(source), {"format": format, "split": split, "turn": turn})
        # If it can't be looked at, the loader says why.
        with contextlib.suppress(OSError):
            cached._whole = find_whole(key_of(cached.source, **cached._options))
        if cached._whole is None:
            cached._start()
        return cached

    @classmethod
    def of(cls, dataset: "Dataset") -> "Cached":
        """A dataset that is in memory already, measured now."""
        from itaudit.data.measures import measured

        cached = cls(dataset.path, {})
        cached.dataset, cached.measures, cached.complete, cached.share = dataset, measured(dataset), True, 1.0
        return cached

    def poll(self) -> bool:
        """Takes in what came since; whether anything did, be it rows, the end, a problem or a warning."""
        if self.complete or self.problem:
            return False
        from itaudit.data.lean import spare_pandas

        spare_pandas()
        if self._whole is not None:
            return self._map_whole(self._whole)
        if self._reader is not None:
            return self._take_read()
        return self._take(self._loader) if self._loader is not None else False

    def wait(self, seconds: float | None = None) -> bool:
        """As `poll`, but waits for something to come, `seconds` at most."""
        if self._loader is not None:
            self._loader.wait(seconds)
        elif self._reader is not None:
            self._reader.join(seconds)
        return self.poll()

    def whole(self, progress: "Callable[[Cached], None] | None" = None) -> "tuple[Dataset, pa.Table]":
        """Waits for all rows and returns the dataset and its measures. Raises UserError where they can't come."""
        while not self.complete:
            self.wait(1.0)
            if self.problem:
                raise UserError(self.problem)
            if progress is not None:
                progress(self)
        assert self.dataset is not None and self.measures is not None
        return self.dataset, self.measures

    def close(self) -> None:
        """Ends the loader if it still works; what was mapped stays."""
        if self._loader is not None:
            self._loader.close()
            self._loader = None

    def _start(self) -> None:
        arguments = [self.source, "--format", self._options["format"], "--turn", str(self._options["turn"])]
        if self._options["split"] is not None:
            arguments += ["--split", self._options["split"]]
        self._loader = Child("itaudit.data.loader", arguments)

    def _take(self, loader: Child) -> bool:
        messages = loader.messages()
        sha256 = ""
        unwritable = [message["unwritable"] for message in messages if "unwritable" in message]
        if unwritable:
            # The loader took what it had written away with it, lest the disk stays full.
            self.warning = f"{unwritable[0]}; the dataset is read without it"
            self._read_here()
            return True
        for message in messages:
            if "part" in message:
                if self._gone is None and not self._map_part(Path(message["folder"]), message["part"]):
                    self._gone = Path(message["folder"]).parent
                    continue
                done = message["done"]
                self.share = done[0] / done[1] if done and done[1] else None
            elif "whole" in message:
                sha256, self.folder = message["sha256"], Path(message["whole"])
            else:
                self.problem = message["problem"]
        if self._gone is not None:
            # A loader that can't write takes away what it wrote before it says so.
            if loader.ended:
                self.problem = f"{self.source}: its copy in {self._gone} was removed; open it again"
                self.close()
            return loader.ended
        if sha256:
            self._finish(sha256)
            # It still tidies the cache up, and nobody polls any more.
            self._loader = None
            threading.Thread(target=loader.outlive, daemon=True, name="itaudit-loader").start()
            return True
        if messages:
            self._join("")
        if not loader.ended:
            return bool(messages)
        if not self.problem:
            how = loader.last_words()
            self.problem = f"{self.source}: the reading process {how}; open it again, or try `itaudit data check`"
        self.close()
        return True

    def _map_part(self, folder: Path, number: int) -> bool:
        """Maps a part from the folder it was written to, or where that was moved to; false if it is gone."""
        final = folder.with_name(folder.name.partition(".")[0])
        for place in (folder, final):
            try:
                self._map(place, number)
            except (UserError, OSError):
                continue
            return True
        return False

    def _map(self, folder: Path, number: int) -> None:
        import pyarrow as pa

        from itaudit.data.dataset import Dataset

        part, measures = part_names(number)
        dataset = Dataset.open(folder / part)
        with pa.memory_map(str(folder / measures)) as source:
            table = pa.ipc.open_file(source).read_all()
        self._parts.append(dataset)
        self._measured.append(table)

    def _map_whole(self, whole: Whole) -> bool:
        try:
            for number in range(whole.parts):
                self._map(whole.folder, number)
        except (UserError, OSError):
            # Removed or damaged since: it is made anew.
            self._parts, self._measured, self._whole = [], [], None
            self._start()
            return False
        self.folder = whole.folder
        self._finish(whole.sha256)
        return True

    def _join(self, sha256: str) -> None:
        from itaudit.data.dataset import joined
        from itaudit.data.measures import joined_measures

        if self._parts:
            self.dataset = joined(self._parts, sha256=sha256)
            self.measures = joined_measures(self._measured)

    def _finish(self, sha256: str) -> None:
        self._join(sha256)
        self.complete, self.share = True, 1.0

    def _read_here(self) -> None:
        """Reads the source in this process, where no other can leave it anything."""
        self.close()

        def read() -> None:
            from itaudit.data.load import load
            from itaudit.data.measures import measured

            try:
                dataset = load(self.source, **self._options)
                self._here = dataset, measured(dataset)
            except UserError as error:
                self._here = error

        self._reader = threading.Thread(target=read, daemon=True, name="itaudit-load")
        self._reader.start()

    def _take_read(self) -> bool:
        if isinstance(self._here, UserError):
            self.problem = str(self._here)
        elif self._here is not None:
            self.dataset, self.measures = self._here
            self.complete, self.share = True, 1.0
        return self._here is not None
