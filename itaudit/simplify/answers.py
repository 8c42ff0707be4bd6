"""What a model wrote, without what it wrote around its answer."""

import regex

_THINKING = regex.compile(r"^\s*<(think|thinking|reasoning)>.*?(?:</\1>|\Z)", regex.DOTALL)
_ANNOUNCED = regex.compile(
    r"^\s*(?:sure|certainly|of course|okay|ok|absolutely)?[!,.]?\s*"
    r"(?:(?:here(?:['’]s| is| are)|below is|this is)\b[^\n]{0,120}:"
    r"|(?:the |a |my )?(?:(?:shorter|shortened|simpler|simple|simplified|rewritten|revised|concise|new)[ ,]*(?:and )?)+"
    r"(?:answer|response|version|text)[^\n]{0,40}:)\s*",
    regex.IGNORECASE,
)
_QUOTES = (('"', '"'), ("“", "”"), ("'", "'"), ("«", "»"))
_FENCED = regex.compile(r"^```[\w-]*\n(.*)\n```$", regex.DOTALL)


def without_thinking(written: str) -> str:
    """A model's text without what it thought aloud before it."""
    return str(_THINKING.sub("", written))


def answer_of(written: str, before: str) -> str:
    """A model's text without its thinking, an announcement, and quotation marks or a fence around the whole.

    What `before`, the response that was to be simplified, has of these too is left.
    """
    text = without_thinking(written).strip()
    announced = _ANNOUNCED.match(text)
    if announced and text[announced.end() :].strip() and not _ANNOUNCED.match(before):
        text = text[announced.end() :].strip()
    fenced = _FENCED.match(text)
    if fenced and "```" not in fenced[1] and "```" not in before:
        text = str(fenced[1]).strip()
    for opening, closing in _QUOTES:
        inner = text[1:-1]
        wrapped = len(text) > 1 and text[0] == opening and text[-1] == closing
        if wrapped and opening not in inner and closing not in inner and not before.strip().startswith(opening):
            return inner.strip()
    return text
