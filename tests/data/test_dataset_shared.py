"""The real files load with their exact numbers of rows."""

from pathlib import Path

import orjson
import pytest

from itaudit.data.load import load
from itaudit.data.write import write


@pytest.mark.parametrize(
    ("name", "format", "rows", "empty"),
    [
        ("dolly_3k.json", "alpaca", 2996, 0),
        # Four answers of this file are empty.
        ("alpaca_claude_t45.json", "alpaca", 5305, 4),
        ("sinstruct_test_set.jsonl", "self-instruct", 252, 0),
        ("vicuna_test_set.jsonl", "prompts", 80, 0),
    ],
)
def test_file_has_all_its_rows(shared_data: Path, name: str, format: str, rows: int, empty: int) -> None:
    dataset = load(shared_data / name)
    assert dataset.format == format
    assert len(dataset) == rows
    assert dataset.rejected == ()
    assert len(dataset.empty_responses()) == empty


def test_task_files_have_all_their_instances(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "superni").glob("*.json"))
    assert len(files) == 20
    total = 0
    for file in files:
        task = orjson.loads(file.read_bytes())
        dataset = load(file)
        assert len(dataset) == len(task["Instances"])
        assert dataset.rejected == ()
        total += len(dataset)
    folder = load(shared_data / "superni")
    assert len(folder) == total
    write(folder, tmp_path / "copy", format="superni")
    for file in files:
        again = orjson.loads((tmp_path / "copy" / file.name).read_bytes())
        assert again == orjson.loads(file.read_bytes())


@pytest.mark.parametrize("name", ["dolly_3k.json", "sinstruct_test_set.jsonl", "vicuna_test_set.jsonl"])
def test_real_file_comes_back_as_it_was(shared_data: Path, tmp_path: Path, name: str) -> None:
    source = shared_data / name
    dataset = load(source)
    write(dataset, tmp_path / name, format=dataset.format)
    if name.endswith("l"):
        first, second = (
            [orjson.loads(line) for line in path.read_bytes().splitlines()] for path in (source, tmp_path / name)
        )
        assert first == second
    else:
        assert orjson.loads(source.read_bytes()) == orjson.loads((tmp_path / name).read_bytes())
