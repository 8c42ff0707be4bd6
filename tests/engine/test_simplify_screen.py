"""The dataset screen with a real, tiny model: loaded in the proposing process, asked, and ended."""

from pathlib import Path

import psutil
import pytest

from itaudit.tui.screens.simplify import SimplifyScreen
from tests.tui.harness import until
from tests.tui.workshop import app_on, entries, pressed, ready, written


@pytest.mark.slow
async def test_a_tiny_model_proposes_through_the_real_process(
    tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"ITAUDIT_{name}_DIR", str(tmp_path / name.lower()))
    # The model reads 512 tokens, most of them a byte long.
    (tmp_path / "config" / "prompts").mkdir(parents=True)
    (tmp_path / "config" / "prompts" / "simplify.txt").write_text("Shorter: {response}")
    (tmp_path / "config" / "config.toml").write_text(
        f'[simplify.local]\nmodel = "{tiny_llama}"\nmax_new_tokens = 24\ndevice = "cpu"\n'
    )
    path = written(
        tmp_path / "a.jsonl", [{"instruction": "Who?", "input": "", "output": "Frank Zamboni did, in 1949."}]
    )
    app = app_on(path)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pressed(pilot, "s", "2")
        await until(pilot, lambda: isinstance(app.screen, SimplifyScreen) and app.screen.proposal is not None, 120)
        screen = app.screen
        assert isinstance(screen, SimplifyScreen) and screen.proposal is not None
        assert screen.proposal.engine == f"local:{tiny_llama}"
        assert screen.proposal.checks is not None and not screen.proposal.checks.passes
        pid = screen.engines._children["local"].pid
        assert pid is not None
        await pressed(pilot, "a", "a")
    assert entries(path)[0]["by"] == f"local:{tiny_llama}" and not psutil.pid_exists(pid)
