"""JSON as its standard says: no NaN, no lone surrogates, no integers that would quietly turn into floats."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

# orjson reads an integer beyond 64 bits as a float; a run of 19 digits is the cheap sign of one.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_SPACE = re.compile(r"[ \t\r\n]*")


class BadJson(ValueError):
    """Why a text is not JSON; `place` is like "line 2 column 7", or empty where the value is at fault."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(f"{place}: {reason}" if place else reason)
        self.reason = reason
        self.place = place


class _Scanner:
    """The standard library's lenient reader, which notes what the standard forbids and reads on."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self._decoder = json.JSONDecoder(
            parse_constant=self._constant, parse_int=self._integer, parse_float=self._float
        )

    def _constant(self, text: str) -> None:
        self.fault = f"holds {text}, which is not JSON; write null or leave the field out"

    def _integer(self, text: str) -> int:
        if len(text) > 18 and (len(text) > 20 or not -(2**63) <= int(text) < 2**64):
            self.fault = f"holds the integer {text[:24]}, which does not fit 64 bits; write it as text"
            return 0
        return int(text)

    def _float(self, text: str) -> float:
        value = float(text)
        if value in (float("inf"), float("-inf")):
            self.fault = f"holds the number {text[:24]}, which is too large for a float; write it as text"
        return value

    def value(self, text: str, start: int) -> tuple[Any, int]:
        """The value at `start` and its end; sets `fault`. Raises BadJson if the text is broken there."""
        self.fault = None
        try:
            value, end = self._decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            raise BadJson(_broken(text, error.pos), f"line {error.lineno} column {error.colno}") from error
        except RecursionError as error:
            raise BadJson("is nested too deeply", _place(text, start)) from error
        if self.fault is None:
            try:
                orjson.dumps(value)
            except TypeError:
                self.fault = "holds a lone surrogate (half of a \\u pair), which is not Unicode text"
        return value, end


def _place(text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"line {line} column {position - (text.rfind(chr(10), 0, position) + 1) + 1}"


def _broken(text: str, position: int) -> str:
    return "is cut off" if not text[position:].strip() else "is not JSON"


def loads(data: bytes) -> Any:
    """The value of a whole JSON text. Raises BadJson, and UnicodeDecodeError where it is not UTF-8."""
    try:
        value = orjson.loads(data)
        if _is_all_text(value) or not _LONG_NUMBER.search(data):
            return value
        error = None
    except orjson.JSONDecodeError as raised:
        error = raised
    text = data.decode()
    scanner = _Scanner()
    start = _after_space(text, 0)
    value, end = scanner.value(text, start)
    if scanner.fault:
        raise BadJson(scanner.fault, f"line {error.lineno} column {error.colno}" if error else "")
    end = _after_space(text, end)
    if end < len(text):
        raise BadJson("goes on after its value has ended", _place(text, end))
    if error:
        raise BadJson(str(error.msg), f"line {error.lineno} column {error.colno}")
    return value


def elements(data: bytes) -> Iterator[Any]:
    """The elements of a JSON array; a BadJson instance in place of one that holds what JSON forbids.

    Raises BadJson where the array itself is broken, and UnicodeDecodeError where it is not UTF-8.
    """
    try:
        values = orjson.loads(data)
        exact = all(map(_is_all_text, values)) or not _LONG_NUMBER.search(data)
    except orjson.JSONDecodeError:
        exact = False
    if exact:
        del data
        # Handed out from the end of a reversed list, so that each element is freed once it was used.
        values.reverse()
        while values:
            yield values.pop()
        return
    text = data.decode()
    del data
    scanner = _Scanner()
    start = _after_space(text, text.index("[") + 1)
    if text.startswith("]", start):
        return
    while True:
        value, end = scanner.value(text, start)
        yield BadJson(scanner.fault) if scanner.fault else value
        end = _after_space(text, end)
        if text.startswith("]", end):
            end = _after_space(text, end + 1)
            if end < len(text):
                raise BadJson("goes on after its array has ended", _place(text, end))
            return
        if not text.startswith(",", end):
            raise BadJson(_broken(text, end), _place(text, end))
        start = _after_space(text, end + 1)


def _is_all_text(value: Any) -> bool:
    """Whether a value is an object of texts, as most rows are: it spares the slower look for long numbers."""
    return type(value) is dict and all(type(item) is str for item in value.values())


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
