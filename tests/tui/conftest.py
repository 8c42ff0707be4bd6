"""Runs for the screens' tests: built once, copied for each test that asks."""

from pathlib import Path

import pytest

from itaudit.runs.run import Run
from tests.conftest import copied
from tests.tui.at_rest import at_rest
from tests.tui.make_run import make_judged_run


@pytest.fixture(scope="session")
def built_judged_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with detections and causes that nobody may write into."""
    return make_judged_run(tmp_path_factory.mktemp("judged"))


@pytest.fixture
def judged_run(built_judged_run: Run, tmp_path: Path) -> Run:
    """A finished run with detections and causes, of the test's own."""
    return copied(built_judged_run, tmp_path / "runs")


@pytest.fixture(autouse=True)
def pilots_wait_for_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key press has done all that it does when the pilot goes on, however busy the machine is."""
    for module in ("app", "pilot"):
        monkeypatch.setattr(f"textual.{module}.wait_for_idle", at_rest)


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or touches, what belongs to the user of this machine."""
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"ITAUDIT_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
