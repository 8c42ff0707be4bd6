"""The embedded model behind a real `transformers serve` on loopback."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.simplify.server import free_port


@contextmanager
def transformers_serve() -> Iterator[tuple[str, str]]:
    """Address and model of the server. While it loads the model, connections are refused; clients try again."""
    command = shutil.which("transformers", path=str(Path(sys.executable).parent)) or shutil.which("transformers")
    pytest.importorskip("uvicorn", reason="needs the extra `serving`")
    if command is None:
        pytest.skip("there is no `transformers` command")
    from itaudit.engine.embedded import embedded_model_dir

    model, port = str(embedded_model_dir()), free_port()
    process = subprocess.Popen(
        [command, "serve", model, "--port", str(port), "--host", "127.0.0.1", "--device", "cpu"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    try:
        yield f"http://127.0.0.1:{port}/v1", model
    finally:
        process.kill()
        process.wait()
