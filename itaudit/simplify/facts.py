"""Facts that a proposal states and its instance does not: numbers, dates and names, with their offsets."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from itaudit.data.instance import Instance
from itaudit.simplify.dates import Date, Said, dates
from itaudit.simplify.names import KnownNames, new_names
from itaudit.simplify.numbers import Number, list_number_offsets, numbers
from itaudit.simplify.plain import undecorated

FactKind = Literal["number", "date", "name"]


@dataclass(frozen=True, slots=True)
class NewFact:
    """A stretch of a proposal, half-open in characters, that says what the instance does not hold."""

    start: int
    end: int
    text: str
    kind: FactKind


class KnownFacts:
    """The numbers, dates and names of some texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        texts = [text for text in texts if text]
        # Decoration may part what belongs together: `**2** million`.
        texts += [plain for text in texts if (plain := undecorated(text)) != text]
        self._names = KnownNames(texts)
        self._said: set[Said] = set()
        self._numbers: set[Hashable] = set()
        for text in texts:
            for date in dates(text):
                self._said.update(date.readings)
            for number in numbers(text):
                self._numbers.update(number.readings + number.parts)

    def new_in(self, text: str) -> list[NewFact]:
        """What a text states beyond the known, in order and without overlaps."""
        said = dates(text)
        new = [(date.start, date.end, _DATE) for date in said if not self.holds_date(date)]
        unnumbered = list_number_offsets(text)
        taken = [(date.start, date.end) for date in said]
        for number in numbers(text):
            free = not any(start < number.end and number.start < end for start, end in taken)
            if free and number.start not in unnumbered and not self.holds_number(number):
                new.append((number.start, number.end, _NUMBER))
        taken = [*taken, *((start, end) for start, end, _ in new)]
        for start, end in new_names(text, self._names):
            if not any(other < end and start < stop for other, stop in taken):
                new.append((start, end, _NAME))
        return [NewFact(start, end, text[start:end], kind) for start, end, kind in sorted(new)]

    def holds_word(self, key: str) -> bool:
        """Whether a word stands in the texts in some inflection, by its key."""
        return self._names.holds(key)

    def holds_date(self, date: Date) -> bool:
        """Whether the texts say a date, or a more exact one."""
        return any(known.holds(reading) for reading in date.readings for known in self._said)

    def holds_number(self, number: Number) -> bool:
        """Whether the texts hold a number, however it is written; those that mostly count nothing always are."""
        return number.idle or not self._numbers.isdisjoint(number.readings)


_DATE: FactKind = "date"
_NUMBER: FactKind = "number"
_NAME: FactKind = "name"


def instance_texts(instance: Instance) -> list[str]:
    """The texts that a proposal for an instance may take its facts from: all but the later turns."""
    texts = [instance.response or "", instance.instruction, instance.input]
    return texts + [message.content for message in instance.history]


def new_facts(instance: Instance, proposal: str) -> list[NewFact]:
    """The numbers, dates and names of a proposal that the instance does not hold, in order."""
    if proposal == instance.response:
        return []
    return KnownFacts(instance_texts(instance)).new_in(proposal)
