"""`python -m itaudit.data.compute WHAT SOURCE`: duplicates or statistics of a dataset, found in a process of their own.

`Computing` starts it and hears from it. It says, one JSON object a line: {"reached": n, "of": n}, then {"result": …} or
{"problem": "one line"}. Results are kept beside the cached dataset, for as long as source and edits stay as they are.
"""

import argparse
import hashlib
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import orjson

from itaudit.data.child import Child, say
from itaudit.errors import UserError

if TYPE_CHECKING:
    from itaudit.data.duplicates import Duplicates
    from itaudit.data.statistics import Statistics

What = Literal["duplicates", "statistics"]
Result = TypeVar("Result", "Duplicates", "Statistics")


class Computing(Generic[Result]):
    """One computation at work: `share` (0 to 1) grows with `poll` until there is a `result` or a `problem`."""

    def __init__(self, what: What, arguments: Iterable[str]) -> None:
        self.share = 0.0
        self.result: Result | None = None
        self.problem = ""
        self._what = what
        self._child: Child | None = Child("itaudit.data.compute", [what, *arguments])

    def poll(self) -> bool:
        """Takes in what came since; whether anything did."""
        if self._child is None:
            return False
        messages = self._child.messages()
        for message in messages:
            if "result" in message:
                self.result, self.share = self._made(message["result"]), 1.0
            elif "problem" in message:
                self.problem = message["problem"]
            else:
                self.share = message["reached"] / max(1, message["of"])
        if not self._child.ended:
            return bool(messages)
        if self.result is None and not self.problem:
            self.problem = f"the process that looked for {self._what} {self._child.last_words()}; try again"
        self.close()
        return True

    def wait(self, seconds: float | None = None) -> bool:
        """As `poll`, but waits for something to come, `seconds` at most."""
        if self._child is not None:
            self._child.wait(seconds)
        return self.poll()

    def close(self) -> None:
        """Ends it if it still works."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _made(self, document: dict[str, Any]) -> Any:
        if self._what == "duplicates":
            from itaudit.data.duplicates import Duplicates

            return Duplicates.from_json(document)
        from itaudit.data.statistics import Statistics

        return Statistics.from_json(document)


def compute_duplicates(
    source: str, *, threshold: float, field: str = "instance", format: str = "auto", split: str | None = None
) -> "Computing[Duplicates]":
    """Starts looking for the duplicates of a dataset with its edits; see `itaudit.data.duplicates`."""
    return Computing("duplicates", [*_source(source, format, split), "--threshold", str(threshold), "--field", field])


def compute_statistics(
    source: str, *, filter: str = "", format: str = "auto", split: str | None = None
) -> "Computing[Statistics]":
    """Starts counting a dataset with its edits, or what a filter selects of it; see `itaudit.data.statistics`."""
    return Computing("statistics", [*_source(source, format, split), f"--filter={filter}"])


def _source(source: str, format: str, split: str | None) -> list[str]:
    return [source, "--format", format, *(["--split", split] if split else [])]


def main() -> int:
    parser = argparse.ArgumentParser(prog="itaudit.data.compute")
    parser.add_argument("what", choices=["duplicates", "statistics"])
    parser.add_argument("source")
    parser.add_argument("--format", default="auto")
    parser.add_argument("--split")
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--field", default="instance")
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    # Whoever started it and went away wants it to end, quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        say({"result": _result(options)})
    except UserError as error:
        say({"problem": str(error)})
        return 1
    return 0


def _result(options: argparse.Namespace) -> dict[str, Any]:
    from itaudit.data.opened import open_whole

    opened = open_whole(options.source, format=options.format, split=options.split)
    overlay = opened.edited.overlay
    # With what was read of the edits: one that is made from here on is not in the result.
    asked = (options.what, options.threshold, options.field, options.filter, overlay.until, overlay.count)
    kept = _kept_at(opened.folder, overlay.path, asked)
    if kept is not None and kept.exists():
        try:
            found: dict[str, Any] = orjson.loads(kept.read_bytes())
            return found
        except (OSError, orjson.JSONDecodeError):
            # Made again below, and kept anew.
            pass
    total = len(opened.edited)

    def progress(reached: int) -> None:
        say({"reached": reached, "of": total})

    if options.what == "duplicates":
        from itaudit.data.duplicates import find_duplicates

        document = find_duplicates(
            opened.edited, threshold=options.threshold, field=options.field, progress=progress
        ).to_json()
    else:
        from itaudit.data.selection import parse_filter, select
        from itaudit.data.statistics import statistics_of

        wanted = parse_filter(options.filter)
        positions = select(opened.edited, opened.measures, wanted) if wanted else None
        document = statistics_of(opened.edited, opened.measures, positions, progress=progress).to_json()
    if kept is not None:
        _keep(kept, document)
    return document


def _kept_at(folder: Path | None, edits: Path, asked: tuple[Any, ...]) -> Path | None:
    """Where a result is kept; None where the dataset is not cached itself."""
    if folder is None:
        return None
    try:
        state = edits.stat()
        changed = (state.st_size, state.st_mtime_ns)
    except OSError:
        changed = (0, 0)
    digest = hashlib.sha256(repr((asked, changed)).encode()).hexdigest()[:16]
    return folder / f"{asked[0]}-{digest}.json"


def _keep(path: Path, document: dict[str, Any]) -> None:
    from itaudit.atomic import write_bytes

    try:
        write_bytes(path, orjson.dumps(document))
    except OSError:
        # What can't be kept is found again the next time.
        return


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Freeing a large heap piece by piece takes a while.
    os._exit(status)
