"""The cache: what streams in is what `load` reads, and nothing that dies, changes or fills up spoils it."""

import datetime
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import orjson
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itaudit.data import cache_files
from itaudit.data.cache import Cached
from itaudit.data.dataset import Dataset, joined
from itaudit.data.load import Reading, load
from itaudit.data.measures import joined_measures, measured
from itaudit.data.write import write
from itaudit.errors import UserError
from tests.data.test_dataset_formats import RECORDS
from tests.waiting import PATIENCE, until

Lines = Callable[[list[Any]], Path]
ROWS = [{"instruction": f"i{n}", "input": "", "output": f"o {n}", "n": n, "tag": "x" * (n % 3)} for n in range(3000)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(folder))
    return folder / "datasets"


def same(dataset: Dataset, expected: Dataset) -> None:
    assert list(dataset) == list(expected)
    assert list(dataset.rows()) == list(expected.rows())
    assert dataset.table.schema.equals(expected.table.schema)
    assert dataset.rejected == expected.rejected
    assert dataset.tasks == expected.tasks
    about = (dataset.path, dataset.format, dataset.sha256, dataset.explicit_ids)
    assert about == (expected.path, expected.format, expected.sha256, expected.explicit_ids)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name.partition(".")[2] or "whole" for path in folder.iterdir())


@pytest.mark.parametrize("format", RECORDS)
@pytest.mark.parametrize("out", ["again.json", "again.jsonl", "again.csv", "again.parquet"])
@pytest.mark.parametrize("size", [1, 2])
def test_parts_join_to_what_is_read_at_once(
    json_lines: Lines, tmp_path: Path, format: str, out: str, size: int
) -> None:
    records = [dict(record) for record in RECORDS[format] * 3]
    for number, record in enumerate(records):
        record.pop("id", None)
        record["n"] = number if number else "first"
    write(load(json_lines(records)), tmp_path / out, format=format)
    whole = load(tmp_path / out)
    reading = Reading(tmp_path / out)
    parts = list(reading.parts(repeat(size)))
    same(joined(parts, sha256=reading.sha256()), whole)
    measures = joined_measures([measured(part) for part in parts])
    assert measures.to_pylist() == measured(whole).to_pylist()


def test_streamed_rows_are_those_of_load_and_are_mapped_the_next_time(json_lines: Lines, own_cache: Path) -> None:
    rows: list[Any] = [{**row, "id": f"r{number}"} for number, row in enumerate(ROWS)]
    rows[300] = {"instruction": "", "output": "empty"}
    rows[2000] = rows[5]
    path = json_lines(rows)
    cached = Cached.open(path)
    assert cached.dataset is None and not cached.complete
    seen = []
    while not cached.complete:
        cached.wait(PATIENCE)
        assert cached.dataset is not None and cached.measures is not None
        assert len(cached.dataset) == len(cached.measures)
        seen.append(len(cached.dataset))
    assert seen == sorted(seen)
    expected = load(path)
    assert [rejection.index for rejection in expected.rejected] == [300, 2000]
    same(cached.whole()[0], expected)
    assert cached.whole()[1].to_pylist() == measured(expected).to_pylist()
    assert (cached.problem, cached.warning, cached.share) == ("", "", 1.0)
    assert left_in(own_cache) == ["whole"]
    again = Cached.open(path)
    assert again.poll() and again.complete
    same(again.whole()[0], expected)
    assert again.whole()[1].to_pylist() == measured(expected).to_pylist()
    assert not again.poll()


