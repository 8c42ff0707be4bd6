"""Numbers in a text and what they amount to, so that `1,000`, `1000` and `a thousand` are one number.

A number is digits in any script (`3.14`, `-5`, `1,000,000`, `½`), or English words (`twenty-five`, `two million`).
`50 %`, `50 percent`, `half`, `1/2` and `0.5` amount to the same; `20th` and `twentieth` do, and are not the number 20.
"""

import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import regex

_UNDER_TWENTY = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen"""
_ORDINALS = """
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth
sixteenth seventeenth eighteenth nineteenth twentieth"""
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL = {word: value for value, word in enumerate(_UNDER_TWENTY.split())}
_TENS = {word: 10 * value for value, word in enumerate(_TENS_WORDS.split(), start=2)}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
ORDINALS = {word: value for value, word in enumerate(_ORDINALS.split(), start=1)}
ORDINALS |= {"thirtieth": 30, "fortieth": 40, "fiftieth": 50, "sixtieth": 60, "seventieth": 70, "eightieth": 80}
ORDINALS |= {"ninetieth": 90, "hundredth": 100, "thousandth": 10**3, "millionth": 10**6}
_PARTS = {"half": Fraction(1, 2), "halves": Fraction(1, 2), "quarter": Fraction(1, 4), "quarters": Fraction(1, 4)}
_PARTS |= {f"{word}s": Fraction(1, value) for word, value in ORDINALS.items() if value > 2}
# Directly behind digits. An m may be a metre, and a b a byte, so that the bare number is a reading too.
_SUFFIXES = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9}

_APART = r"[,'’_\u00a0\u2009\u202f]"
_WORD = "|".join(
    sorted([*_SMALL, *_TENS, *(f"{scale}s?" for scale in _SCALES), *ORDINALS, *_PARTS], key=len, reverse=True)
)
_TOKEN = regex.compile(
    rf"(?P<digits>\p{{Nd}}{{1,3}}(?:{_APART}\p{{Nd}}{{2,3}})*{_APART}\p{{Nd}}{{3}}(?!\p{{Nd}})(?:\.\p{{Nd}}+)*"
    r"|(?<![\w.])\.\p{Nd}+|\p{Nd}+(?:\.\p{Nd}+)*)"
    r"(?:(?P<nth>st|nd|rd|th)(?![\p{L}\p{N}])|(?P<suffix>(?i:k|mn?|bn?))(?![\p{L}\p{N}]))?"
    r"|(?P<sign>[\p{No}\p{Nl}])"
    rf"|(?<![\p{{L}}\p{{N}}])(?P<word>(?i:{_WORD}))(?![\p{{L}}\p{{N}}])"
)
_JOIN = regex.compile(r"[ \t\u00a0]*-?[ \t\u00a0]*")
_JOIN_AND = regex.compile(r"[ \t\u00a0]+and[ \t\u00a0]+")
_SLASH = regex.compile(r"[/⁄]")
_PERCENT = regex.compile(r"[ \t\u00a0]*[%٪％]|[ \t\u00a0-]*(?i:per[ \t]?cent(?:age points?)?|pct)(?!\p{L})")
_RANGE = regex.compile(r"[ \t\u00a0]*(?:[-–—]|(?i:to|and|or))[ \t\u00a0]*")
_MINUS = regex.compile(r"(?<![\p{L}\p{N}\p{M})\]%.])[-−–]$")
_LIST_NUMBER = regex.compile(
    r"^[ \t>*#_]*(?:[-+•–][ \t]+[*_]*)?[(\[]?(?P<number>\p{Nd}{1,3})[.)\]:](?=[\s*_]|$)", regex.MULTILINE
)
_TIME = regex.compile(r"(?:\b(?i:a|an|per|each|every|split|last|\p{Nd}+|one|half|of)|/)[ \t-]*$")
_AT = regex.compile(r"\b(?i:at|the very)[ \t]+$")
_ARTICLE = regex.compile(r"\b(?i:an?)[ \t-]+$")
_OPENING = regex.compile(r"(?:^|[.!?:;\n])[\s*_\"'“(#>-]*$")

_CONTEXT = 24
_LONGEST = 300
"""Digits that are taken for a number; Python refuses to convert thousands of them."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text: half-open character offsets, and its readings, of which another text need hold only one.

    A reading is a `Fraction`, `("th", n)` for an ordinal, or digits that are no one number (`1.2.3`). `parts` are
    the numbers inside a fraction. `idle` tells words that mostly count nothing: `one`, `First, …`, `a second`.
    """

    start: int
    end: int
    readings: tuple[Hashable, ...]
    parts: tuple[Fraction, ...] = ()
    idle: bool = False
    scale: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class _Token:
    start: int
    end: int
    kind: str
    text: str
    value: Fraction
    nth: bool = False
    suffix: str = ""


def numbers(text: str) -> list[Number]:
    """The numbers of a text, in order. What belongs together (`two million`, `3/4`, `-50 %`) is one number."""
    tokens = [_token(match) for match in _TOKEN.finditer(text)]
    found: list[Number] = []
    at = 0
    while at < len(tokens):
        number, at = _number(text, tokens, at)
        if number is not None:
            found.append(_with_percent(text, _with_minus(text, number)))
    return [_in_range(text, number, found[at + 1 : at + 2]) for at, number in enumerate(found)]


def list_number_offsets(text: str) -> set[int]:
    """Where digits stand that only number the items of a list, each at the beginning of its line."""
    return {match.start("number") for match in _LIST_NUMBER.finditer(text)}


def _token(match: "regex.Match[str]") -> _Token:
    start, end, text = match.start(), match.end(), match.group()
    if match["digits"]:
        # Digits of any script become ASCII; what stands between thousands goes.
        plain = "".join(
            str(unicodedata.decimal(c)) if c != "." else c for c in match["digits"] if c == "." or _digit(c)
        )
        if plain.count(".") > 1 or not plain.strip(".") or len(plain) > _LONGEST:
            return _Token(start, end, "odd", plain, Fraction(0))
        value = Fraction(f"0{plain}")
        return _Token(start, end, "digits", text, value, bool(match["nth"]), (match["suffix"] or "").lower())
    if match["sign"]:
        # A sign that is younger than Python's Unicode tables is known to `regex` alone.
        amount = unicodedata.numeric(text, None)
        if amount is None:
            return _Token(start, end, "odd", text, Fraction(0))
        return _Token(start, end, "sign", text, Fraction(amount).limit_denominator(1000))
    word = text.lower()
    for kind, values in (("small", _SMALL), ("tens", _TENS), ("ordinal", ORDINALS), ("part", _PARTS)):
        if word in values:
            return _Token(start, end, kind, word, Fraction(values[word]))
    return _Token(start, end, "scale", word, Fraction(_SCALES[word.removesuffix("s")]))


def _digit(character: str) -> bool:
    return unicodedata.category(character) == "Nd"


def _number(text: str, tokens: Sequence[_Token], at: int) -> tuple[Number | None, int]:
    """The number that begins with a token, and the token behind it; None for a word that counts nothing."""
    token = tokens[at]
    if token.kind == "odd":
        return Number(token.start, token.end, (token.text,)), at + 1
    if token.kind == "digits":
        return _digits(text, tokens, at)
    if token.kind in ("small", "tens", "scale"):
        return _worded(text, tokens, at)
    if token.kind == "sign":
        return Number(token.start, token.end, (token.value,)), at + 1
    before = text[max(0, token.start - _CONTEXT) : token.start]
    if token.kind == "part":
        counts = token.text in ("half", "halves") or (token.text == "quarter" and _ARTICLE.search(before))
        return (Number(token.start, token.end, (token.value,)) if counts else None), at + 1
    idle = bool(token.value <= 3 and _OPENING.search(before)) or bool(token.text == "first" and _AT.search(before))
    if token.text == "second" and _TIME.search(before):
        idle = True
    return Number(token.start, token.end, (("th", token.value),), idle=idle), at + 1


def _digits(text: str, tokens: Sequence[_Token], at: int) -> tuple[Number, int]:
    token = tokens[at]
    if token.nth:
        return Number(token.start, token.end, (("th", token.value),)), at + 1
    if token.suffix:
        scale = Fraction(_SUFFIXES[token.suffix])
        return Number(token.start, token.end, (token.value * scale, token.value), scale=scale), at + 1
    value, end, at = token.value, token.end, at + 1
    if at < len(tokens) and tokens[at].kind == "sign" and tokens[at].start == end and tokens[at].value < 1:
        return Number(token.start, tokens[at].end, (value + tokens[at].value,)), at + 1
    if _follows(text, tokens, at, end, "digits", _SLASH) and not tokens[at].nth and tokens[at].value:
        over = tokens[at]
        # Three in a row are a date or a path.
        if not _SLASH.match(text, over.end) and text[token.start - 1 : token.start] != "/":
            return Number(token.start, over.end, (value / over.value,), parts=(value, over.value)), at + 1
    scale = Fraction(1)
    while _follows(text, tokens, at, end, "scale", _JOIN):
        scale, end, at = scale * tokens[at].value, tokens[at].end, at + 1
    return Number(token.start, end, (value * scale,), scale=scale), at


def _follows(text: str, tokens: Sequence[_Token], at: int, end: int, kind: str, join: "regex.Pattern[str]") -> bool:
    """Whether the token at `at` is of a kind, with nothing but `join` between it and the offset `end`."""
    return at < len(tokens) and tokens[at].kind == kind and bool(join.fullmatch(text, end, tokens[at].start))


def _worded(text: str, tokens: Sequence[_Token], at: int) -> tuple[Number, int]:
    """A number in words: tens and units add up, scales multiply (`two hundred and five thousand`)."""
    first, total, current, scale = tokens[at], Fraction(0), Fraction(0), Fraction(1)
    end, last, began = first.start, "", at
    while at < len(tokens):
        token = tokens[at]
        if at > began and not _joined(text, end, token.start, last):
            break
        if token.kind == "scale":
            if token.value >= 1000:
                total, current = total + (current or 1) * token.value, Fraction(0)
            else:
                current = (current or 1) * token.value
            scale = token.value
        elif (token.kind == "tens" and last in ("", "scale")) or (
            token.kind == "small" and (last in ("", "scale") or (last == "tens" and 0 < token.value < 10))
        ):
            current += token.value
        else:
            return _worded_end(first, tokens, at, total + current, end, last)
        end, last, at = token.end, token.kind, at + 1
    idle = first.text == "one" and at == began + 1
    return Number(first.start, end, (total + current,), idle=idle, scale=scale), at


def _joined(text: str, end: int, start: int, last: str) -> bool:
    return bool(_JOIN.fullmatch(text, end, start)) or (last == "scale" and bool(_JOIN_AND.fullmatch(text, end, start)))


def _worded_end(
    first: _Token, tokens: Sequence[_Token], at: int, value: Fraction, end: int, last: str
) -> tuple[Number, int]:
    """A number in words before a word that can't add to it, unless that makes it an ordinal or a fraction."""
    token = tokens[at]
    if token.kind == "ordinal" and last in ("tens", "scale") and token.value < 10:
        return Number(first.start, token.end, (("th", value + token.value),)), at + 1
    if token.kind == "part" or (token.kind == "ordinal" and value == 1 and token.value > 2):
        part = token.value if token.kind == "part" else 1 / token.value
        return Number(first.start, token.end, (value * part,), parts=(value,)), at + 1
    idle = first.text == "one" and first.end == end
    return Number(first.start, end, (value,), idle=idle), at


def _with_minus(text: str, number: Number) -> Number:
    if not _MINUS.search(text, max(0, number.start - 2), number.start):
        return number
    # A dash may be a bullet or a range too: the bare number is a part.
    plain = tuple(r for r in number.readings if isinstance(r, Fraction))
    if not plain:
        return number
    return replace(number, start=number.start - 1, readings=tuple(-r for r in plain), parts=number.parts + plain)


def _with_percent(text: str, number: Number) -> Number:
    match = _PERCENT.match(text, number.end)
    plain = tuple(r for r in number.readings if isinstance(r, Fraction))
    if match is None or not plain:
        return number
    hundredth = Fraction(1, 100)
    return replace(number, end=match.end(), readings=tuple(r * hundredth for r in plain), scale=hundredth)


def _in_range(text: str, number: Number, following: Sequence[Number]) -> Number:
    """`2` in `2 to 3 million`, or `40` in `40-50 %`, may be read with what stands behind the range."""
    if not following or following[0].scale == 1 or number.scale != 1:
        return number
    if not _RANGE.fullmatch(text, number.end, following[0].start):
        return number
    scaled = tuple(r * following[0].scale for r in number.readings if isinstance(r, Fraction))
    return replace(number, readings=number.readings + scaled)
