"""The command as tests call it: in a process of its own, as scripts do, or in this one, which takes less time."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit import cli

Itaudit = Callable[..., "subprocess.CompletedProcess[str]"]
ItauditHere = Callable[..., tuple[int, str, str]]
"""Gives exit code, stdout and stderr."""


def in_a_process(directory: Path) -> Itaudit:
    """Calls the command in a folder, without a terminal."""

    def call(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "itaudit", *map(str, arguments)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=directory,
            env={**os.environ, "COLUMNS": "100"},
            check=False,
        )

    return call


def in_this_process(monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]) -> ItauditHere:
    """Calls the command here; whatever it leaves imported or cached stays."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["itaudit", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = int(left.code or 0)
        out, err = capture.readouterr()
        assert b"Traceback" not in err
        return code, out.decode(), err.decode()

    return call


def document(done: "subprocess.CompletedProcess[str]") -> Any:
    """The JSON document of a call that went well."""
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)


def error_line(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The last line of a call that failed, after whatever it told of its progress."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    return line


def one_line_error(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The only line of a call that failed."""
    line = error_line(done, code)
    assert done.stdout == "" and done.stderr.splitlines() == [line]
    return line
