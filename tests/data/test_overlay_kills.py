"""Edits, undos and kills of the process at any moment: nothing accepted is lost, nothing is applied twice."""

import multiprocessing
import random
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import orjson
import pytest
from overlay_writer import write_at_random

from itaudit import paths
from itaudit.data.edited_rows import EditedRow, row_values
from itaudit.data.versions import open_edited

pytestmark = pytest.mark.skipif(
    len(tempfile.gettempdir()) > 70, reason="sockets have short names: set TMPDIR to a folder with a shorter one"
)

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["itaudit.data.versions", "pyarrow.compute", "filelock"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Real instances, so few that two writers often meet on one."""
    rows = (paths.samples_dir() / "inventions_and_facts.jsonl").read_bytes().splitlines(keepends=True)[:12]
    path = tmp_path / "source.jsonl"
    path.write_bytes(b"".join(rows))
    return path


class Writer:
    """A process at work, and what it said that it has written."""

    def __init__(self, source: Path, seed: int) -> None:
        self.pipe, far = SPAWN.Pipe()
        self.process: ForkServerProcess = SPAWN.Process(target=write_at_random, args=(str(source), seed, far))
        self.process.start()
        far.close()
        assert self.pipe.recv() == "ready"

    def told(self, pipe: Connection, most: int) -> list[dict[str, Any]]:
        found = []
        try:
            while len(found) < most and pipe.poll(0 if most > 1000 else 5):
                found.append(pipe.recv())
        except (EOFError, OSError):
            pass
        return found

    def killed(self) -> list[dict[str, Any]]:
        """Kills the process; returns what else it had said."""
        self.process.kill()
        self.process.join()
        return self.told(self.pipe, 10**6)


def torn(rng: random.Random) -> bytes:
    """What a write that power failure cut short leaves: any part of a line, its end missing."""
    line = orjson.dumps({"v": 1, "op": "undo", "edit": "0" * 32, "user": "é", "time": 1.5})
    return line[: rng.randint(1, len(line))]


def replayed(lines: list[dict[str, Any]], sources: list[EditedRow]) -> dict[str, dict[str, Any]]:
    """What a plain stack of edits for each instance says: the model that the real thing is held against."""
    done: dict[str, list[dict[str, Any]]] = {row.source.id: [] for row in sources}
    undone: dict[str, list[dict[str, Any]]] = {row.source.id: [] for row in sources}
    owner = {line["edit"]: line["id"] for line in lines if line["op"] == "edit"}
    for line in lines:
        id = owner.get(line["edit"], "")
        if line["op"] == "edit":
            done[id].append(line)
            undone[id] = []
        elif id:
            source, target = (done, undone) if line["op"] == "undo" else (undone, done)
            assert source[id][-1]["edit"] == line["edit"]
            target[id].append(source[id].pop())
    values = {}
    for row in sources:
        values[row.source.id] = row_values(EditedRow(row.source, row.source))
        for line in done[row.source.id]:
            values[row.source.id] |= line["after"]
    return values


def run(source: Path, wanted: int, seed: int) -> int:
    rng = random.Random(seed)
    overlay = source.with_name("source.jsonl.workshop") / "edits.jsonl"
    acknowledged: list[dict[str, Any]] = []
    writers = [Writer(source, seed), Writer(source, seed + 1)]
    kills = tears = 0
    while len(acknowledged) < wanted or (wanted >= 100 and not tears):
        for writer in writers:
            acknowledged += writer.told(writer.pipe, rng.randint(1, 30))
        # A moment of its own within an edit, which takes about a millisecond.
        writers[0].process.join(rng.random() * 0.005)
        dying = rng.choice([[0], [1], [0, 1], [0, 1]])
        for place in dying:
            acknowledged += writers[place].killed()
            kills += 1
        if len(dying) == 2 and rng.random() < 0.8:
            with overlay.open("ab") as file:
                file.write(torn(rng))
            tears += 1
        for place in dying:
            writers[place] = Writer(source, seed + 10 * kills + place)
    for writer in writers:
        acknowledged += writer.killed()
        kills += 1
    check(source, overlay, acknowledged, kills, tears)
    return len(acknowledged)


def check(source: Path, overlay: Path, acknowledged: list[dict[str, Any]], kills: int, tears: int) -> None:
    fresh = open_edited(source)
    rows = [fresh.row(position) for position in range(len(fresh))]
    numbered = [line for line in overlay.read_bytes().split(b"\n")[:-1]]
    lines: list[dict[str, Any]] = []
    of_line = []
    for text in numbered:
        with suppress(orjson.JSONDecodeError):
            lines.append(orjson.loads(text))
        of_line.append(len(lines))
    # A torn undo may be whole but for its end; it speaks of no edit.
    written = Counter((line["op"], line["edit"]) for line in lines if line["edit"] != "0" * 32)
    accepted = Counter(act for said in acknowledged for act in map(tuple, said["acts"]))
    assert not accepted - written, "an accepted edit was lost"
    # An act in flight when its process was killed may be there, whole: one call of up to three edits.
    assert (written - accepted).total() <= 3 * kills
    assert all(count == 1 for (op, _), count in written.items() if op == "edit")
    assert fresh.overlay.unreadable <= tears
    assert fresh.conflicts() == []
    model = replayed(lines, rows)
    for row in rows:
        assert row_values(row) == model[row.source.id]
    for said in random.Random(0).sample(acknowledged, min(60, len(acknowledged))):
        then = replayed(lines[: of_line[said["line"] - 1]], rows)
        assert then[rows[said["position"]].source.id] == said["values"]


def test_nothing_accepted_is_lost_when_processes_are_killed(source: Path) -> None:
    assert run(source, 250, seed=1) >= 250


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_a_thousand_edits_and_many_kills(source: Path, seed: int) -> None:
    assert run(source, 1000, seed) >= 1000


def test_the_source_is_never_written(source: Path) -> None:
    before = source.read_bytes()
    copy = shutil.copy(source, source.with_name("copy.jsonl"))
    run(source, 20, seed=4)
    assert source.read_bytes() == before == Path(copy).read_bytes()
