"""The walls between the parts hold at run time, and in the sources."""

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

HEAVY = ["torch", "transformers", "peft", "trl", "accelerate", "datasets"]
LIGHT = [
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
]
HEADLESS = [
    "itaudit.data.load",
    "itaudit.runs.run",
    "itaudit.trace.trace",
    "itaudit.analysis.words",
    "itaudit.transforms",
]
IMPORTS = """
import importlib, json, sys
found = {}
for module in sys.argv[1:]:
    before = set(sys.modules)
    importlib.import_module(module)
    found[module] = sorted({name.partition(".")[0] for name in sys.modules.keys() - before})
print(json.dumps(found))
"""


def imports(modules: Sequence[str]) -> dict[str, set[str]]:
    """The packages that each module brings in, one after the other in one process; the first that does is named."""
    done = subprocess.run([sys.executable, "-c", IMPORTS, *modules], capture_output=True, text=True, check=True)
    return {module: set(found) for module, found in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def brought_in() -> dict[str, set[str]]:
    return imports(LIGHT)


@pytest.mark.parametrize("module", LIGHT)
def test_only_the_engine_imports_the_model_libraries(brought_in: dict[str, set[str]], module: str) -> None:
    assert brought_in[module].isdisjoint(HEAVY)


def test_the_headless_parts_know_no_screens() -> None:
    assert [module for module, found in imports(HEADLESS).items() if "textual" in found] == []


def test_the_engine_does_import_torch() -> None:
    """So that the tests above can fail."""
    assert "torch" in imports(["itaudit.engine.device"])["itaudit.engine.device"]
