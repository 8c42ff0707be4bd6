"""A response taken apart into blocks: code, tables, lists, lines that stand alone, and prose."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import regex

from itaudit.analysis.words import word_keys

BlockKind = Literal["code", "table", "list", "lines", "prose"]

_FENCE = regex.compile(r"[ \t]*(`{3,}|~{3,})")
_ITEM = regex.compile(
    r"[ \t]*(?:[-*+•‣◦▪●–][ \t]+|[(\[]?(?:\p{Nd}{1,3}|\p{L}|[ivxIVX]{1,4})[.)\]][ \t]+|\p{Nd}{1,3}:[ \t]+)\S"
)
_TABLE = regex.compile(r"[ \t]*\|.*\||[^|\n]+\|[^|\n]+\|.*")
# A line of code outside a fence: brackets and operators where prose has none.
_CODE = regex.compile(
    r".*[{};]\s*$|.*(?:[!=<>]=|[+*-]=|=>|->|&&|\|\||::|\(\)|\$\w|\\\w)|\s*</?[a-zA-Z!][^<>]*>|\s*(?:#include|//|/\*|\*/|@\w)"
    r"|\s*(?:def|class|for|while|if|elif|else|return|import|from|try|except|print|var|let|const|function|public)\b.*[:({)]\s*$"
    r"|\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|FROM|WHERE|GROUP BY|ORDER BY|JOIN|LIMIT)\b|\s*[\w.\[\]'\"]+\s*=\s*\S"
    r"|\s*[\w.]+\(.*\)\s*$"
)
_SENTENCE_END = regex.compile(r"[.!?…。！？:;][\"'”’)\]*_]*\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, without the line feed at their end, and whether a blank line stands before them."""

    kind: BlockKind
    text: str
    apart: bool


def blocks(text: str) -> list[Block]:
    """The blocks of a text, in order; its blank lines are told by `apart` alone, but for those inside of code."""
    return [
        Block("prose" if kind == "line" else _kind(kind, lines), "\n".join(lines), apart)
        for kind, lines, apart in _grouped(text)
    ]


def joined(parts: list[Block]) -> str:
    """The text of blocks, the inverse of `blocks` but for the number of blank lines."""
    text = ""
    for part in parts:
        text += ("\n\n" if part.apart and text else "\n" if text else "") + part.text
    return text


def _grouped(text: str) -> Iterator[tuple[str, list[str], bool]]:
    """Neighbouring lines of one kind, as they come."""
    kind, held, apart, blank = "", list[str](), False, False
    fence = ""
    for line in text.split("\n"):
        if fence:
            held.append(line)
            closing = _FENCE.match(line)
            if closing and closing[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
                yield "code", held, apart
                kind, held = "", []
            continue
        if not line.strip():
            blank = True
            continue
        opening = _FENCE.match(line)
        new = "code" if opening else _line_kind(line, kind, blank)
        if held and (opening or new != kind or (blank and new != "list")):
            yield kind, held, apart
            held = []
        if not held:
            apart = blank
        elif blank:
            # Items that stand apart from one another are one list still.
            held.append("")
        kind, blank = new, False
        held.append(line)
        if opening:
            fence = opening[1]
    if held:
        yield kind, held, apart


def _line_kind(line: str, before: str, blank: bool) -> str:
    if _ITEM.match(line):
        return "list"
    if before == "list" and (line[0] in " \t" or not blank) and not _CODE.match(line):
        # The rest of an item, indented or wrapped.
        return "list" if line[0] in " \t" or line[0].islower() else "prose"
    if line.startswith(("    ", "\t")):
        return "code"
    return "table" if _TABLE.match(line) else "prose"


def _kind(kind: str, lines: list[str]) -> BlockKind:
    if kind in ("code", "table", "list"):
        return kind  # type: ignore[return-value]  # narrowed by the line above, which mypy can't see in a str
    coded = sum(1 for line in lines if _CODE.match(line))
    if 2 * coded > len(lines):
        return "code"
    # Verses, addresses, answers line by line: short lines, most of which no sentence fills.
    short = sum(1 for line in lines if len(word_keys(line)) <= 12)
    open_ended = sum(1 for line in lines if not _SENTENCE_END.search(line))
    if short == len(lines) > 2 and (open_ended or len(lines) > 3):
        return "lines"
    return "prose"
