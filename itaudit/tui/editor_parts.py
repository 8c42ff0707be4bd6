"""The texts of an instance while they are edited: its fields and turns in the order of the conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from itaudit.data.overlay import TEXTS
from itaudit.tui.editor_text import EditorText

ROLES = ("user", "assistant", "system", "tool")


@dataclass(eq=False)
class Part:
    """One text under edit. `name` is the field's, `history` or `later` for a turn; `shown` is what the editor holds."""

    name: str
    role: str
    text: EditorText
    shown: str = field(init=False)

    def __post_init__(self) -> None:
        self.shown = self.text.shown

    @property
    def raw(self) -> str:
        """The text as it would be stored."""
        return self.text.raw_of(self.shown)

    @property
    def label(self) -> str:
        return self.name if self.name in TEXTS else self.role


class Parts:
    """All parts of an instance, from the values of its fields as an edit writes them."""

    def __init__(self, opened: Mapping[str, Any], changed: Mapping[str, Any] | None = None) -> None:
        self.opened = dict(opened)
        values = self.opened | dict(changed or {})
        self.parts = [
            *(_turn("history", turn) for turn in values["history"]),
            Part("instruction", "user", EditorText(values["instruction"])),
            Part("input", "user", EditorText(values["input"])),
            Part("response", "assistant", EditorText(values["response"] or "")),
            *(_turn("later", turn) for turn in values["later"]),
        ]

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, place: int) -> Part:
        return self.parts[place]

    def named(self, name: str) -> int:
        """Where a field stands."""
        return next(place for place, part in enumerate(self.parts) if part.name == name)

    def changes(self) -> dict[str, Any]:
        """The fields whose values are other than they were opened, with their new values."""
        values: dict[str, Any] = {name: self[self.named(name)].raw for name in TEXTS}
        if self.opened["response"] is None and not values["response"]:
            values["response"] = None
        for name in ("history", "later"):
            values[name] = [{"role": part.role, "content": part.raw} for part in self.parts if part.name == name]
        return {name: value for name, value in values.items() if value != self.opened[name]}

    def add_turn(self, place: int) -> int:
        """Puts an empty turn after a part, of the role whose turn it is; returns where it stands."""
        # The three fields are one turn and its answer, which nothing comes between.
        if self[place].name in ("instruction", "input"):
            place = self.named("response")
        before = self[place]
        name = "history" if before.name == "history" else "later"
        role = "user" if before.role == "assistant" else "assistant"
        self.parts.insert(place + 1, _turn(name, {"role": role, "content": ""}))
        return place + 1

    def add_first(self) -> int:
        """Puts an empty system turn before everything, or a user's where there is one."""
        role = "user" if self[0].role == "system" else "system"
        place = 1 if role == "user" else 0
        self.parts.insert(place, _turn("history", {"role": role, "content": ""}))
        return place

    def remove_turn(self, place: int) -> bool:
        """Removes a turn; False for a field, which every instance has."""
        if self[place].name in TEXTS:
            return False
        del self.parts[place]
        return True

    def next_role(self, place: int) -> bool:
        """Gives a turn the next role there is; False for a field, whose role is settled."""
        part = self[place]
        if part.name in TEXTS:
            return False
        part.role = ROLES[(ROLES.index(part.role) + 1) % len(ROLES)]
        return True


def _turn(name: str, turn: Mapping[str, Any]) -> Part:
    return Part(name, turn["role"], EditorText(turn["content"]))


def names_of(fields: Sequence[str]) -> str:
    """`response and history`, for a line that tells what was changed."""
    words = ["earlier turns" if name == "history" else "later turns" if name == "later" else name for name in fields]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