def test_every_kind_of_source_streams_in_exactly(json_lines: Lines, tmp_path: Path) -> None:
    day = datetime.date(2024, 2, 29)
    native = {
        "instruction": ["a", "", "c"] * 200,
        "output": ["b", "b", "d"] * 200,
        "small": pa.array([1, 2, None] * 200, pa.int8()),
        "day": [day, day, None] * 200,
        "kind": pa.array(["x", "y", "x"] * 200).dictionary_encode(),
        "parts": [[1, 2], [], None] * 200,
    }
    pq.write_table(pa.table(native), tmp_path / "in.parquet")
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    for number in range(3):
        items = [{"input": f"{number} {n}", "output": ["yes", "no"][n % 2 :]} for n in range(150)]
        task = {**RECORDS["superni"][0], "Definition": [f"Say {number}."], "Instances": items}
        (tasks / f"task{number}_x.json").write_bytes(orjson.dumps(task))
    write(load(json_lines(ROWS[:600])), tmp_path / "saved", format="alpaca")
    sources = [tmp_path / "in.parquet", tasks, tmp_path / "saved", tasks / "task1_x.json"]
    loading = [Cached.open(source) for source in sources]
    for source, cached in zip(sources, loading, strict=True):
        same(cached.whole()[0], load(source))
        assert cached.whole()[1].to_pylist() == measured(load(source)).to_pylist()
        again = Cached.open(source)
        again.poll()
        same(again.whole()[0], load(source))


@pytest.mark.parametrize("name", ["dolly_3k.json", "sinstruct_test_set.jsonl", "vicuna_test_set.jsonl", "superni"])
def test_real_data_streams_in_exactly(shared_data: Path, name: str) -> None:
    same(Cached.open(shared_data / name).whole()[0], load(shared_data / name))


def test_options_are_part_of_what_is_kept(json_lines: Lines, own_cache: Path) -> None:
    path = json_lines(RECORDS["sharegpt"] * 1)
    for turn in (0, -1):
        assert Cached.open(path, turn=turn).whole()[0][0] == load(path, turn=turn)[0]
    assert len(list(own_cache.iterdir())) == 2


def test_a_file_that_changed_is_read_anew(json_lines: Lines) -> None:
    path = json_lines(ROWS[:3])
    Cached.open(path).whole()
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"o 1", b"O 1"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert Cached.open(path).whole()[0][1].response == "O 1"


def test_what_cannot_be_read_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"foo": 1}')
    cached = Cached.open(path)
    with pytest.raises(UserError, match="cannot tell the format from the columns 'foo'"):
        cached.whole()
    assert cached.problem and not cached.complete and cached.dataset is None
    assert not cached.poll()
    assert "no such file or folder" in _problem(Cached.open(tmp_path / "none.jsonl"))


