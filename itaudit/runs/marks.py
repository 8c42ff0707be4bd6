"""Marks: what people say about spans of responses, in an append-only file."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from itaudit import atomic
from itaudit.errors import UserError


@dataclass(frozen=True, slots=True)
class Mark:
    """A labelled span: half-open character offsets of the response, and the text that stood there."""

    model: str
    prompt_id: str
    start: int
    end: int
    text: str
    label: str = "hallucinated"
    by: str = ""
    time: float = 0.0

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.model, self.prompt_id, self.start, self.end


def read_marks(path: Path) -> dict[tuple[str, str, int, int], Mark]:
    """The marks that stand, by place: a later line about a place replaces the earlier, a removal takes it away.

    Lines that can't be read, such as a torn last one, are passed over. Raises UserError where the file can't be.
    """
    marks: dict[tuple[str, str, int, int], Mark] = {}
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return marks
    except OSError as error:
        raise UserError(f"{path}: can't read the marks: {error.strerror}") from None
    for line in lines:
        try:
            fields = orjson.loads(line)
            removed = fields.pop("removed", False)
            fields.pop("v", None)
            mark = Mark(**fields)
        except (orjson.JSONDecodeError, TypeError, AttributeError):
            continue
        if not _usable(mark):
            continue
        marks.pop(mark.key, None)
        if not removed:
            marks[mark.key] = mark
    return marks


def _usable(mark: Mark) -> bool:
    texts = (mark.model, mark.prompt_id, mark.text, mark.label, mark.by)
    numbers = (mark.start, mark.end)
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, int) for number in numbers)
        and 0 <= mark.start < mark.end
    )


def append_mark(path: Path, mark: Mark, *, removed: bool = False) -> None:
    """Adds a mark, or takes one away, signed and dated where it is not yet."""
    import getpass

    fields = asdict(mark) | {"by": mark.by or getpass.getuser(), "time": mark.time or time.time()}
    atomic.append_line(path, orjson.dumps({"v": 1, **fields, **({"removed": True} if removed else {})}))
