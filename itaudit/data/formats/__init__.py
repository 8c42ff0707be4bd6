"""The dataset formats, by name and by what their records look like."""

from collections.abc import Iterable, Sequence

from itaudit.data.formats.base import Format
from itaudit.data.formats.conversations import MESSAGES, PROMPT_COMPLETION, SHAREGPT
from itaudit.data.formats.single_turn import ALPACA, DOLLY, PROMPTS
from itaudit.data.formats.tasks import SELF_INSTRUCT, SUPERNI
from itaudit.errors import UserError

# The most telling columns first: this is also the order in which formats are tried.
FORMATS = (SUPERNI, SHAREGPT, MESSAGES, SELF_INSTRUCT, PROMPT_COMPLETION, ALPACA, DOLLY, PROMPTS)


def names() -> tuple[str, ...]:
    """The names of all formats."""
    return tuple(sorted(format.name for format in FORMATS))


def named(name: str) -> Format:
    """The format of that name. Raises UserError, exit code 2, if there is none."""
    for format in FORMATS:
        if format.name == name:
            return format
    raise UserError(f"unknown dataset format {name!r}; formats are {', '.join(names())}", code=2)


def detect(samples: Sequence[Iterable[str]]) -> Format | None:
    """The format that most of the sampled records (given by their keys) have, or None if none has any.

    Prompts alone are what is left when no record has an answer: a row that lacks its response must not turn a
    whole dataset into prompts.
    """
    votes = dict.fromkeys(FORMATS, 0)
    for keys in samples:
        keys = list(keys)
        for format in FORMATS:
            if format.matches(keys):
                votes[format] += 1
                break
    answered = {format: count for format, count in votes.items() if format is not PROMPTS and count}
    if answered:
        return max(answered, key=answered.__getitem__)
    return PROMPTS if votes[PROMPTS] else None
