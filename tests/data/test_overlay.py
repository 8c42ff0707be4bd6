"""The edits file: what it survives, what it refuses, and what several processes see of each other."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit import paths
from itaudit.data.edits import Named, Reversal, from_line, new_edit, to_line
from itaudit.data.instance import Instance
from itaudit.data.overlay import Edit, Overlay, workshop_folder
from itaudit.errors import UserError


def edit(number: int, **changes: Any) -> Edit:
    instance = Instance(number, str(number), "ask", response="old")
    before = {"response": "old", "instruction": "ask", "tags": []}
    after = changes or {"response": f"new {number}"}
    return new_edit(instance, of="0" * 32, before={name: before[name] for name in after}, after=after, by="hand")


def append(overlay: Overlay, *edits: Edit) -> None:
    with overlay.appending():
        overlay.append(*edits)


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    return Overlay(tmp_path / "data.jsonl.workshop")


def test_an_entry_is_read_as_it_was_written() -> None:
    full = edit(1, response="naïve \U0001f9ea \x00 \u2028", tags=["a"])
    for entry in (full, Reversal("drop", full.edit, "me", 1.5), Named("v1", "me", 2.5)):
        line = to_line(entry)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        assert from_line(line) == entry


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'{"v":2,"op":"version","name":"a","user":"","time":1}',
        b'{"v":1,"op":"version","name":7,"user":"","time":1}',
        b'{"v":1,"op":"version","user":"","time":1}',
        b'{"v":1,"op":"undo","edit":["a"],"user":"","time":1}',
        b'{"v":1,"op":"undo","edit":"a","user":"","time":"yesterday"}',
        b'{"v":1,"op":"merge","edit":"a","user":"","time":1}',
        b'{"v":1,"op":["undo"],"edit":"a","user":"","time":1}',
        b"\xff\xfe",
    ],
)
def test_lines_that_say_nothing_known_are_passed_over(overlay: Overlay, line: bytes) -> None:
    append(overlay, edit(1))
    with overlay.path.open("ab") as file:
        file.write(line + b"\n")
    append(overlay, edit(2))
    fresh = Overlay(overlay.folder)
    fresh.refresh()
    assert fresh.unreadable_lines == overlay.unreadable_lines == [2]
    assert (fresh.lines, sorted(fresh.chains)) == ([1, 3], ["1", "2"])


@pytest.mark.parametrize(
    "change",
    [
        {"after": {"response": 7}},
        {"after": {"tags": "a"}},
        {"after": {"nonsense": "a"}},
        {"before": {}},
        {"index": "1"},
        {"id": None},
        {"checks": []},
        {"user": 1},
    ],
)
def test_an_edit_with_values_of_the_wrong_kind_is_passed_over(change: dict[str, Any]) -> None:
    told = orjson.loads(to_line(edit(1)))
    assert from_line(orjson.dumps(told)) is not None
    assert from_line(orjson.dumps(told | change)) is None


def test_keys_of_later_programs_do_no_harm() -> None:
    one = edit(1)
    assert from_line(orjson.dumps(orjson.loads(to_line(one)) | {"colour": "red"})) == one


def test_a_tail_torn_at_any_byte_loses_nothing_that_was_accepted(overlay: Overlay) -> None:
    append(overlay, edit(1), edit(2))
    accepted = overlay.path.read_bytes()
    last = to_line(edit(3, response="é"))
    for cut in range(len(last)):
        overlay.path.write_bytes(accepted + last[:cut])
        reader = Overlay(overlay.folder)
        assert reader.refresh() == {"1", "2"}
        assert reader.unreadable == 0
        append(reader, edit(4))
        fresh = Overlay(overlay.folder)
        fresh.refresh()
        # A line that lacks nothing but its end was in flight: it may come into force, once.
        there = ["3"] if cut == len(last) - 1 else []
        assert [one.id for one in fresh.entries if isinstance(one, Edit)] == ["1", "2", *there, "4"]
        assert fresh.unreadable == (0 < cut < len(last) - 1)


def test_an_act_in_flight_comes_before_what_is_decided_next(overlay: Overlay) -> None:
    append(overlay, edit(1))
    with overlay.path.open("ab") as file:
        file.write(to_line(edit(2))[:-1])
    with overlay.appending() as others:
        assert others == {"2"}


def test_a_line_written_twice_is_applied_once(overlay: Overlay) -> None:
    one = edit(1)
    append(overlay, one, edit(2))
    with overlay.path.open("ab") as file:
        file.write(to_line(one))
    assert overlay.refresh() == set()
    assert overlay.chains["1"].standing == [one]


def test_readers_see_what_others_append(overlay: Overlay) -> None:
    other = Overlay(overlay.folder)
    append(overlay, edit(1))
    assert other.refresh() == {"1"}
    append(other, edit(2), edit(3))
    assert overlay.refresh() == {"2", "3"}
    assert overlay.refresh() == set()


def test_a_file_that_was_replaced_or_removed_is_read_anew(overlay: Overlay) -> None:
    append(overlay, edit(1), edit(2))
    other = overlay.path.with_name("other")
    other.write_bytes(to_line(edit(3)) * 3)
    other.replace(overlay.path)
    assert overlay.refresh() == {"1", "2", "3"}
    assert sorted(overlay.chains) == ["3"]
    overlay.path.write_bytes(b"")
    assert overlay.refresh() == {"3"}
    append(overlay, edit(4))
    overlay.path.unlink()
    assert overlay.refresh() == {"4"}
    assert (overlay.entries, overlay.count) == ([], 0)


def test_a_past_version_ends_at_its_line_and_takes_no_edits(overlay: Overlay) -> None:
    append(overlay, edit(1))
    assert overlay.name("first") == 2
    append(overlay, edit(2))
    past = Overlay(overlay.folder, until=overlay.line_of("first"))
    past.refresh()
    append(overlay, edit(3))
    past.refresh()
    assert sorted(past.chains) == ["1"]
    with pytest.raises(UserError, match="past version"):
        append(past, edit(4))


def test_versions_are_found_by_name_and_number(overlay: Overlay) -> None:
    append(overlay, edit(1))
    overlay.name("v1.0-rc")
    assert [overlay.line_of(v) for v in ("source", "edited", "1", "v1.0-rc")] == [0, 2, 1, 2]
    for wrong in ("3", "V1", "99999999999999999999999", "²"):
        with pytest.raises(UserError, match="@") as caught:
            overlay.line_of(wrong)
        assert caught.value.code == 2


@pytest.mark.parametrize("name", ["12", "", "edited", "source", "a b", "a/b", "a@b", "-x", "é", "a" * 65, "a\n"])
def test_names_that_could_not_be_asked_for_are_refused(overlay: Overlay, name: str) -> None:
    with pytest.raises(UserError, match="can't name a version"):
        overlay.name(name)
    assert not overlay.path.exists()


def test_a_name_is_given_once(overlay: Overlay) -> None:
    overlay.name("v1")
    with pytest.raises(UserError, match="entry 1 already"):
        Overlay(overlay.folder).name("v1")


def test_an_overlay_that_is_no_file_is_told_in_one_line(overlay: Overlay) -> None:
    overlay.path.mkdir(parents=True)
    with pytest.raises(UserError, match=r"edits\.jsonl: can't read the edits: Is a directory"):
        overlay.refresh()
    in_the_way = Overlay(overlay.folder.with_name("file.workshop"))
    in_the_way.folder.write_text("in the way")
    with pytest.raises(UserError, match="can't read the edits: Not a directory"):
        in_the_way.refresh()
    with pytest.raises(UserError, match="can't write the edit"):
        append(in_the_way, edit(1))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read and write everything")
def test_an_overlay_that_may_not_be_read_or_written_is_told_in_one_line(overlay: Overlay) -> None:
    append(overlay, edit(1))
    overlay.path.chmod(0o400)
    with pytest.raises(UserError, match="can't write the edit: Permission denied"):
        append(overlay, edit(2))
    overlay.path.chmod(0)
    with pytest.raises(UserError, match="can't read the edits: Permission denied"):
        Overlay(overlay.folder).refresh()
    overlay.path.chmod(0o600)


def test_a_lock_that_a_killed_process_held_is_free(overlay: Overlay) -> None:
    code = (
        "import os, sys; from pathlib import Path; from itaudit.data.overlay import Overlay\n"
        "with Overlay(Path(sys.argv[1])).appending():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(overlay.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    append(overlay, edit(1))
    assert sorted(overlay.chains) == ["1"]


def test_a_lock_that_is_held_is_waited_for_and_told(overlay: Overlay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itaudit.data.overlay._PATIENCE", 0.05)
    with (
        overlay.appending(),
        pytest.raises(UserError, match="another process holds the edits"),
        Overlay(overlay.folder).appending(),
    ):
        pass


@contextlib.contextmanager
def small_files(most: int) -> Iterator[None]:
    """No file may grow beyond a size: what a full disk does to a write. The log of a test run may be beyond it too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_an_edit_that_a_full_disk_cut_short_leaves_nothing(overlay: Overlay) -> None:
    append(overlay, edit(1))
    before = overlay.path.read_bytes()
    with small_files(len(before) + 100), pytest.raises(UserError, match="nothing was changed"):
        append(overlay, edit(2, response="long " * 100))
    assert overlay.path.read_bytes() == before
    assert sorted(overlay.chains) == ["1"]


