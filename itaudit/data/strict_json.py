"""JSON as its standard says: no NaN, no lone surrogates, no integers that would quietly turn into floats."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

# orjson reads an integer beyond 64 bits as a float, which then is beyond these bounds.
_LONGEST = 9.2e18
_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")
# Where a value ends is all that is asked of it here, so its numbers need not be made.
_FIND_END = json.JSONDecoder(parse_int=len, parse_float=len).raw_decode


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
        if not _may_be_rounded(value):
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


class _Window:
    """A stretch of a long text that moves along it, so that the whole never stands in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self.text = ""
        self.at_end = False
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._size = _CHUNK
        self._line = 1
        self._column = 1

    def move(self, start: int) -> None:
        """Drops what stands before `start` and reads on; more each time in a row that nothing could be dropped."""
        lines = self.text.count("\n", 0, start)
        self._column = start - self.text.rfind("\n", 0, start) if lines else self._column + start
        self._line += lines
        # An element larger than the window must not make it creep along.
        self._size = _CHUNK if start else self._size * 2
        data = self._file.read(self._size)
        self.at_end = not data
        self.text = self.text[start:] + self._decoder.decode(data, final=self.at_end)

    def after_space(self, position: int) -> int:
        """Where the next character stands that is no space; the window moves there if it has to."""
        position = _after_space(self.text, position)
        while position == len(self.text) and not self.at_end:
            self.move(position)
            position = _after_space(self.text, 0)
        return position

    def fault(self, reason: str, position: int) -> BadJson:
        """A fault with its line and column in the whole text."""
        lines = self.text.count("\n", 0, position)
        column = position - self.text.rfind("\n", 0, position) if lines else self._column + position
        return BadJson(reason, f"line {self._line + lines} column {column}")


def elements(file: BinaryIO) -> Iterator[Any]:
    """The elements of a JSON array, read as they are asked for; a BadJson in place of one that JSON forbids.

    Raises BadJson where the array itself is broken, and UnicodeDecodeError where it is not UTF-8.
    """
    window, scanner = _Window(file), _Scanner()
    # The first character is the bracket.
    start = window.after_space(window.after_space(0) + 1)
    if window.text.startswith("]", start):
        return
    while True:
        value, start, end = _element(window, scanner, start)
        yield value
        end = window.after_space(end)
        if window.text.startswith("]", end):
            end = window.after_space(end + 1)
            if end < len(window.text):
                raise window.fault("goes on after its array has ended", end)
            return
        if not window.text.startswith(",", end):
            raise window.fault(_broken(window.text, end), end)
        start = window.after_space(end + 1)


def _element(window: _Window, scanner: _Scanner, start: int) -> tuple[Any, int, int]:
    """The value at `start`, or a BadJson; where it begins and ends in the window, which may have moved."""
    while True:
        try:
            end = _FIND_END(window.text, start)[1]
            # A number that is cut off ends before what is left of it: a point, or an e and its sign.
            if end + 2 < len(window.text) or window.at_end:
                break
        except json.JSONDecodeError as error:
            if window.at_end:
                raise window.fault(_broken(window.text, error.pos), error.pos) from error
        except RecursionError as error:
            raise window.fault("is nested too deeply", start) from error
        window.move(start)
        start = 0
    try:
        value = orjson.loads(window.text[start:end])
        if not _may_be_rounded(value):
            return value, start, end
    except orjson.JSONDecodeError:
        pass
    value, end = scanner.value(window.text, start)
    return (BadJson(scanner.fault) if scanner.fault else value), start, end


def _may_be_rounded(value: Any) -> bool:
    """Whether a number in it may have been an integer that does not fit 64 bits."""
    left = [value]
    while left:
        item = left.pop()
        kind = type(item)
        if kind is dict:
            left.extend(item.values())
        elif kind is list:
            left.extend(item)
        elif kind is float and not -_LONGEST < item < _LONGEST:
            return True
    return False


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position
