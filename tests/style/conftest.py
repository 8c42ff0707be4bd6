"""A finished run whose answers are known, built once and copied for each test that writes into it."""

import shutil
from pathlib import Path

import pytest

from itaudit.runs.run import Run
from tests.tui.make_run import make_run


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with hostile text and multi-byte tokens that nobody may write into."""
    return make_run(tmp_path_factory.mktemp("styled"))


@pytest.fixture
def run(built: Run, tmp_path: Path) -> Run:
    """A finished run of the test's own."""
    path = tmp_path / "runs" / built.name
    shutil.copytree(built.path, path)
    return Run(path)
