"""Real data beside the repository, and files made on the fly."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest


@pytest.fixture
def shared_data() -> Path:
    folder = Path(
        os.environ.get("ITAUDIT_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data"
    )
    if not folder.is_dir():
        pytest.skip(f"the shared data is not here: {folder}")
    return folder


@pytest.fixture
def json_lines(tmp_path: Path) -> Callable[[list[Any]], Path]:
    def write(records: list[Any]) -> Path:
        path = tmp_path / "source.jsonl"
        path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
        return path

    return write
