"""Words of a response that further answers of the same model, drawn at random, do not bear out.

What a model knows it says again, and what it made up comes out differently each time: SelfCheckGPT (Manakul, Liusie
and Gales 2023, arXiv 2303.08896), whose n-gram variant asks how likely the samples make each word. Here, word by word,
a sample holds a number or a date if it says the same amount or day, however it is written, and any other content word
if it has it in some inflection. Words of the prompt are borne out by it.

The measure is of the model's own steadiness. What it always gets wrong goes unnoticed, and what it may well say in
other words is flagged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from itaudit.analysis.words import content_words, words
from itaudit.detect.neighbours import are_neighbours
from itaudit.runs.detections import Candidate
from itaudit.simplify.dates import Date, dates
from itaudit.simplify.facts import KnownFacts
from itaudit.simplify.names import NameWord, is_common, name_words
from itaudit.simplify.numbers import Number, list_number_offsets, numbers

UnitKind = Literal["date", "number", "name", "word"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A number, date, name or other content word of a response: half-open character offsets of whole words.

    `said` is what samples are asked for: the date, the number, or the key of the word.
    """

    start: int
    end: int
    kind: UnitKind
    said: Date | Number | str

    def held_by(self, known: KnownFacts) -> bool:
        """Whether some texts say it too."""
        if isinstance(self.said, Date):
            return known.holds_date(self.said)
        return known.holds_number(self.said) if isinstance(self.said, Number) else known.holds_word(self.said)


def units(response: str) -> list[Unit]:
    """What a response says that samples can bear out, in order and without overlaps.

    Numbers that only number a list, and words that mostly count nothing (`one`), are none.
    """
    unnumbered, names = list_number_offsets(response), {name.start for name in name_words(response) if _is_name(name)}
    facts: list[Date | Number] = [*dates(response), *numbers(response)]
    bounds = [(word.start, word.end) for word in words(response)]
    found: list[Unit] = []
    taken: set[int] = set()
    for fact in facts:
        start = next((start for start, end in bounds if start <= fact.start < end), fact.start)
        end = next((end for start, end in bounds if start < fact.end <= end), fact.end)
        place = range(start, end)
        if not taken.isdisjoint(place):
            continue
        taken.update(place)
        if isinstance(fact, Date):
            found.append(Unit(start, end, "date", fact))
        elif not fact.idle and fact.start not in unnumbered:
            found.append(Unit(start, end, "number", fact))
    for word in content_words(response):
        # A single Latin letter is a variable or a list's mark; in other scripts it is a word.
        if taken.isdisjoint(range(word.start, word.end)) and (len(word.text) > 1 or not word.text.isascii()):
            found.append(Unit(word.start, word.end, "name" if word.start in names else "word", word.key))
    return sorted(found, key=lambda unit: unit.start)


def _is_name(name: NameWord) -> bool:
    return name.sure or not is_common(name.key)


def candidates(response: str, prompt: str, samples: Sequence[str], *, absent: float = 0.8) -> list[Candidate]:
    """The stretches of a response that a share of at least `absent` of the samples lack, in order.

    Neighbours that only a space or a hyphen parts are one stretch, and its score is the share of the samples that lack
    any of its words. Samples without a word say nothing, and are left out. Raises ValueError where none is left.
    """
    held = [KnownFacts([sample]) for sample in samples if any(character.isalnum() for character in sample)]
    if not held:
        raise ValueError("no sample says anything")
    said = KnownFacts([prompt])
    groups: list[list[tuple[Unit, set[int]]]] = []
    for unit in units(response):
        if unit.held_by(said):
            continue
        lacking = {number for number, known in enumerate(held) if not unit.held_by(known)}
        if not lacking or len(lacking) / len(held) < absent:
            continue
        if groups and are_neighbours(response, groups[-1][-1][0].end, unit.start):
            groups[-1].append((unit, lacking))
        else:
            groups.append([(unit, lacking)])
    return [_candidate(response, group, len(held)) for group in groups]


def _candidate(response: str, group: Sequence[tuple[Unit, set[int]]], samples: int) -> Candidate:
    start, end = group[0][0].start, group[-1][0].end
    lacking = set[int]().union(*(numbers for _, numbers in group))
    kind = min((unit.kind for unit, _ in group), key=_KINDS.index)
    reason = f"{kind} in {samples - len(lacking)} of {samples} samples"
    return Candidate(start, end, response[start:end], round(len(lacking) / samples, 4), reason)


_KINDS: tuple[UnitKind, ...] = ("number", "date", "name", "word")
