"""Datasets to mend, and what the screens and the overlay hold of them afterwards."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.tui.screens.dataset import DatasetScreen
from tests.tui.harness import Harness, screen_text, until

LONG = (
    "Certainly! I'd be happy to help you with that. The Zamboni was invented by Frank Zamboni in 1949. "
    "He lived in Paramount, California. It is important to note that the machine resurfaces ice in one pass. "
    "Before that, three people worked for an hour and a half to scrape, wash and squeegee a rink by hand. "
    "The machine was first sold to Sonja Henie, who took it on tour with her ice show. "
    "In summary, the Zamboni was invented by Frank Zamboni. I hope this helps! Let me know if you have questions."
)
ROWS: list[dict[str, Any]] = [
    {"instruction": f"Who invented thing {number}?", "input": "", "output": f"Engineer {number} did."}
    for number in range(12)
]
ROWS[1] = {"instruction": "Who invented the Zamboni?", "input": "", "output": LONG}
TALK = [
    {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Who was Volta?"},
            {"role": "assistant", "content": "An inventor."},
            {"role": "user", "content": "And Galvani?"},
            {"role": "assistant", "content": "A physician."},
        ]
    }
]


def written(path: Path, rows: Sequence[dict[str, Any]] = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), newline="")
    return path


def app_on(path: Path) -> Harness:
    return Harness(lambda: DatasetScreen(path))


async def ready(pilot: Pilot[Any]) -> DatasetScreen:
    """Waits until the dataset is on the screen."""
    screen = pilot.app.screen
    assert isinstance(screen, DatasetScreen)
    await until(pilot, lambda: screen.edited is not None and screen.position() is not None)
    await pilot.pause()
    return screen


async def pressed(pilot: Pilot[Any], *keys: str) -> str:
    """Presses keys one after the other; what the screen shows then, wherever its lines break."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
    return " ".join(screen_text(pilot.app).split())


async def shown(pilot: Pilot[Any], text: str) -> str:
    """Waits until a text stands on the screen, wherever its lines break."""
    await until(pilot, lambda: text in " ".join(screen_text(pilot.app).split()))
    return " ".join(screen_text(pilot.app).split())


def entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a dataset's overlay."""
    file = path.with_name(f"{path.name}.workshop") / "edits.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def mended(path: Path) -> EditedDataset:
    """The dataset as another process sees it now."""
    return EditedDataset(load(path), Overlay.of(str(path)))
