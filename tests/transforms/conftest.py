"""Datasets made on the fly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit.data.dataset import Dataset
from itaudit.data.load import load

TASK = {
    "Definition": ["Say whether the text is kind."],
    "Positive Examples": [
        {"input": "you are lovely", "output": "kind", "explanation": "It praises."},
        {"input": "go away", "output": "rude", "explanation": "It sends away."},
        {"input": "hello there", "output": "kind", "explanation": "It greets."},
    ],
    "Negative Examples": [{"input": "thanks", "output": "rude", "explanation": "No."}],
    "Instances": [
        {"id": f"t-{number}", "input": f"text {number}", "output": ["kind" if number % 3 else "rude"]}
        for number in range(12)
    ],
}


@pytest.fixture
def alpaca(tmp_path: Path) -> Callable[..., Dataset]:
    """A dataset of responses, with further columns where given."""

    def make(responses: list[str], **columns: list[Any]) -> Dataset:
        rows = [
            {"instruction": f"Question {number}?", "output": response}
            | {name: values[number] for name, values in columns.items()}
            for number, response in enumerate(responses)
        ]
        path = tmp_path / "alpaca.jsonl"
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
        return load(path)

    return make


@pytest.fixture
def superni(tmp_path: Path) -> Callable[..., Dataset]:
    """A folder of task files, by name."""

    def make(**tasks: Any) -> Dataset:
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        for name, task in (tasks or {"task1_kindness": TASK}).items():
            (folder / f"{name}.json").write_bytes(orjson.dumps(task))
        return load(folder)

    return make
