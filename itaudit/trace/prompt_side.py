"""The two sides of a dataset: what its instances ask, which retrieval reads, and what they answer, which it must not.

Were the answers part of what retrieval reads, the instances that it finds would hold a response's words for that
reason alone, and no comparison with chance could be fair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

from itaudit.data.instance import Instance
from itaudit.trace.index_files import Instances


def prompt_side(instance: Instance) -> Instance:
    """The instance without its answers: no response, no assistant message before it, nothing after it."""
    history = tuple(message for message in instance.history if message.role != "assistant")
    return replace(instance, response=None, history=history, later=(), references=())


def response_turns(instance: Instance) -> list[str]:
    """The texts of all assistant turns, in order, the audited one among them."""
    turns = [message.content for message in instance.history if message.role == "assistant"]
    if instance.response is not None:
        turns.append(instance.response)
    return turns + [message.content for message in instance.later if message.role == "assistant"]


class PromptSides(Sequence[Instance]):
    """A view of a dataset that shows only the prompt side of each instance."""

    def __init__(self, instances: Instances) -> None:
        self._instances = instances

    def __len__(self) -> int:
        return len(self._instances)

    @overload
    def __getitem__(self, position: int) -> Instance: ...
    @overload
    def __getitem__(self, position: slice) -> "list[Instance]": ...
    def __getitem__(self, position: int | slice) -> "Instance | list[Instance]":
        if isinstance(position, slice):
            return [self[at] for at in range(len(self))[position]]
        return prompt_side(self._instances[position])

    def __iter__(self) -> Iterator[Instance]:
        return map(prompt_side, self._instances)
