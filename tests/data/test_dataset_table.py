"""The dataset itself: saving, mapping, selecting; Arrow types; folders that the `datasets` library reads."""

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itaudit.data.dataset import Dataset
from itaudit.data.load import load
from itaudit.data.write import write
from itaudit.errors import UserError
from tests.pace import cpu_seconds, slowness

Lines = Callable[[list[Any]], Path]
ROWS = [{"instruction": f"i{n}", "input": "", "output": f"o{n}", "n": n} for n in range(5)]


def test_saved_dataset_opens_as_it_was(json_lines: Lines, tmp_path: Path) -> None:
    dataset = load(json_lines([*ROWS, {"instruction": "", "output": "b"}]))
    dataset.save(tmp_path / "d.arrow")
    again = Dataset.open(tmp_path / "d.arrow")
    assert list(again) == list(dataset)
    assert (again.path, again.format, again.sha256) == (dataset.path, "alpaca", dataset.sha256)
    assert again.rejected == dataset.rejected
    assert len(again.rejected) == 1


def test_saved_tasks_keep_their_examples(tmp_path: Path) -> None:
    task = {
        "Definition": ["d"],
        "Positive Examples": [{"input": "x"}],
        "Instances": [{"input": "a", "output": ["b"]}],
    }
    (tmp_path / "t.json").write_bytes(orjson.dumps(task))
    dataset = load(tmp_path / "t.json")
    dataset.save(tmp_path / "d.arrow")
    again = Dataset.open(tmp_path / "d.arrow")
    assert again[0] == dataset[0]
    assert again.tasks[0]["Positive Examples"] == [{"input": "x"}]


def test_fifty_thousand_rows_open_in_ten_milliseconds(json_lines: Lines, tmp_path: Path) -> None:
    load(json_lines(ROWS * 10_000)).save(tmp_path / "d.arrow")
    Dataset.open(tmp_path / "d.arrow")
    read: list[str] = []
    took = cpu_seconds(lambda: read.append(Dataset.open(tmp_path / "d.arrow")[49_999].instruction), times=5)
    assert set(read) == {"i4"} and took < 0.01 * slowness()


def test_what_is_no_saved_dataset_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "d.arrow"
    with pytest.raises(UserError, match="no such file"):
        Dataset.open(path)
    path.write_bytes(b"junk")
    with pytest.raises(UserError, match="is not a saved dataset"):
        Dataset.open(path)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pa.schema([("a", pa.int64())])):
        pass
    with pytest.raises(UserError, match="not saved by this version"):
        Dataset.open(path)


def test_positions_count_from_either_end_and_stop_there(json_lines: Lines) -> None:
    dataset = load(json_lines(ROWS))
    assert dataset[-1] == dataset[4]
    with pytest.raises(IndexError):
        dataset[5]
    assert [i.index for i in dataset[1:3]] == [1, 2]
    chosen = dataset.select([3, 0])
    assert [i.index for i in chosen] == [3, 0]
    assert chosen.position(0) == 1
    assert len(dataset.select([])) == 0


