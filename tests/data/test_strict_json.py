"""Arrays are read through a window: wherever its edges fall, the elements and the faults are the same."""

import io
import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.data import strict_json

SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(['"]},{[', "\\", "\U0001f9ea" * 5])
)
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@pytest.fixture(params=[1, 2, 7, 64])
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(strict_json, "_CHUNK", request.param)
    return int(request.param)


def read(data: bytes) -> list[Any]:
    return [str(v) if isinstance(v, strict_json.BadJson) else v for v in strict_json.elements(io.BytesIO(data))]


@pytest.mark.usefixtures("window")
@settings(max_examples=60, deadline=None)
@given(values=st.lists(JSON, max_size=5), ascii=st.booleans(), indent=st.sampled_from([None, 2]), mark=st.booleans())
def test_elements_are_those_of_the_array(values: list[Any], ascii: bool, indent: int | None, mark: bool) -> None:
    data = json.dumps(values, ensure_ascii=ascii, indent=indent).encode()
    assert read(b"\xef\xbb\xbf" * mark + data + b" \n") == values


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("fault", ["NaN", "1e999", "18446744073709551616", '"\\ud800"', "-9223372036854775809"])
def test_an_element_that_json_forbids_is_told_and_the_rest_read(fault: str) -> None:
    first, bad, last = read(f'[{{"a": 1}},\n {{"b": {fault}, "c": "ö"}} , {{"d": 2}}]'.encode())
    assert (first, last) == ({"a": 1}, {"d": 2})
    assert isinstance(bad, str) and bad.startswith("holds")


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'[{"a": "b"},\n {"c": "d"}', "line 2 column 12: is cut off"),
        (b'[{"a": "b"},\n {"c": \n x}]', "line 3 column 2: is not JSON"),
        (b'[\n\n{"a": "b"}\n   {"c": "d"}]', "line 4 column 4: is not JSON"),
        ('[{"ö": "日本"}, x]'.encode(), "line 1 column 15: is not JSON"),
        (b'[{"a": "b"}]\n\n more', "line 3 column 2: goes on after its array has ended"),
        (b"[1, 2,", "line 1 column 7: is cut off"),
    ],
)
def test_faults_are_told_with_their_place_in_the_whole(data: bytes, says: str) -> None:
    with pytest.raises(strict_json.BadJson) as raised:
        read(data)
    assert str(raised.value) == says


@pytest.mark.usefixtures("window")
def test_an_array_in_another_encoding_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        read('["ö"]'.encode("latin-1"))


@settings(max_examples=200, deadline=None)
@given(value=JSON)
def test_numbers_within_64_bits_are_exact(value: Any) -> None:
    assert strict_json.loads(orjson.dumps(value)) == value
