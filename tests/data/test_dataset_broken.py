"""Broken input: a file that cannot be read is one line, a row that cannot be used is reported."""

import os
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itaudit.data.load import load
from itaudit.errors import UserError

GOOD = b'{"instruction": "a", "input": "", "output": "b"}'


def table(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


BROKEN_FILES = {
    "empty file": ("x.json", b"", "is empty"),
    "only blank": ("x.jsonl", b"\n \n", "is empty"),
    "only a byte order mark": ("x.json", b"\xef\xbb\xbf", "is empty"),
    "empty array": ("x.json", b"[]", "holds no rows"),
    "truncated array": ("x.json", b"[" + GOOD + b",\n " + GOOD[:30], "line 2 column"),
    "array without its bracket": ("x.json", b"[" + GOOD + b"\n", "line 2 column 1: is cut off"),
    "text after the array": ("x.json", b"[" + GOOD + b"]\nmore", "line 2 column 1: goes on after"),
    "truncated object": ("x.json", b'{"Definition": ["a"],\n "Instances": [', "line 2"),
    "array of numbers": ("x.json", b"[1, 2, 3]", "row 0: is a number, expected an object"),
    "a number": ("x.json", b"3.14", "line 1: is not JSON"),
    "latin-1 array": ("x.json", b'[{"instruction": "caf\xe9", "output": "b"}]', "byte 21 is not UTF-8"),
    "latin-1 lines": ("x.jsonl", GOOD + b'\n{"instruction": "\xe9"}', f"byte {len(GOOD) + 18} is not UTF-8"),
    "latin-1 CSV": ("x.csv", b"instruction,output\ncaf\xe9,b\n", "byte 22 is not UTF-8"),
    "UTF-16": ("x.json", "[]".encode("utf-16"), "is UTF-16"),
    "binary junk": ("x.bin", bytes(range(256)) * 10, "byte 0 is 0"),
    "binary junk as JSON lines": ("x.jsonl", b"\x01\x02\x81\x82" * 99, "byte 2 is not UTF-8"),
    "gzip": ("x.jsonl", b"\x1f\x8b\x08\x00abc", "unpack it first"),
    "CSV without header": ("x.csv", b"What is 1+1?,2\nWhat is 2+2?,4\n", "needs a header"),
    "CSV of a header alone": ("x.csv", b"instruction,output\n", "holds no rows"),
    "CSV with an open quote": ("x.csv", b'instruction,output\n"a,b\nc,d\n', "line 3: broken CSV"),
    "CSV with a column twice": (
        "x.csv",
        b"instruction,output,output\na,b,c\n",
        "two columns are named 'output'",
    ),
    "unknown columns": ("x.jsonl", b'{"foo": 1, "bar": 2}', "cannot tell the format from the columns 'foo'"),
    "no Parquet inside": ("x.parquet", b"PAR2 nothing", "is no Parquet file"),
    "damaged Parquet": ("x.parquet", table(instruction=["a"], output=["b"])[:-30], "damaged Parquet file"),
    "damaged Parquet page": (
        "x.parquet",
        b"PAR1" + b"\xff" * 40 + table(instruction=["a"], output=["b"])[44:],
        "damaged Parquet file",
    ),
    "only NaN rows": ("x.jsonl", b'{"instruction": "a", "output": NaN}', "line 1 column 32: holds NaN"),
    "JSON nested without end": ("x.json", b"[" * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_broken_file_is_one_line(tmp_path: Path, case: str) -> None:
    name, content, says = BROKEN_FILES[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        load(path)
    message = str(raised.value)
    assert says in message
    assert str(path) in message
    assert len(message.splitlines()) == 1
    assert raised.value.code == 1


BROKEN_ROWS = {
    "missing field": (b'{"instruction": "a", "input": ""}', "no field 'output'"),
    "null response": (b'{"instruction": "a", "output": null}', "'output' is null, expected text"),
    "number as response": (b'{"instruction": "a", "output": 3}', "'output' is a number, expected text"),
    "list as instruction": (b'{"instruction": [], "output": "b"}', "'instruction' is a list, expected text"),
    "number as input": (b'{"instruction": "a", "input": 1, "output": "b"}', "'input' is a number"),
    "empty instruction": (b'{"instruction": "", "output": "b"}', "the instruction is empty"),
    "not an object": (b'["a", "b"]', "is a list, expected an object"),
    "null": (b"null", "is null, expected an object"),
    "text": (b'"a"', "is text, expected an object"),
    "NaN": (b'{"instruction": "a", "output": "b", "x": NaN}', "holds NaN"),
    "infinity": (b'{"instruction": "a", "output": "b", "x": -Infinity}', "holds -Infinity"),
    "float too large": (b'{"instruction": "a", "output": "b", "x": 1e999}', "too large for a float"),
    "integer too large": (b'{"instruction": "a", "output": "b", "x": 18446744073709551616}', "64 bits"),
    "endless integer": (b'{"instruction": "a", "output": "b", "x": ' + b"9" * 5000 + b"}", "64 bits"),
    "lone surrogate": (b'{"instruction": "a\\ud800", "output": "b"}', "lone surrogate"),
    "duplicate id": (b'{"instruction": "a", "output": "b", "id": "first"}', "the id 'first' is taken"),
}


@pytest.mark.parametrize("container", ["array", "lines"])
@pytest.mark.parametrize("case", BROKEN_ROWS)
def test_broken_row_is_reported_and_left_out(tmp_path: Path, case: str, container: str) -> None:
    row, says = BROKEN_ROWS[case]
    rows = [b'{"id": "first", "instruction": "a", "output": "b"}', row, GOOD]
    path = tmp_path / "x.json"
    path.write_bytes(b"[" + b",\n".join(rows) + b"]" if container == "array" else b"\n".join(rows))
    dataset = load(path)
    assert [instance.index for instance in dataset] == [0, 2]
    (rejection,) = dataset.rejected
    assert rejection.index == 1
    assert says in rejection.reason
    assert dataset.position(2) == 1
    with pytest.raises(KeyError):
        dataset.position(1)


def test_broken_line_is_reported_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(GOOD + b"\n\n" + GOOD[:20] + b"\n" + GOOD)
    dataset = load(path)
    assert [instance.index for instance in dataset] == [0, 2]
    assert dataset.rejected[0].index == 1
    assert dataset.rejected[0].reason.startswith("line 3 column")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"messages": "hi"}, "'messages' is text, expected a list of messages"),
        ({"messages": []}, "'messages' holds no messages"),
        ({"messages": ["hi"]}, "message 0 is text, expected an object"),
        ({"messages": [{"role": "user"}]}, "message 0: no field 'content'"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "message 0: role 'wizard' is none of"),
        ({"messages": [{"role": "user", "content": "x"}]}, "no assistant message after a user message"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None}]},
            "message 1: 'content' is null, expected text",
        ),
        (
            {"prompt": "a", "completion": [{"role": "assistant", "content": "b"}]},
            "is text and the other a list",
        ),
        ({"instruction": "a", "instances": []}, "'instances' is an empty list"),
        ({"instruction": "a", "instances": [{"input": "b"}]}, "no field 'output'"),
        ({"Definition": ["a"], "Instances": [{"input": "b", "output": []}]}, "'output' is an empty list"),
        (
            {"Definition": ["a"], "Instances": [{"input": "b", "output": "c"}]},
            "'output' is text, expected a list",
        ),
        ({"Definition": ["a"], "Instances": [{"input": "b", "output": [None]}]}, "'output' holds null"),
        ({"Definition": [], "Instances": [{"input": "b", "output": ["c"]}]}, "'Definition' is a list"),
        ({"prompt": ""}, "the instruction is empty"),
        ({"prompt": 5}, "'prompt' is a number, expected text"),
    ],
)
def test_broken_record_of_each_format_is_reported(tmp_path: Path, record: object, says: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(orjson.dumps(record))
    dataset = load(path)
    assert len(dataset) == 0
    assert says in dataset.rejected[0].reason


def test_ragged_csv_row_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("instruction,output\na,b\nc\nd,e,f\ng,h\n")
    dataset = load(path)
    assert [instance.index for instance in dataset] == [0, 3]
    assert dataset.rejected[0].reason == "line 3: has 1 cells where the header names 2"


def test_csv_cell_that_should_be_json_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("messages\nhello\n")
    assert "'messages' is not JSON text" in load(path).rejected[0].reason


def test_parquet_nulls_and_numbers_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(table(instruction=["a", None, "c"], output=["b", "b", None]))
    assert [r.index for r in load(path).rejected] == [1, 2]
    path.write_bytes(table(instruction=["a"], output=[float("nan")]))
    assert load(path).rejected[0].reason == "'output' is NaN, expected text"


def test_missing_file_and_folder_without_dataset_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        load(tmp_path / "missing.json")
    with pytest.raises(UserError, match="holds no dataset"):
        load(tmp_path)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(UserError, match="cannot be loaded") as raised:
        load(tmp_path)
    assert len(str(raised.value).splitlines()) == 1


def test_folder_with_a_broken_task_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "task1.json").write_text('{"Definition": ["a"], "Instances": []}')
    (tmp_path / "task2.json").write_text('{"Definition": [')
    with pytest.raises(UserError, match=r"task2\.json: line 1"):
        load(tmp_path)


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    with pytest.raises(UserError, match="cannot be read"):
        load(loop)
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="is neither a file nor a folder"):
        load(pipe)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every file")
def test_forbidden_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"[" + GOOD + b"]")
    path.chmod(0)
    with pytest.raises(UserError, match="Permission denied"):
        load(path)


def test_unknown_format_is_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(GOOD)
    with pytest.raises(UserError, match="unknown dataset format 'alpaka'; formats are alpaca") as raised:
        load(path, format="alpaka")
    assert raised.value.code == 2


def test_a_line_of_fifty_megabytes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    long = b'{"instruction": "a", "output": "' + b"word " * 10_000_000 + b'"}\n'
    path.write_bytes(GOOD + b"\n" + long)
    dataset = load(path)
    assert len(dataset[1].response or "") == 50_000_000


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.csv"])
def test_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path, name: str) -> None:
    content = {
        "x.json": b"[" + GOOD + b"]",
        "x.jsonl": GOOD + b"\n" + GOOD,
        "x.csv": b"instruction,input,output\na,,b\n",
    }[name]
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content)
    assert load(tmp_path / name)[0].instruction == "a"


def test_file_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\nb.json"
    path.write_bytes(b"")
    with pytest.raises(UserError) as raised:
        load(path)
    assert len(str(raised.value).splitlines()) == 1
