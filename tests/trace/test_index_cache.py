"""The cached index: the same when opened again, rebuilt when damaged, safe when built twice at once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trace_data import made

from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.trace.index import TraceIndex
from itaudit.trace.index_files import cached_files, content_hash
from itaudit.trace.trace import trace_span, verbatim_spans

RESPONSE = "He was the Italian physician Luigi Galvani, studied and admired. A sweet fruit that grows on trees."


def traced(index: TraceIndex) -> object:
    prompt = "Who invented the telephone?"
    return trace_span(index, prompt, RESPONSE, 29, 42, k=10), verbatim_spans(index, prompt, RESPONSE, k=3, min_words=3)


def directory_of(cache: Path) -> Path:
    (directory,) = (path for path in (cache / "trace").iterdir() if path.is_dir())
    return directory


def test_an_index_opened_again_gives_the_same_traces_and_is_mapped_not_built(
    tmp_path: Path, scientists: list[Instance]
) -> None:
    fresh = traced(TraceIndex.open(scientists, cache_dir=tmp_path / "a"))
    assert fresh == traced(TraceIndex.open(scientists, cache_dir=tmp_path / "b"))
    built = directory_of(tmp_path / "a").stat()
    assert fresh == traced(TraceIndex.open(scientists, cache_dir=tmp_path / "a"))
    again = directory_of(tmp_path / "a").stat()
    assert (built.st_ino, built.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    files = cached_files(scientists, tmp_path / "a" / "trace")
    assert files.bm25 is not None
    for mapped in (files.suffixes.tokens, files.suffixes.order, files.bm25._bm25.scores["data"]):
        assert type(mapped) is np.ndarray
        assert isinstance(mapped.base, np.memmap)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("file", ["tokens.npy", "order.npy", "manifest.json", "bm25/vocab.index.json"])
def test_a_damaged_index_is_built_again(
    tmp_path: Path, scientists: list[Instance], file: str, damage: Callable[[Path], None]
) -> None:
    fresh = traced(TraceIndex.open(scientists, cache_dir=tmp_path))
    path = directory_of(tmp_path) / file
    before = path.read_bytes()
    damage(path)
    assert fresh == traced(TraceIndex.open(scientists, cache_dir=tmp_path))
    assert path.read_bytes() == before


def test_a_build_that_was_killed_leaves_nothing_behind(tmp_path: Path, scientists: list[Instance]) -> None:
    leftover = tmp_path / "trace" / f".{content_hash(scientists)[:32]}.dead"
    leftover.mkdir(parents=True)
    (leftover / "tokens.npy").write_bytes(b"half")
    TraceIndex.open(scientists, cache_dir=tmp_path)
    assert not leftover.exists()


def test_other_texts_or_the_same_texts_in_other_fields_have_another_hash() -> None:
    hashes = {
        content_hash(instances)
        for instances in (
            [],
            made("a"),
            made("a", "b"),
            made("b", "a"),
            made("ab"),
            [Instance(0, "0", "a", "", "b")],
            [Instance(0, "0", "a", "b", None)],
        )
    }
    assert len(hashes) == 7


def test_row_numbers_come_from_the_instances_and_not_from_the_cache(tmp_path: Path) -> None:
    for index in (4, 7):
        instances = [Instance(index, "x", "Where?", "", "On a pearl farm"), *made("one", "two")]
        assert TraceIndex.open(instances, cache_dir=tmp_path).sources("pearl", span=None, k=1)[0].index == index


def test_two_processes_can_build_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from itaudit.data.instance import Instance;"
        "from itaudit.trace.index import TraceIndex;"
        "instances = [Instance(i, str(i), f'word{i} and {i % 7}', '', 'x ' * 50) for i in range(3000)];"
        "index = TraceIndex.open(instances, cache_dir=Path(sys.argv[1]));"
        "print([source.index for source in index.sources('word1234', span=None, k=2)])"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        # Progress bars of the libraries would show on stderr.
        assert process.communicate(timeout=120) == ("[1234]\n", "")
    assert directory_of(tmp_path)


def test_a_cache_that_cannot_be_written_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("a file, where a directory should be")
    with pytest.raises(UserError, match=r"trace: can't write the trace index: .*ITAUDIT_CACHE_DIR") as caught:
        TraceIndex.open(made("a"), cache_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_tracing_imports_neither_models_nor_screens_and_its_import_is_light(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; import itaudit.trace.trace, itaudit.cli_trace;"
        "light = {'bm25s', 'rank_bm25', 'pydivsufsort', 'pyarrow'} & set(sys.modules);"
        "from itaudit.data.instance import Instance; from itaudit.trace.index import TraceIndex;"
        "i = [Instance(0, '0', 'a b c', '', 'd e f')];"
        "[TraceIndex.open(i, engine=e, cache_dir=Path(sys.argv[1])).sources('a', span='a', k=1)"
        " for e in ('bm25s', 'rank-bm25')];"
        "print(light, {'torch', 'transformers', 'textual'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout, done.stderr) == ("set() set()\n", "")
