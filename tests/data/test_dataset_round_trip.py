"""Property: whatever a format and a container can hold is read back as it was written."""

import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itaudit.data.instance import Instance
from itaudit.data.load import load
from itaudit.data.write import write

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TRICKY = st.sampled_from(
    [
        "\U0001f9ea 𝕬",
        'say "hi", then\r\nleave',
        "a\rb",
        "\u2028 \u202e [/] [INST]",
        "\x1b[31m\x00\x7f",
        "[]",
        "null",
    ]
)
FILLED = (TEXT | TRICKY).filter(lambda text: bool(text.strip()))
ANY = TEXT | TRICKY
SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALAR | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["category", "größe", "a b", 'quo"te', "\U0001f9ea", "meta.x", "tags"])


def conversation(role: str, content: str, names: tuple[str, str]) -> st.SearchStrategy[list[dict[str, str]]]:
    pair = st.tuples(FILLED, FILLED).map(
        lambda pair: [{role: name, content: text} for name, text in zip(names, pair, strict=True)]
    )
    system = st.lists(ANY.map(lambda text: {role: "system", content: text}), max_size=1)
    turns = st.lists(pair, min_size=1, max_size=3).map(lambda pairs: [m for pair in pairs for m in pair])
    return st.tuples(system, turns).map(lambda parts: parts[0] + parts[1])


OPENAI = conversation("role", "content", ("user", "assistant"))
FIELDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "alpaca": st.fixed_dictionaries({"instruction": FILLED, "input": ANY, "output": FILLED}),
    "dolly": st.fixed_dictionaries({"instruction": FILLED, "context": ANY, "response": FILLED}),
    "sharegpt": st.fixed_dictionaries({"conversations": conversation("from", "value", ("human", "gpt"))}),
    "messages": st.fixed_dictionaries({"messages": OPENAI}),
    "prompt-completion": st.fixed_dictionaries({"prompt": FILLED, "completion": FILLED})
    | OPENAI.map(lambda messages: {"prompt": messages[:-1], "completion": messages[-1:]}),
    "self-instruct": st.fixed_dictionaries(
        {
            "instruction": FILLED,
            "instances": st.lists(st.fixed_dictionaries({"input": ANY, "output": FILLED}), min_size=1, max_size=3),
        }
    ),
    "superni": st.fixed_dictionaries(
        {
            "Definition": st.lists(FILLED, min_size=1, max_size=2),
            "Categories": st.lists(ANY, max_size=2),
            "Positive Examples": st.lists(
                st.fixed_dictionaries({"input": ANY, "output": ANY, "explanation": ANY}), max_size=2
            ),
            "Negative Examples": st.just([]),
            "Instances": st.lists(
                st.fixed_dictionaries({"input": ANY, "output": st.lists(FILLED, min_size=1, max_size=3)}),
                min_size=1,
                max_size=3,
            ),
        }
    ),
    "prompts": FILLED.map(lambda text: {"text": text}),
}


@st.composite
def records(draw: st.DrawFn, format: str, extra: st.SearchStrategy[Any]) -> list[dict[str, Any]]:
    """Records of a format which share their unknown columns and bring their own ids, or do not."""
    names = draw(st.lists(NAMES, unique=True, max_size=3))
    rows = draw(st.lists(FIELDS[format], min_size=1, max_size=4))
    has_ids = draw(st.booleans())
    for number, row in enumerate(rows):
        if format == "superni":
            for place, item in enumerate(row["Instances"]):
                item |= {"id": f"{number}-{place}"} | {name: draw(extra) for name in names}
        else:
            row |= {name: draw(extra) for name in names} | ({"id": f"r{number}"} if has_ids else {})
    return rows


def exactly(instance: Instance) -> bytes:
    return orjson.dumps(dict(instance.extra), option=orjson.OPT_SORT_KEYS)


def round_trip(rows: list[dict[str, Any]], format: str, out: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.jsonl"
        source.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        dataset = load(source, format=format)
        assert dataset.rejected == ()
        write(dataset, folder / out, format=format)
        again = load(folder / out, format=format)
        assert again.rejected == ()
        before, after = list(dataset), list(again)
        if format == "superni":
            # A task file has the name of its file.
            for instance in [*before, *after]:
                instance.extra.pop("task")  # type: ignore[attr-defined]  # a plain dict below its read-only type
        assert after == before
        # Equality takes 1, 1.0 and True for the same.
        assert [exactly(i) for i in after] == [exactly(i) for i in before]
        write(again, folder / "last.jsonl", format=format)
        last = [orjson.loads(line) for line in (folder / "last.jsonl").read_bytes().split(b"\n") if line]
        for row in last if format == "superni" else []:
            row.pop("name", None)
        assert last == rows


FAST = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
SLOW = settings(FAST, max_examples=8)


@pytest.mark.parametrize("format", FIELDS)
@pytest.mark.parametrize("out", ["out.json", "out.jsonl", "out.parquet"])
@FAST
@given(data=st.data())
def test_json_and_parquet_lose_nothing(format: str, out: str, data: st.DataObject) -> None:
    round_trip(data.draw(records(format, JSON)), format, out)


@pytest.mark.parametrize("format", FIELDS)
@FAST
@given(data=st.data())
def test_csv_loses_nothing_that_is_text(format: str, data: st.DataObject) -> None:
    round_trip(data.draw(records(format, ANY)), format, "out.csv")


@pytest.mark.parametrize("format", FIELDS)
@SLOW
@given(data=st.data())
def test_folder_loses_nothing(format: str, data: st.DataObject) -> None:
    round_trip(data.draw(records(format, JSON)), format, "folder")


@FAST
@given(rows=st.lists(st.dictionaries(NAMES, JSON, max_size=3), min_size=1, max_size=4))
def test_json_keeps_which_columns_a_row_has(rows: list[dict[str, Any]]) -> None:
    filled = [{"instruction": "a", "input": "", "output": "b"} | row for row in rows]
    round_trip(filled, "alpaca", "out.json")


@pytest.mark.parametrize("name", ["folder", "out.parquet"])
def test_a_key_that_holds_nul_is_kept(name: str) -> None:
    round_trip([{"instruction": "a", "input": "", "output": "b", "more": {"\x00": False, "k": 1}}], "alpaca", name)
