"""The walls between the parts hold at run time, and in the sources."""

import subprocess
import sys

import pytest

HEAVY = ["torch", "transformers", "peft", "trl", "accelerate", "datasets"]


def imported_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {module.partition(".")[0] for module in done.stdout.split()}


@pytest.mark.parametrize(
    "module",
    [
        "itaudit.cli",
        "itaudit.recipe",
        "itaudit.follow",
        "itaudit.summary",
        "itaudit.data.load",
        "itaudit.data.export",
        "itaudit.data.versions",
        "itaudit.transforms",
        "itaudit.cli_ifd",
        "itaudit.runs.run",
        "itaudit.runs.jobs",
        "itaudit.analysis.words",
        "itaudit.trace.trace",
        "itaudit.runs.causes",
        "itaudit.detect.flagged_causes",
        "itaudit.cli_marks",
        "itaudit.cli_detect",
        "itaudit.detect.light",
        "itaudit.detect.report",
        "itaudit.detect.spans",
        "itaudit.tui.app",
        "itaudit.tui.screens.stepper",
        "itaudit.tui.screens.hallucination",
        "itaudit.tui.screens.experiment",
        "itaudit.tui.screens.home",
        "itaudit.tui.screens.live",
        "itaudit.tui.screens.side_by_side",
        "itaudit.tui.screens.dataset",
    ],
)
def test_only_the_engine_imports_the_model_libraries(module: str) -> None:
    assert imported_by(f"import {module}").isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "module",
    ["itaudit.data.load", "itaudit.runs.run", "itaudit.trace.trace", "itaudit.analysis.words", "itaudit.transforms"],
)
def test_the_headless_parts_know_no_screens(module: str) -> None:
    assert "textual" not in imported_by(f"import {module}")


def test_the_engine_does_import_torch() -> None:
    """So that the tests above can fail."""
    assert "torch" in imported_by("import itaudit.engine.device")
