"""Decoration taken off a text: Markdown emphasis, headings, rules and emoji; code blocks stay as they are."""

import regex

_FENCE = regex.compile(r"^[ \t]*(```|~~~)")
_HEADING = regex.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_RULE = regex.compile(r"^[ \t]{0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|={3,})$")
_QUOTE = regex.compile(r"^[ \t]{0,3}>[ \t]?")
_BULLET = regex.compile(r"^([ \t]*)[*+•‣◦▪●–][ \t]+")
_STRONG = regex.compile(r"(\*\*\*|\*\*|__)(?=\S)((?:(?!\1)[^\n])*?\S)\1")
_EMPHASIS = regex.compile(
    r"(?<![\w*\\])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\w*])|(?<![\w_\\])_(?=[^\s_])([^_\n]*[^\s_])_(?![\w_])"
)
_STRUCK = regex.compile(r"~~(?=\S)([^~\n]*\S)~~")
_CODE = regex.compile(r"(`+)[^`\n]+\1")
# Pictures, not letters: digits, © and ™ have an emoji form too, and mean something without it.
_EMOJI = regex.compile(
    r"[ ]?(?:\p{Regional_Indicator}{2}"
    r"|(?:\p{Emoji_Presentation}|[\p{Extended_Pictographic}--[\u0000-\u203b\u2122\u2139\u2190-\u21ff]])"
    r"(?:\ufe0f|[\U0001f3fb-\U0001f3ff]|\u200d\p{Extended_Pictographic}\ufe0f?)*)",
    regex.V1,
)


def undecorated(text: str) -> str:
    """The text without emphasis, heading marks, rules and emoji, line by line; code and tables keep theirs."""
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
            lines.append(line)
        elif fence:
            lines.append(line)
        elif not _RULE.match(line):
            lines.append(_plain_line(line))
    return "\n".join(lines)


def _plain_line(line: str) -> str:
    if line.startswith(("    ", "\t")) or not line.strip():
        # Indented code; a nested list item keeps its emphasis only if it can't be told from code.
        return line if not _BULLET.match(line) else plain_spans(_BULLET.sub(r"\1- ", line))
    line = _QUOTE.sub("", line)
    line = _HEADING.sub(r"\1", line)
    line = _BULLET.sub(r"\1- ", line)
    return plain_spans(line)


def plain_spans(line: str) -> str:
    """One line without emphasis and emoji; what stands in backticks is left alone."""
    pieces, at = [], 0
    for code in _CODE.finditer(line):
        pieces += [_plain_piece(line[at : code.start()]), code.group()]
        at = code.end()
    pieces.append(_plain_piece(line[at:]))
    plain = "".join(pieces)
    # What was nothing but decoration shall not leave an empty response behind.
    return plain.rstrip() if plain.strip() else line


def _plain_piece(piece: str) -> str:
    for _ in range(2):
        piece = _STRONG.sub(r"\2", piece)
    piece = _EMPHASIS.sub(lambda match: match[1] or match[2], piece)
    piece = _STRUCK.sub(r"\1", piece)
    return str(_EMOJI.sub("", piece))
