"""Dates in a text, by what they say: `July 4, 1776`, `4 July 1776`, `the fourth of July 1776` and `1776-07-04` agree.

English month and weekday names, ISO dates and numeric dates are read; `07/04/1776` may be read either way round.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import regex

from itaudit.simplify.numbers import ORDINALS

_MONTH_WORDS = "january february march april may june july august september october november december"
_MONTHS = _MONTH_WORDS.split()
_SHORT = [name[:3] for name in _MONTHS]
_MONTH_NUMBERS = {name: number for names in (_MONTHS, _SHORT) for number, name in enumerate(names, start=1)}
_MONTH_NUMBERS["sept"] = 9
_WEEKDAY_WORDS = "monday tuesday wednesday thursday friday saturday sunday"
_WEEKDAYS = _WEEKDAY_WORDS.split()
_DAY_WORDS = {word: value for word, value in ORDINALS.items() if value <= 30} | {
    f"{tens}{mark}{word}": value + ORDINALS[word]
    for tens, value in (("twenty", 20), ("thirty", 30))
    for mark in "- "
    for word in list(ORDINALS)[:9]
}


def _any_of(names: Iterable[str]) -> str:
    # Capitals are wanted: else `may`, `march` and `sun` are words like any other.
    return "|".join(form for name in sorted(names, key=len, reverse=True) for form in (name.capitalize(), name.upper()))


_S = r"[ \t\u00a0]"
_DOTTED = [name for name in ("sept", *_SHORT) if name != "may"]
_MONTH = (
    rf"(?:(?P<month>{_any_of(_DOTTED)})\.(?={_S}+[0-9])"
    rf"|(?P<month>{_any_of([*_MONTHS, 'sept', *_SHORT])})(?![\p{{L}}\p{{N}}]))"
)
_DAY_NAMES = "|".join(sorted(_DAY_WORDS, key=len, reverse=True))
_DAY = rf"(?P<day>[0-3]?[0-9](?:st|nd|rd|th)?|(?i:{_DAY_NAMES}))(?![\p{{L}}\p{{N}}])(?![.,:]?[0-9])"
_YEAR = r"(?P<year>[0-9]{3,4})(?![\p{L}\p{N}])(?![.,:][0-9])"
_ALONE = r"(?<![\p{L}\p{N}])(?<![\p{N}][.,:/-])"
_PATTERN = regex.compile(
    # 4 July 1776, the fourth of July, 1776
    rf"{_ALONE}{_DAY}{_S}+(?:of{_S}+)?{_MONTH}(?:,?{_S}+(?:of{_S}+)?{_YEAR})?"
    # July 4, 1776; July 1776; July
    rf"|{_ALONE}{_MONTH}(?:{_S}+(?:the{_S}+)?{_DAY}(?:,?{_S}+{_YEAR})?|(?:,|{_S}+of)?{_S}+{_YEAR})?"
    rf"|{_ALONE}(?P<year>[0-9]{{4}})(?P<mark>[-/.])(?P<number>[01]?[0-9])(?P=mark)(?P<day>[0-3]?[0-9])(?![\p{{N}}/-])"
    rf"|{_ALONE}(?P<one>[0-3]?[0-9])(?P<mark>[-/.])(?P<other>[0-3]?[0-9])(?P=mark)(?P<year>[0-9]{{4}})(?![\p{{N}}/-])"
    rf"|{_ALONE}(?P<weekday>{_any_of(_WEEKDAYS)})s?(?![\p{{L}}\p{{N}}])"
)
# Where these open a sentence they are mostly verbs.
_VERBS = ("May", "March", "MAY", "MARCH", "Mar", "MAR")


@dataclass(frozen=True, slots=True)
class Said:
    """What one reading of a date says; 0 stands for what it leaves open."""

    year: int = 0
    month: int = 0
    day: int = 0
    weekday: int = 0

    def holds(self, other: "Said") -> bool:
        """Whether everything that the other says is said here too."""
        mine = (self.year, self.month, self.day, self.weekday)
        theirs = (other.year, other.month, other.day, other.weekday)
        return all(not wanted or wanted == have for have, wanted in zip(mine, theirs, strict=True))


@dataclass(frozen=True, slots=True)
class Date:
    """A date in a text: half-open character offsets, and the ways to read it."""

    start: int
    end: int
    readings: tuple[Said, ...]


def dates(text: str) -> list[Date]:
    """The dates of a text, in order; a month or a weekday alone is one, a year alone is a number."""
    return [Date(match.start(), match.end(), said) for match in _PATTERN.finditer(text) if (said := _readings(match))]


def _readings(match: "regex.Match[str]") -> tuple[Said, ...]:
    if match["weekday"]:
        return (Said(weekday=1 + _WEEKDAYS.index(match["weekday"].lower())),)
    year = int(match["year"] or 0)
    if match["one"]:
        one, other = int(match["one"]), int(match["other"])
        return tuple(Said(year, m, d) for m, d in dict.fromkeys(((one, other), (other, one))) if _in_calendar(m, d))
    day = _day(match["day"])
    if match["number"]:
        month = int(match["number"])
        return (Said(year, month, day),) if _in_calendar(month, day) else ()
    if match.group() in _VERBS and _opens_sentence(match.string, match.start()):
        return ()
    return (Said(year, _MONTH_NUMBERS[match["month"].lower()], day),)


def _day(day: str | None) -> int:
    if not day:
        return 0
    return int(day.rstrip("stndrh")) if day[0].isdigit() else _DAY_WORDS[day.lower()]


def _in_calendar(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def _opens_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"'“‘(*_#>-")
    return not before or before[-1] in ".!?:\n"
