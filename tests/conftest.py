"""Fixtures that every package's tests share: directories of their own, a finished run, and the command."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time: a landing must not fail for what it did not change. How long one takes is the machine's
# business. ITAUDIT_HYPOTHESIS=explore draws others.
settings.register_profile("repeatable", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("ITAUDIT_HYPOTHESIS", "repeatable"))

if TYPE_CHECKING:
    from itaudit.runs.run import Run
    from tests.commands import Itaudit, ItauditHere

SHARED = Path(os.environ.get("ITAUDIT_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")


@pytest.fixture(scope="session", autouse=True)
def nobody_s_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the machine's user has set or configured reaches no test, nor what several tests share."""
    home = tmp_path_factory.mktemp("nobody")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "SSH_CONNECTION", "ITAUDIT_RUNS"):
            patch.delenv(name, raising=False)
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1,localhost")
        patch.setenv("ITAUDIT_CONFIG_DIR", str(home / "config"))
        patch.setenv("ITAUDIT_STATE_DIR", str(home / "state"))
        yield


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


@pytest.fixture(scope="session")
def built_run(tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A finished run with hostile text and multi-byte tokens that nobody may write into."""
    # Most tests need no run, and start sooner without what builds it.
    from tests.tui.make_run import make_run

    return make_run(tmp_path_factory.mktemp("built"))


@pytest.fixture
def run(built_run: "Run", tmp_path: Path) -> "Run":
    """A finished run of the test's own."""
    return copied(built_run, tmp_path / "runs")


def copied(run: "Run", directory: Path) -> "Run":
    """A copy of a run that may be written into."""
    from itaudit.runs.run import Run

    return Run(Path(shutil.copytree(run.path, directory / run.name)))


@pytest.fixture
def itaudit(tmp_path: Path) -> "Itaudit":
    """Calls the command in a process and a folder of its own, without a terminal."""
    from tests.commands import in_a_process

    return in_a_process(tmp_path)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> "ItauditHere":
    """Calls the command in this process."""
    from tests.commands import in_this_process

    return in_this_process(monkeypatch, capfdbinary)