def test_a_fault_deep_in_a_file_leaves_the_rows_before_it(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    good = orjson.dumps(ROWS[0])
    path.write_bytes(b"[" + b",\n".join([good] * 1000) + b",\n" + good[:30])
    cached = Cached.open(path)
    assert "line 1001 column" in _problem(cached)
    assert cached.dataset is not None and len(cached.dataset) == 256
    assert len(load_measures(cached)) == 256


def load_measures(cached: Cached) -> pa.Table:
    assert cached.measures is not None
    return cached.measures


def _problem(cached: Cached) -> str:
    while not cached.problem:
        assert not cached.complete
        cached.wait(PATIENCE)
    return cached.problem


def _paused(path: Path, own_cache: Path) -> tuple[Cached, Path]:
    """A loader in the middle of its work, and the folder that it fills."""
    cached = Cached.open(path)
    while cached.dataset is None:
        cached.wait(PATIENCE)
    assert not cached.complete
    (folder,) = own_cache.iterdir()
    return cached, folder


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that takes some seconds to read."""
    path = tmp_path / "large.jsonl"
    row = orjson.dumps({"instruction": "i", "input": "", "output": "long " * 400}) + b"\n"
    path.write_bytes(row * 60_000)
    return path


def test_a_killed_loader_is_told_and_what_it_left_is_cleared(large: Path, json_lines: Lines, own_cache: Path) -> None:
    cached, folder = _paused(large, own_cache)
    assert cached._loader is not None
    os.kill(cached._loader.pid, signal.SIGKILL)
    assert "killed by signal 9" in _problem(cached)
    assert cached.dataset is not None and cached.dataset[255].response == "long " * 400
    assert folder.exists()
    Cached.open(json_lines(ROWS[:3])).whole()
    until(lambda: not folder.exists())
    assert left_in(own_cache) == ["whole"]


def test_a_file_that_grows_while_it_is_read_is_told(large: Path, own_cache: Path) -> None:
    cached, _ = _paused(large, own_cache)
    with large.open("ab") as file:
        file.write(b"\n")
    assert "changed while it was read; open it again" in _problem(cached)
    assert cached.dataset is not None
    assert left_in(own_cache) != ["whole"]


def test_a_loader_ends_with_who_started_it(large: Path, own_cache: Path) -> None:
    cached, folder = _paused(large, own_cache)
    cached.close()
    assert cached.dataset is not None and len(list(cached.dataset.rows())) >= 256
    # The next loader clears up; here it is enough that the lock is free.
    assert cache_files._is_abandoned(folder)


def test_two_that_read_the_same_file_do_not_harm_each_other(json_lines: Lines, own_cache: Path) -> None:
    path = json_lines(ROWS)
    both = [Cached.open(path), Cached.open(path)]
    for cached in both:
        same(cached.whole()[0], load(path))
    until(lambda: left_in(own_cache) == ["whole"])


def test_without_a_cache_the_dataset_is_read_all_the_same(
    json_lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file stands where the cache should")
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "taken"))
    path = json_lines(ROWS)
    cached = Cached.open(path)
    dataset, measures = cached.whole()
    same(dataset, load(path))
    assert measures.num_rows == len(ROWS)
    assert "can't keep the parsed dataset (Not a directory); the dataset is read without it" in cached.warning
    assert len(cached.warning.splitlines()) == 1


def test_a_full_disk_is_no_obstacle(large: Path) -> None:
    """A limit on the size of files is what a full disk looks like from inside."""
    code = (
        "import resource, sys; from itaudit.data.cache import Cached;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
        f"cached = Cached.open({str(large)!r}); dataset, measures = cached.whole();"
        "print(len(dataset), measures.num_rows, cached.warning)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("60000 60000 ")
    assert "can't keep the parsed dataset (File too large)" in out


class Says:
    """A loader that says one thing at each look, and ends."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = list(messages)
        self.ended = False

    def messages(self) -> list[dict[str, Any]]:
        said, self._messages = self._messages[:1], self._messages[1:]
        self.ended = not self._messages
        return said

    def close(self) -> None:
        self.ended = True


def test_parts_that_a_full_disk_took_away_before_it_was_told_are_no_obstacle(json_lines: Lines, tmp_path: Path) -> None:
    cached = Cached(json_lines(ROWS[:5]), {"format": "auto", "split": None, "turn": -1})
    part = {"part": 0, "folder": str(tmp_path / "gone" / "copy"), "rows": 5, "done": None}
    cached._loader = Says(part, {"unwritable": "cache: full"})  # type: ignore[assignment]
    assert not cached.poll() and not cached.problem
    assert cached.poll() and cached.warning == "cache: full; the dataset is read without it"
    assert len(cached.whole()[0]) == 5


def test_parts_that_somebody_took_away_are_told_once_the_loader_ends(json_lines: Lines, tmp_path: Path) -> None:
    cached = Cached(json_lines(ROWS[:5]), {"format": "auto", "split": None, "turn": -1})
    part = {"part": 0, "folder": str(tmp_path / "gone" / "copy"), "rows": 5, "done": None}
    cached._loader = Says(part, {**part, "part": 1})  # type: ignore[assignment]
    assert not cached.poll() and not cached.problem
    assert cached.poll() and cached.problem.endswith("gone was removed; open it again")


def test_a_damaged_copy_is_made_anew(json_lines: Lines, own_cache: Path) -> None:
    path = json_lines(ROWS[:300])
    Cached.open(path).whole()
    (folder,) = own_cache.iterdir()
    part = folder / "0000.arrow"
    size = part.stat().st_size
    part.write_bytes(b"\0" * size)
    same(Cached.open(path).whole()[0], load(path))
    part.unlink()
    same(Cached.open(path).whole()[0], load(path))
    same(Dataset.open(part), next(Reading(path).parts([256])))


def test_the_cache_is_private(json_lines: Lines, own_cache: Path) -> None:
    Cached.open(json_lines(ROWS[:3])).whole()
    (folder,) = own_cache.iterdir()
    assert own_cache.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_copies_used_least_recently_make_room(tmp_path: Path, own_cache: Path) -> None:
    keys = []
    for number in range(3):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in ROWS[:300]))
        Cached.open(path).whole()
        keys.append(cache_files.key_of(str(path), format="auto", split=None, turn=-1))
        os.utime(own_cache / keys[-1].name / "whole.json", (number, number))
    size = sum(file.stat().st_size for file in (own_cache / keys[0].name).iterdir())
    assert cache_files.find_whole(keys[0]) is not None, "used again: no longer the oldest"
    cache_files.clean(keys[2].name, bound=2 * size + 100)
    assert {folder.name for folder in own_cache.iterdir()} == {keys[0].name, keys[2].name}
    cache_files.clean(keys[2].name, bound=0)
    assert {folder.name for folder in own_cache.iterdir()} == {keys[2].name}


