"""Control statements: plainly false sentences that are planted in a text, to see whether its judge does its work.

A judge that reports nothing, because the text told it to or because it can't judge, does not report these either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import regex

from itaudit.analysis.words import content_words
from itaudit.detect.occurrences import has_content, normalised, occurrences

_WRONG = regex.compile(r"\[([^\]]+)\]")


@dataclass(frozen=True, slots=True)
class Control:
    """A false sentence, and the words that make it false, which the text that it is planted in does not hold."""

    sentence: str
    wrong: str

    def reported_by(self, phrase: str, text: str) -> bool:
        """Whether a phrase copies some of the sentence, and nothing of the text that it is planted in."""
        return has_content(phrase) and bool(occurrences(self.sentence, phrase)) and not occurrences(text, phrase)


@cache
def _templates() -> tuple[str, ...]:
    lines = Path(__file__).with_name("controls.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line.strip() and not line.startswith("#"))


def draw_controls(random: Random, count: int, texts: Sequence[str]) -> tuple[Control, ...]:
    """Different control statements, drawn at random among those that no text mentions.

    Raises ValueError where fewer are left: a text that quotes them all is out to deceive.
    """
    known = [normalised(text) for text in texts]
    said = {word.key for text in texts for word in content_words(text)}
    templates = list(_templates())
    random.shuffle(templates)
    drawn = (_drawn(random, template, known, said) for template in templates)
    found = tuple(islice((control for control in drawn if control is not None), count))
    if len(found) < count:
        raise ValueError("the text holds the control statements themselves")
    return found


def _drawn(random: Random, template: str, known: Sequence[str], said: set[str]) -> Control | None:
    """A statement made wrong in one way, such that neither its beginning nor its wrong words stand in a text."""
    match = _WRONG.search(template)
    if match is None:
        raise ValueError(f"controls.txt: no words in brackets: {template}")
    begins = normalised(template[: match.start()])
    ways = [way for way in match[1].split("|") if said.isdisjoint(word.key for word in content_words(way))]
    if not ways or any(begins in text for text in known):
        return None
    wrong = random.choice(ways)
    return Control(f"{template[: match.start()]}{wrong}{template[match.end() :]}", wrong)