def test_the_workshop_stands_beside_the_dataset_behind_links_too(tmp_path: Path) -> None:
    source = tmp_path / "data.jsonl"
    source.touch()
    link = tmp_path / "link.jsonl"
    link.symlink_to(source)
    assert workshop_folder(str(source)) == workshop_folder(str(link)) == tmp_path / "data.jsonl.workshop"


def test_hub_names_have_their_workshop_in_the_state_directory() -> None:
    one, other = workshop_folder("owner/name"), workshop_folder("other/name")
    assert one.parent == other.parent == paths.state_dir() / "workshops"
    assert one != other


def test_a_folder_that_can_not_be_written_keeps_its_workshop_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "data.jsonl"
    source.touch()
    with monkeypatch.context() as patched:
        # The superuser may write everywhere, and tests are run by one at times.
        patched.setattr(os, "access", lambda *_: False)
        elsewhere = workshop_folder(str(source))
        append(Overlay(elsewhere), edit(1))
    assert elsewhere.parent == paths.state_dir() / "workshops"
    # Now that the folder can be written, the edits are still found.
    assert workshop_folder(str(source)) == elsewhere
    assert sorted(Overlay.of(str(source)).chains) == ["1"]


def test_edits_move_with_a_dataset_and_its_workshop(tmp_path: Path) -> None:
    append(Overlay.of(str(tmp_path / "old.jsonl")), edit(1))
    (tmp_path / "old.jsonl.workshop").rename(tmp_path / "new.jsonl.workshop")
    assert sorted(Overlay.of(str(tmp_path / "new.jsonl")).chains) == ["1"]
