"""Draws the screens of a demo run into docs/pictures as SVG: `make pictures`, after `make demo`.

Usage: python docs/make_pictures.py [RUN]
"""

import asyncio
import sys
from pathlib import Path

from itaudit.tui.app import ItauditApp

PICTURES = Path(__file__).parent / "pictures"

# Name, size, and the keys that lead to what the picture shows.
VIEWS = [
    ("stepper", (130, 40), ["slash", *"charon", "enter", "3", "n", "n", "escape"]),
    ("stepper-80x24", (80, 24), ["slash", *"volley", "enter", "3", "n", "n", "escape"]),
    ("dataset", (130, 40), ["slash", *"charon", "enter", "3", "n", "n", "enter"]),
    ("live", (130, 40), ["L"]),
    ("help", (130, 40), ["question_mark"]),
]


async def draw(run: Path) -> None:
    for name, size, keys in VIEWS:
        app = ItauditApp(run, run.parent)
        async with app.run_test(size=size) as pilot:
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.2)
            await pilot.pause(1.0)
            app.save_screenshot(f"{name}.svg", path=str(PICTURES))


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    asyncio.run(draw(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo").resolve()))
