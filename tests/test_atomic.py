"""Writes that nobody sees half done, and that change nothing else."""

import os
from pathlib import Path

import pytest

from itaudit import atomic


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_a_written_file_has_the_rights_that_the_user_s_umask_leaves(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        atomic.write_bytes(tmp_path / "a", b"one")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask


def test_the_umask_of_other_threads_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("what other threads make meanwhile would be open to all"))
    atomic.write_bytes(tmp_path / "a", b"one")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    atomic.write_bytes(path, b"one")
    with pytest.raises(ZeroDivisionError), atomic.replacing(path) as file:
        file.write(b"tw")
        raise ZeroDivisionError
    assert path.read_bytes() == b"one" and list(tmp_path.iterdir()) == [path]
