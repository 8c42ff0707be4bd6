"""Tags as they are typed: parted by commas, completed by those that other instances have."""

from collections.abc import Iterable

from textual.suggester import Suggester

from itaudit.data.edited import EditedDataset


def known_tags(edited: EditedDataset) -> list[str]:
    """Every tag that an instance has, the most used first."""
    counts: dict[str, int] = {}
    for row in edited.edited_positions().values():
        for tag in row.tags:
            counts[tag] = counts.get(tag, 0) + 1
    return sorted(counts, key=lambda tag: (-counts[tag], tag))


def tags_of(text: str) -> list[str]:
    """The tags in a line, each once."""
    return list(dict.fromkeys(tag for part in text.split(",") if (tag := part.strip())))


class TagSuggester(Suggester):
    """Completes the tag that is being typed; the right arrow takes the suggestion."""

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.known = tuple(known)

    async def get_suggestion(self, value: str) -> str | None:
        start = value.rpartition(",")[2].lstrip()
        if not start:
            return None
        return next((value + tag[len(start) :] for tag in self.known if tag.startswith(start) and tag != start), None)
