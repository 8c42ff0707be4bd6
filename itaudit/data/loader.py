"""`python -m itaudit.data.loader SOURCE`: parses a dataset into the cache, part by part.

It is a process of its own, so that a screen stays free, and imports little, so that the first part comes at once.
On standard output it says, one JSON object a line:

    {"part": 0, "folder": …, "rows": …, "done": [bytes read, of bytes] or null}   a part can be mapped
    {"whole": …folder, "parts": …, "sha256": …}                                   all is there
    {"problem": "one line"}                                                       the source can't be read on
    {"unwritable": "one line"}                                                    the cache can't be written
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from itaudit.data.cache_files import Key, Partial, clean, copies_folder, key_of, part_names
from itaudit.data.child import say
from itaudit.errors import UserError

FIRST = 256
"""Instances in the first part: more than any terminal has lines."""
LARGEST = 32768
_NICE = 5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="itaudit.data.loader", description="Parses a dataset into the cache.")
    parser.add_argument("source")
    parser.add_argument("--format", default="auto")
    parser.add_argument("--split")
    parser.add_argument("--turn", type=int, default=-1)
    options = parser.parse_args(arguments)
    # Whoever started it and went away wants it to end, quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Rows are trees that reference counts free; looking for cycles among millions of them takes a third longer.
    gc.disable()
    try:
        key = key_of(options.source, format=options.format, split=options.split, turn=options.turn)
        _load(key, options.source, {"format": options.format, "split": options.split, "turn": options.turn})
    except UserError as error:
        say({"problem": str(error)})
        return 1
    except _Unwritable as error:
        say({"unwritable": str(error)})
        return 1
    return 0


class _Unwritable(Exception):
    pass


def _load(key: Key, source: str, reading_options: dict[str, Any]) -> None:
    from itaudit.data.lean import spare_pandas

    spare_pandas()
    from itaudit.data.load import Reading
    from itaudit.data.measures import measured

    reading = Reading(source, **reading_options)
    partial = _written(lambda: Partial(key))
    rows = number = 0
    try:
        for number, part in enumerate(reading.parts(_sizes())):
            _written(lambda part=part, number=number: _write(partial.folder, number, part, measured(part)))
            rows += len(part)
            say({"part": number, "folder": str(partial.folder), "rows": rows, "done": reading.done()})
            if number == 0:
                # From here on whoever looks at the first rows goes before.
                os.nice(_NICE)
                clean(key.name)
        sha256 = reading.sha256()
        if key_of(source, **reading_options) != key:
            raise UserError(f"{source}: changed while it was read; open it again to see it as it is now")
        _written(lambda: partial.publish(number + 1, sha256))
    except _Unwritable:
        partial.remove()
        raise
    # After any other failure the parts stay: they are shown. The next loader clears them away.
    say({"whole": str(copies_folder() / key.name), "parts": number + 1, "sha256": sha256})
    clean(key.name)


def _sizes() -> Iterator[int]:
    size = FIRST
    while True:
        yield size
        size = min(size * 4, LARGEST)


def _write(folder: Path, number: int, part: Any, measures: Any) -> None:
    import pyarrow as pa

    part_name, measures_name = part_names(number)
    with (folder / part_name).open("xb") as file:
        part.write(file)
    with (folder / measures_name).open("xb") as file, pa.ipc.new_file(file, measures.schema) as writer:
        writer.write_table(measures)


def _written(write: Any) -> Any:
    try:
        return write()
    except OSError as error:
        place = copies_folder()
        raise _Unwritable(f"{place}: can't keep the parsed dataset ({error.strerror or error})") from error


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Nothing is left to tidy up, and freeing a large heap piece by piece takes a while.
    os._exit(status)
