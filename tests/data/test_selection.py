"""Selections: whatever is typed, the instances are those that a plain reading of the filter gives."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itaudit.data.edited import EditedDataset, EditedRow
from itaudit.data.load import load
from itaudit.data.measures import measured
from itaudit.data.overlay import Overlay
from itaudit.data.searching import Pattern
from itaudit.data.selection import facets, parse_filter, quoted, select
from itaudit.errors import UserError

Predicate = Callable[[int, EditedRow], bool]

WORDS = [
    "open",
    "qa",
    "Zamboni",
    "größe",
    "GRÖSSE",
    "naïve",
    "日本語",
    "\u00a0",
    "\U0001f9ea",
    'say "hi"',
    "a\\b",
    "x\ny",
]
TEXT = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
CATEGORY = st.sampled_from(["open_qa", "closed qa", "größe", 'q"uote', None])
ROW = st.fixed_dictionaries(
    {
        "instruction": TEXT.filter(lambda text: bool(text.strip())),
        "input": TEXT,
        "output": TEXT,
        "category": CATEGORY,
        "score": st.none() | st.integers(-5, 5) | st.floats(-5, 5, width=16),
        "words": st.sampled_from(["few", "many"]),
        "meta": st.none() | st.fixed_dictionaries({"note": TEXT}),
    }
)
CHANGES = st.one_of(
    st.fixed_dictionaries({"response": TEXT}),
    st.fixed_dictionaries({"input": TEXT}),
    st.just({"deleted": True}),
    st.just({"tags": ["good", "größe"]}),
    st.just({"note": "hm"}),
    st.just({"history": [{"role": "user", "content": "Zamboni"}, {"role": "assistant", "content": "qa"}]}),
)


def texts(row: EditedRow) -> Iterator[str]:
    instance = row.instance
    yield from (instance.id, instance.instruction, instance.input, instance.response or "")
    yield from (message.content for message in (*instance.history, *instance.later))
    left: list[Any] = list(instance.extra.values())
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left.extend(value.values())


def holds(wanted: str, text: str | None) -> bool:
    return text is not None and re.search(re.escape(wanted), text, re.IGNORECASE) is not None


def words(text: str | None) -> int:
    return len((text or "").encode().split())


def turns(row: EditedRow) -> int:
    return sum(message.role == "assistant" for message in row.instance.messages)


MATCHED, DUPLICATES = [0, 3], [1, 2]
NUMBERS: dict[str, Callable[[EditedRow], float | None]] = {
    "words": lambda row: words(row.instance.response),
    "chars": lambda row: len(row.instance.response or ""),
    "prompt_words": lambda row: words(row.instance.instruction) + words(row.instance.input),
    "turns": turns,
    "score": lambda row: row.instance.extra["score"],
}
ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ":": lambda a, b: a == b,
}
STATES: dict[str, Predicate] = {
    "edited": lambda _, row: row.instance != row.source,
    "deleted": lambda _, row: row.deleted,
    "tagged": lambda _, row: bool(row.tags),
    "flagged": lambda _, row: bool(row.tags or row.note),
    "conflict": lambda _, row: bool(row.conflicts),
    "empty": lambda _, row: not (row.instance.response or "").strip(),
    "matched": lambda position, _: position in MATCHED,
    "duplicate": lambda position, _: position in DUPLICATES,
}


@st.composite
def terms(draw: st.DrawFn) -> tuple[str, Predicate]:
    text, predicate = draw(st.one_of(number_terms(), value_terms(), text_terms(), state_terms()))
    if draw(st.booleans()):
        return f"-{text}", lambda position, row: not predicate(position, row)
    return text, predicate


@st.composite
def number_terms(draw: st.DrawFn) -> tuple[str, Predicate]:
    name = draw(st.sampled_from(list(NUMBERS)))
    order = draw(st.sampled_from(list(ORDERS)))
    bound = draw(st.integers(-3, 30) | st.sampled_from([0.5, -2.25]))

    def predicate(_: int, row: EditedRow) -> bool:
        value = NUMBERS[name](row)
        return value is not None and ORDERS[order](value, bound)

    return f"{name}{order}{bound}", predicate


@st.composite
def value_terms(draw: st.DrawFn) -> tuple[str, Predicate]:
    kind = draw(st.sampled_from(["category", "extra.words", "row", "id", "tag", "range"]))
    if kind == "category":
        wanted = draw(st.lists(CATEGORY.filter(bool), min_size=1, max_size=2))
        text = "category:" + ",".join(quoted(str(value)) for value in wanted)
        return text, lambda _, row: row.instance.extra["category"] in wanted
    if kind == "extra.words":
        return "extra.words:few", lambda _, row: row.instance.extra["words"] == "few"
    if kind == "tag":
        return "tag:größe,bad", lambda _, row: "größe" in row.tags
    low = draw(st.integers(0, 6))
    if kind == "row":
        return f"row:{low}-{low + 2},0", lambda _, row: low <= row.instance.index <= low + 2 or row.instance.index == 0
    if kind == "id":
        return f"id:{low}", lambda _, row: row.instance.id == str(low)
    return f"words:{low}..{low + 3}", lambda _, row: low <= words(row.instance.response) <= low + 3


@st.composite
def text_terms(draw: st.DrawFn) -> tuple[str, Predicate]:
    wanted = draw(st.sampled_from(WORDS) | st.sampled_from(["a", "category", "note", "ss", "."]))
    kind = draw(st.sampled_from(["anywhere", "regex", "response", "prompt", "category", "history"]))
    literal = '"' + wanted.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if kind == "anywhere":
        return literal, lambda _, row: any(holds(wanted, text) for text in texts(row))
    if kind == "regex":
        pattern = re.compile(r"^\s*z\w+i|qa$", re.IGNORECASE)
        return r"/^\s*z\w+i|qa$/", lambda _, row: any(pattern.search(text) for text in texts(row))
    if kind == "response":
        return f"response~{literal}", lambda _, row: holds(wanted, row.instance.response)
    if kind == "category":
        return f"category~{literal}", lambda _, row: holds(wanted, row.instance.extra["category"])
    if kind == "history":
        return f"history~{literal}", lambda _, row: any(holds(wanted, m.content) for m in row.instance.history)
    return (
        f"prompt~{literal}",
        lambda _, row: holds(wanted, row.instance.instruction) or holds(wanted, row.instance.input),
    )


@st.composite
def state_terms(draw: st.DrawFn) -> tuple[str, Predicate]:
    name = draw(st.sampled_from(list(STATES)))
    return name, STATES[name]


def workshop(folder: Path, rows: list[dict[str, Any]]) -> EditedDataset:
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    dataset = load(path, format="alpaca")
    return EditedDataset(dataset, Overlay.of(dataset.path))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(ROW, min_size=1, max_size=8),
    edits=st.lists(st.tuples(st.integers(0, 7), CHANGES), max_size=4),
    filters=st.lists(st.lists(terms(), max_size=3), min_size=1, max_size=4),
)
def test_a_filter_selects_what_its_terms_say(
    rows: list[dict[str, Any]],
    edits: list[tuple[int, dict[str, Any]]],
    filters: list[list[tuple[str, Predicate]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        edited = workshop(Path(folder), rows)
        measures = measured(edited.source)
        # Columns without any value are no columns.
        filters = [
            f for f in filters if not any("category" in t and "category" not in measures.column_names for t, _ in f)
        ]
        filters = [f for f in filters if not any("score" in t and "score" not in measures.column_names for t, _ in f)]
        for each in [[], *filters]:
            if edits:
                position, changes = edits.pop()
                edited.edit(position % len(edited), changes, by="hand")
            text = " ".join(term for term, _ in each)
            found = select(edited, measures, parse_filter(text), matched=MATCHED, duplicates=DUPLICATES)
            expected = [
                position
                for position in range(len(edited))
                if all(predicate(position, edited.row(position)) for _, predicate in each)
            ]
            assert found.tolist() == expected, text


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(ROW, min_size=1, max_size=8),
    edit=st.none() | st.tuples(st.integers(0, 7), TEXT),
    name=st.sampled_from(["words", "score", "category", "row"]),
    descending=st.booleans(),
)
def test_sorting_keeps_equal_ones_in_order_and_puts_nothing_last(
    rows: list[dict[str, Any]], edit: tuple[int, str] | None, name: str, descending: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        edited = workshop(Path(folder), rows)
        measures = measured(edited.source)
        if edit:
            edited.edit(edit[0] % len(edited), {"response": edit[1]}, by="hand")
        if name not in (*measures.column_names, "row"):
            return

        def value(position: int) -> Any:
            row = edited.row(position)
            if name == "row":
                return row.instance.index
            return words(row.instance.response) if name == "words" else row.instance.extra[name]

        known = [position for position in range(len(edited)) if value(position) is not None]
        missing = [position for position in range(len(edited)) if value(position) is None]
        # `reverse` keeps equal ones in order.
        expected = sorted(known, key=value, reverse=descending) + missing
        found = select(edited, measures, parse_filter(""), f"{'-' if descending else ''}{name}")
        assert found.tolist() == expected


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"instruction": f"i{n}", "input": "", "output": "a " * n, "category": ["x", "y", None][n % 3]}
        for n in range(count)
    ]


def test_facets_count_the_values_where_they_are_asked_for(tmp_path: Path) -> None:
    measures = measured(workshop(tmp_path, rows(8)).source)
    assert facets(measures, None, "category") == [("x", 3), ("y", 3), (None, 2)]
    assert facets(measures, np.array([1, 4, 3]), "category") == [("y", 2), ("x", 1)]
    assert facets(measures, np.array([], np.int64), "words") == []
    with pytest.raises(UserError, match="no column 'colour'; columns are words"):
        facets(measures, None, "colour")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('"open', "'\"open' can't be read; close its quotes"),
        ("words>", "'words>' lacks a value"),
        ("words>many", "'many' is no number"),
        ("words:many", "'many' is no number, and words is one"),
        ("row:x", "'x' is no number"),
        ("words:..", "'..' is no number and no range like 10..20"),
        ("words>1,2", "compares with more than one value"),
        ("colour:red", "no column 'colour'; columns are words, chars"),
        ("colour~red", "no column 'colour'"),
        ("http://example.org", "no column 'http'"),
        ("response:x", "write response~TEXT"),
        ("/(?=x)/", "invalid perl operator: (?=; the syntax is RE2's"),
        ("response~/a(/", "missing ): a("),
        ('""', "looks for nothing"),
        ("matched", "search first"),
        ("-duplicate", "look for duplicates first"),
    ],
)
def test_what_cannot_be_understood_is_named(tmp_path: Path, text: str, says: str) -> None:
    edited = workshop(tmp_path, rows(3))
    with pytest.raises(UserError) as raised:
        select(edited, measured(edited.source), parse_filter(text))
    assert says in str(raised.value)
    assert raised.value.code == 2


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=30) | st.lists(st.sampled_from(list('"/\\-:~<>=,.a1 \n')), max_size=12).map("".join))
def test_any_text_is_a_filter_or_one_line(text: str) -> None:
    try:
        parsed = parse_filter(text)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert bool(parsed) == bool(text.strip())


def test_a_sort_that_is_no_column_is_refused_before_anything_is_searched(tmp_path: Path) -> None:
    edited = workshop(tmp_path, rows(3))
    with pytest.raises(UserError, match="no column 'colour'"):
        select(edited, measured(edited.source), parse_filter(""), "-colour")


def test_rows_that_are_not_measured_yet_are_left_out(tmp_path: Path) -> None:
    edited = workshop(tmp_path, rows(8))
    edited.edit(6, {"response": "zamboni"}, by="hand")
    measures = measured(edited.source)
    assert select(edited, measures.slice(0, 5), parse_filter("words>=0")).tolist() == [0, 1, 2, 3, 4]
    assert select(edited, measures.slice(0, 5), parse_filter("zamboni")).tolist() == []


def test_progress_hears_of_every_position_and_can_stop(tmp_path: Path) -> None:
    edited = workshop(tmp_path, rows(40))
    measures = measured(edited.source)
    heard: list[tuple[int, list[int]]] = []
    select(
        edited, measures, parse_filter("i39"), progress=lambda reached, found: heard.append((reached, found.tolist()))
    )
    assert heard == [(40, [39])]

    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        select(edited, measures, parse_filter("i39"), progress=stop)


def test_an_evil_expression_takes_no_time(tmp_path: Path) -> None:
    path = workshop(tmp_path, [{"instruction": "a" * 50_000 + "!", "output": "b"}])
    start = time.process_time()
    assert select(path, measured(path.source), parse_filter("/^(a+)+$/")).tolist() == []
    assert time.process_time() - start < 30, "it would take longer than the universe is old"


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.sampled_from(WORDS), max_size=6), wanted=st.sampled_from([*WORDS, "a", "S", ".", "\\", "]"]))
def test_spans_are_where_the_text_stands(parts: list[str], wanted: str) -> None:
    text = " ".join(parts)
    found = Pattern(wanted).spans(text)
    assert found == [match.span() for match in re.finditer(re.escape(wanted), text, re.IGNORECASE)]


def test_spans_of_an_expression_leave_out_what_is_empty() -> None:
    assert Pattern(r"\d*", regex=True).spans("a 12 b 3") == [(2, 4), (7, 8)]
    assert Pattern("a").spans("".join(map(chr, range(0xE000, 0xE0FE))) + "a") == [(254, 255)]
