"""Fixtures that every package's tests share: directories of their own, and tiny random models."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("ITAUDIT_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(autouse=True)
def own_directories(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Config and state of the machine's user stay out of the tests, and the tests out of them.

    The cache is shared: it holds the converted embedded model, and nothing that changes a result.
    """
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("ITAUDIT_CONFIG_DIR", str(home / "config"))
    monkeypatch.setenv("ITAUDIT_STATE_DIR", str(home / "state"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real datasets; tests that want it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no real datasets at {SHARED}; set ITAUDIT_SHARED_DATA")
    return SHARED