def test_who_tidies_up_lets_be_what_another_loader_begins_or_takes_away(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = own_cache / f"key.abc{cache_files._PARTIAL}"
    begun.mkdir(parents=True)
    cache_files.clean("other")
    (begun / cache_files._LOCK).touch()
    cache_files.clean("other")
    assert begun.exists(), "it is about to be locked"
    (begun / cache_files._LOCK).write_bytes(b"1")
    cache_files.clean("other")
    assert not begun.exists(), "its loader is dead"
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "gone"]))
    cache_files.clean("other")


def test_opening_imports_nothing_heavy_and_mapping_no_pandas(json_lines: Lines) -> None:
    code = (
        "import sys; from itaudit.data.cache import Cached;"
        f"cached = Cached.open({str(json_lines(ROWS))!r});"
        "early = {'pyarrow', 'numpy', 'click'} & sys.modules.keys();"
        "dataset, measures = cached.whole();"
        "import pyarrow as pa; pa.array([1, 2]);"
        "print(len(dataset), early, {'pandas', 'datasets', 'pydantic'} & sys.modules.keys());"
        "import pandas; print(pandas.DataFrame({'a': [1]}).shape)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines() == ["3000 set() set()", "(1, 1)"]


def test_the_loader_imports_little() -> None:
    code = (
        "import sys; from itaudit.data import loader; from itaudit.data.lean import spare_pandas; spare_pandas();"
        "from itaudit.data.load import Reading; from itaudit.data.measures import measured;"
        "print(*({'pandas', 'datasets', 'torch', 'textual', 'pydantic', 'click', 'rich'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_a_part_of_long_instances_has_few(json_lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itaudit.data.load._HEAVY", 3000)
    path = json_lines(
        [{"instruction": "i", "input": "", "output": "x" * (20 if n < 600 else 400)} for n in range(1200)]
    )
    sizes = [len(part) for part in Reading(path).parts(repeat(512))]
    assert sum(sizes) == 1200
    assert max(sizes) <= 256, "a batch ends the part"


def test_a_loader_that_is_done_leaves_no_process_behind(json_lines: Lines) -> None:
    cached = Cached.open(json_lines(ROWS[:3]))
    assert cached._loader is not None
    pid = cached._loader.pid
    cached.whole()
    until(lambda: not psutil.pid_exists(pid))
