"""Draws the screens of a demo run and of a sample dataset into docs/pictures: `make pictures`, after `make demo`.

Usage: python docs/make_pictures.py [RUN|EXPERIMENT [NAME …]]
"""

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path

from itaudit.experiments.experiment import is_experiment
from itaudit.tui.app import ItauditApp

PICTURES = Path(__file__).parent / "pictures"

SAMPLE = Path(__file__).parents[1] / "samples" / "long_answers.jsonl"

# Name, size, and the keys that lead to what the picture shows: of a run, of a copy of the sample dataset, and of an
# experiment such as ghosh2024-small.
OF_RUN = [
    ("stepper", (130, 40), ["slash", *"charon", "enter", "3", "n", "escape"]),
    ("stepper-80x24", (80, 24), ["slash", *"volley", "enter", "3", "n", "n", "escape"]),
    ("dataset", (130, 40), ["slash", *"charon", "enter", "3", "n", "enter"]),
    ("flags", (150, 44), ["slash", *"volley", "enter", "3", "n", "c", "n", "n", "d", "n", "escape"]),
    ("hallucination", (100, 40), ["S", "PAUSE"]),
    ("live", (130, 40), ["L"]),
    ("rate", (100, 30), ["B", *"ada", "enter", "PAUSE", "4", "2"]),
    ("help", (130, 40), ["question_mark"]),
]
OF_DATASET = [
    ("workshop", (130, 36), ["f", *"words>40", "enter", "o", "j", "enter", "j"]),
    ("simplify-80x24", (80, 24), ["j", "s"]),
    ("edit", (100, 30), ["j", "s", "a", "e"]),
    ("review", (130, 36), ["b", "y", "PAUSE", "r"]),
    ("statistics", (100, 36), ["S"]),
]
OF_EXPERIMENT = [
    ("experiment", (110, 30), ["l", "l", "l", "j", "PAUSE"]),
    ("ladder", (110, 36), ["PAUSE", "tab", "tab", "PAUSE"]),
    ("side-by-side", (150, 36), ["l", "l", "l", "space", "j", "space", "b", "PAUSE", "n", "n"]),
]


async def draw(path: Path, name: str, size: tuple[int, int], keys: list[str], runs_dir: Path) -> None:
    app = ItauditApp(path, runs_dir)
    async with app.run_test(size=size) as pilot:
        await pilot.pause(2.0)
        for key in keys:
            if key == "PAUSE":
                await pilot.pause(5.0)
            else:
                await pilot.press(key)
                await pilot.pause(0.3)
        await pilot.pause(2.0)
        app.save_screenshot(f"{name}.svg", path=str(PICTURES))


async def draw_run(run: Path, pictures: list[tuple[str, tuple[int, int], list[str]]]) -> None:
    for name, size, keys in pictures:
        with tempfile.TemporaryDirectory() as folder:
            # Some keys mark, and marks are the user's.
            copy = Path(folder) / run.name
            shutil.copytree(run, copy, ignore=shutil.ignore_patterns("models", "checkpoints", "shared"))
            # Where libraries stand on the machine that draws is nobody's business.
            for log in copy.rglob("worker.log"):
                log.write_text(re.sub(r"\S*/site-packages/", "", log.read_text(encoding="utf-8")), encoding="utf-8")
            await draw(copy, name, size, keys, copy.parent)


async def main(run: Path, wanted: list[str]) -> None:
    if is_experiment(run):
        await draw_run(run, [one for one in OF_EXPERIMENT if not wanted or one[0] in wanted])
        return
    await draw_run(run, [one for one in OF_RUN if not wanted or one[0] in wanted])
    for name, size, keys in OF_DATASET:
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copy(SAMPLE, folder))
            await draw(copy, name, size, keys, run.parent)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo").resolve(), sys.argv[2:]))
