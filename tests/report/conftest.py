"""Reports of an experiment whose figures are known, and of a run with traces and hostile text."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from itaudit.experiments.spec import Planned
from itaudit.report.document import Report, report_of
from itaudit.report.exports import write_report
from tests.experiments.made_of_figures import Shift, make_experiment
from tests.tui.make_run import make_run


@dataclass(frozen=True)
class Written:
    """A report, its folder, and what `report.json` holds."""

    report: Report
    folder: Path
    document: dict[str, Any]

    def text(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


def laddered(planned: Planned, label: str) -> Mapping[str, Shift | None]:
    """LFT stays at 0.1 nats, SFT rises from 0.4 to 0.8."""
    level = 0.1 if label == "lft" else 0.8 if planned.size == 40 else 0.4
    return {f"p{n}": (7, 2, 1 if label == "lft" else 3, 10 * level * (1 + n / 10)) for n in range(8)}


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The report of a ladder beside its published figures, and of a run."""
    home = tmp_path_factory.mktemp("report")
    table = {
        "name": "ladder",
        "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
        "experiment": {"sizes": [10, 40], "published": "ghosh2024"},
    }
    experiment = make_experiment(home, table, laddered)
    run = make_run(home)
    report = report_of([experiment.path, run.path])
    return Written(report, home / "out", write_report(report, home / "out"))
