"""An instance: one instruction-tuning example, in one shape for every file format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


def answer_positions(messages: Sequence[Message]) -> list[int]:
    """Where the assistant messages that follow a user message stand: the turns that can be audited."""
    return [
        position
        for position in range(1, len(messages))
        if messages[position].role == "assistant" and messages[position - 1].role == "user"
    ]


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance with the turn that is audited taken apart into instruction, input and response.

    `index` is the row in the source, counted from 0 and rejected rows included; `id` is the source's own, or
    the index as text. `history` holds what comes before the audited turn (a system message too) and `later`
    what follows it. `response` is None for a prompt without an answer. `references` are all accepted answers,
    the response among them. `extra` keeps the columns that no field claims: a round trip loses nothing.
    """

    index: int
    id: str
    instruction: str
    input: str = ""
    response: str | None = None
    history: tuple[Message, ...] = ()
    later: tuple[Message, ...] = ()
    references: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The user's message of the audited turn: the instruction, then a blank line and the input if any."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction

    @property
    def messages(self) -> tuple[Message, ...]:
        """The whole conversation, in order."""
        turn: tuple[Message, ...] = (Message("user", self.prompt),)
        if self.response is not None:
            turn += (Message("assistant", self.response),)
        return self.history + turn + self.later

    def at_turn(self, turn: int) -> "Instance":
        """The same instance audited at another of its assistant answers.

        `turn` counts the assistant messages that follow a user message, from 0, or from the end if negative.
        Raises IndexError where there is no such turn.
        """
        messages = self.messages
        answer = answer_positions(messages)[turn]
        if messages[: answer - 1] == self.history:
            return self
        return replace(
            self,
            history=messages[: answer - 1],
            instruction=messages[answer - 1].content,
            input="",
            response=messages[answer].content,
            later=messages[answer + 1 :],
            references=(messages[answer].content,),
        )
