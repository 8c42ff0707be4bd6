"""Drafts: what is typed survives the terminal that it was typed in."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from itaudit.tui.drafts import Draft, Drafts


def test_a_draft_is_found_until_it_is_forgotten(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "a.workshop")
    assert drafts.found("7") is None
    drafts.keep(Draft("7", {"response": "old"}, {"response": "new \x00"}))
    found = Drafts(tmp_path / "a.workshop").found("7")
    assert found is not None and found.after == {"response": "new \x00"} and found.before == {"response": "old"}
    assert drafts.found("8") is None
    drafts.forget("7")
    assert drafts.found("7") is None and not list((tmp_path / "a.workshop" / "drafts").iterdir())


def test_what_a_living_process_types_is_left_to_it_and_what_a_dead_one_typed_is_offered(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "a.workshop")
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(other.pid).create_time()
    drafts.keep(Draft("7", {"response": ""}, {"response": "theirs"}, pid=other.pid, started=started))
    assert drafts.found("7") is None
    drafts.forget("7")
    other.communicate(b"\n")
    found = drafts.found("7")
    assert found is not None and found.after == {"response": "theirs"}


def test_the_newest_draft_counts(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "a.workshop")
    drafts.keep(Draft("7", {"response": ""}, {"response": "late"}, time=time.time()))
    drafts.keep(Draft("7", {"response": ""}, {"response": "early"}, time=1.0, pid=2**30, started=0.0))
    found = drafts.found("7")
    assert found is not None and found.after == {"response": "late"}


def test_a_torn_draft_is_as_good_as_none(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "a.workshop")
    drafts.keep(Draft("7", {}, {"response": "x"}))
    (path,) = (tmp_path / "a.workshop" / "drafts").iterdir()
    path.write_text('{"id": "7", "bef')
    assert drafts.found("7") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_sends_drafts_to_the_state_directory(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    drafts = Drafts(folder / "a.workshop")
    drafts.keep(Draft("7", {}, {"response": "x"}))
    assert drafts.found("7") is not None


def test_a_workshop_that_is_a_file_sends_drafts_to_the_state_directory(tmp_path: Path) -> None:
    (tmp_path / "a.workshop").write_text("in the way")
    drafts = Drafts(tmp_path / "a.workshop")
    drafts.keep(Draft("7", {}, {"response": "x"}))
    assert drafts.found("7") is not None
