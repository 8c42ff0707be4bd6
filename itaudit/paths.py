"""Where itaudit keeps what belongs to the user rather than to a run."""

import os
from pathlib import Path

import platformdirs


def config_dir() -> Path:
    """Settings, key bindings and themes of the user; `ITAUDIT_CONFIG_DIR` overrides it."""
    return Path(os.environ.get("ITAUDIT_CONFIG_DIR") or platformdirs.user_config_path("itaudit"))


def cache_dir() -> Path:
    """What can be made again: converted models, indexes; `ITAUDIT_CACHE_DIR` overrides it."""
    return Path(os.environ.get("ITAUDIT_CACHE_DIR") or platformdirs.user_cache_path("itaudit"))


def state_dir() -> Path:
    """Locks and recently opened files; `ITAUDIT_STATE_DIR` overrides it."""
    return Path(os.environ.get("ITAUDIT_STATE_DIR") or platformdirs.user_state_path("itaudit"))


def runs_dir() -> Path:
    """Where runs are made and listed when no --out is given: `ITAUDIT_RUNS`, or `runs` here."""
    return Path(os.environ.get("ITAUDIT_RUNS") or "runs")


def samples_dir() -> Path:
    """The sample dataset, prompts and recipes that come with the package."""
    return Path(__file__).parent / "samples"
