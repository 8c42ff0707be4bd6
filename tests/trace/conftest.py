"""Datasets that traces are tested on."""

import json
import os
from pathlib import Path

import pytest

from itaudit.data.instance import Instance, Message

SHARED = Path(os.environ.get("ITAUDIT_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.fixture
def scientists() -> list[Instance]:
    return [
        Instance(3, "a", "Who was Luigi Galvani?", "", "The Italian physician Luigi Galvani studied frogs. Luigi!"),
        Instance(5, "b", "Who was Alessandro Volta?", "", "Volta, an Italian physicist, invented the battery."),
        Instance(
            8,
            "c",
            "And the telephone?",
            "Think of LUIGI's time.",
            "Bell patented it.",
            history=(Message("system", "Be brief."), Message("user", "Who invented the radio?")),
            later=(Message("user", "Thanks, luigi."),),
        ),
        Instance(9, "d", "Name a fruit.", "", "An apple is a sweet fruit that grows on trees in cool countries."),
        Instance(11, "e", "No answer yet", "", None),
    ]


@pytest.fixture(scope="session")
def dolly() -> list[Instance]:
    """300 real instances."""
    path = SHARED / "dolly_3k.json"
    if not path.exists():
        pytest.skip(f"{path} is not there; ITAUDIT_SHARED_DATA names the folder")
    rows = json.loads(path.read_text(encoding="utf-8"))[:300]
    return [
        Instance(number, str(number), row["instruction"], row["input"], row["output"])
        for number, row in enumerate(rows)
    ]