def test_sha256_is_of_the_bytes(json_lines: Lines) -> None:
    import hashlib

    path = json_lines(ROWS)
    assert load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_arrow_types_survive_parquet(tmp_path: Path) -> None:
    day = datetime.date(2024, 2, 29)
    table = pa.table(
        {
            "instruction": ["a", "", "c"],
            "output": ["b", "b", "d"],
            "small": pa.array([1, 2, None], pa.int8()),
            "day": [day, day, None],
            "raw": [b"\x00\xff", None, b""],
            "kind": pa.array(["x", "y", "x"]).dictionary_encode(),
            "score": pa.array([0.5, 1.5, float("nan")], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    dataset = load(tmp_path / "in.parquet")
    assert dataset[0].extra == {"small": 1, "day": day, "raw": b"\x00\xff", "kind": "x", "score": 0.5}
    write(dataset, tmp_path / "out.parquet", format="alpaca")
    again = pq.read_table(tmp_path / "out.parquet")
    for name in ("small", "day", "raw", "kind", "score"):
        assert again.schema.field(name).type == table.schema.field(name).type
    dataset.save(tmp_path / "d.arrow")
    assert Dataset.open(tmp_path / "d.arrow")[0] == dataset[0]
    with pytest.raises(UserError, match=r"use \.parquet"):
        write(dataset, tmp_path / "out.json", format="alpaca")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.arrow", "in.parquet", "out.parquet"]


def test_nan_is_not_written_as_null(tmp_path: Path) -> None:
    table = pa.table({"instruction": ["a"], "output": ["b"], "score": [float("nan")]})
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(UserError, match="nan, which JSON cannot hold"):
        write(load(tmp_path / "in.parquet"), tmp_path / "out.jsonl", format="alpaca")


def test_existing_file_stays_without_overwrite(json_lines: Lines, tmp_path: Path) -> None:
    source = json_lines(ROWS)
    dataset = load(source)
    out = tmp_path / "out.json"
    out.write_text("mine")
    with pytest.raises(UserError, match="exists already"):
        write(dataset, out, format="alpaca")
    assert out.read_text() == "mine"
    write(dataset, out, format="alpaca", overwrite=True)
    assert len(load(out)) == 5
    with pytest.raises(UserError, match="is the source itself"):
        write(dataset, source, format="alpaca", overwrite=True)


def test_folder_that_is_no_dataset_is_never_replaced(json_lines: Lines, tmp_path: Path) -> None:
    dataset = load(json_lines(ROWS))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="no dataset to overwrite"):
        write(dataset, precious, format="alpaca", overwrite=True)
    write(dataset, tmp_path / "saved", format="alpaca")
    write(dataset.select([0]), tmp_path / "saved", format="alpaca", overwrite=True)
    assert len(load(tmp_path / "saved")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious", "saved", "source.jsonl"]


@pytest.mark.parametrize(("out", "says"), [("x.xml", "no container ends in"), ("no/x.json", "there is no folder")])
def test_place_that_cannot_be_written_is_one_line(json_lines: Lines, tmp_path: Path, out: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        write(load(json_lines(ROWS)), tmp_path / out, format="alpaca")


def test_datasets_library_reads_and_writes_the_same(json_lines: Lines, tmp_path: Path) -> None:
    import datasets

    write(load(json_lines(ROWS)), tmp_path / "saved", format="alpaca")
    saved = datasets.load_from_disk(str(tmp_path / "saved"))
    assert saved.column_names == ["instruction", "input", "output", "n"]
    parts = datasets.DatasetDict({"train": saved, "test": saved.select([4])})
    parts.save_to_disk(str(tmp_path / "parts"))
    assert len(load(tmp_path / "parts")) == 5
    assert [i.instruction for i in load(tmp_path / "parts", split="test")] == ["i4"]
    with pytest.raises(UserError, match="no split 'dev'; name one with --split: train, test"):
        load(tmp_path / "parts", split="dev")


def test_folder_of_parquet_is_read_as_the_hub_would(
    json_lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "owner" / "name"
    folder.mkdir(parents=True)
    write(load(json_lines(ROWS)), folder / "train.parquet", format="alpaca")
    dataset = load(folder)
    assert [i.extra["n"] for i in dataset] == [0, 1, 2, 3, 4]
    assert dataset.path == str(folder)
    assert len(dataset.sha256) == 64


def test_hub_name_takes_the_library_and_hashes_the_rows(
    json_lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local folder stands for the hub: the name reaches `load_dataset`, which reads the folder for real."""
    import datasets

    folder = tmp_path / "mirror"
    folder.mkdir()
    write(load(json_lines(ROWS)), folder / "train.parquet", format="alpaca")
    real = datasets.load_dataset
    asked: list[str] = []

    def from_mirror(name: str) -> Any:
        asked.append(name)
        return real(str(folder), cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", from_mirror)
    dataset = load("owner/name")
    assert asked == ["owner/name"]
    assert dataset.path == "owner/name"
    assert [i.response for i in dataset] == [f"o{n}" for n in range(5)]
    assert dataset.sha256 == load("owner/name").sha256


def test_unknown_hub_name_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="owner/no-such-dataset: no such file, and the hub gave no dataset") as raised:
        load("owner/no-such-dataset")
    assert len(str(raised.value).splitlines()) == 1


def test_files_need_neither_datasets_nor_torch_nor_textual(json_lines: Lines) -> None:
    code = (
        "import sys, time, pyarrow; start = time.process_time();"
        "from itaudit.data.load import load; took = time.process_time() - start;"
        f"load({str(json_lines(ROWS))!r});"
        "print(took, *({'datasets', 'torch', 'textual'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out[1:] == []
    assert float(out[0]) < 0.2 * slowness()


def test_opening_a_saved_dataset_imports_no_pandas(json_lines: Lines, tmp_path: Path) -> None:
    # pyarrow imports it, slowly, whenever a list becomes an array: fit for loading, not for a first screen.
    load(json_lines(ROWS)).save(tmp_path / "d.arrow")
    code = (
        "import sys; from pathlib import Path; from itaudit.data.dataset import Dataset;"
        f"dataset = Dataset.open(Path({str(tmp_path / 'd.arrow')!r})); dataset.position(4);"
        "print(len(list(dataset)), dataset[4].response, 'pandas' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["5", "o4", "False"]


def test_a_hundred_thousand_lines_take_seconds(json_lines: Lines) -> None:
    path = json_lines([{**row, "output": row["output"] * 100} for row in ROWS * 20_000])
    read: list[int] = []
    assert cpu_seconds(lambda: read.append(len(load(path))), times=1) < 5 * slowness()
    assert read == [100_000]
