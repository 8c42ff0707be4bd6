"""What the checks found about a text, in lines to read."""

from textual.content import Content

from itaudit.data.instance import Instance


def length_line(text: str, instance: Instance | None) -> Content:
    """How long a text is; of a response, also how long its source is."""
    words = len(text.split())
    before = len((instance.response or "").split()) if instance is not None else words
    line = f"{words:,} words, {len(text):,} characters"
    if before != words:
        line += f" · {before:,} words in the source"
    return Content(line)
