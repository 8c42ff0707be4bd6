"""What a task's outputs may be, told from the outputs that its instances accept.

The rule: a task has a *closed label set* where its outputs are at most 20 different texts (case and spaces aside),
of at most 10 words, and each stands for three outputs or more on average. Numbers are labels only where there are
at most 10 different ones with ten outputs or more each; else they are counts or results. Any other task generates,
and the form of its outputs names what: number, word, list of words, phrase, sentence or text.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from itaudit.analysis.words import content_words, sentence_bounds, words

MOST_LABELS, MOST_NUMBERS = 20, 10
LONGEST_LABEL = 10
OUTPUTS_A_LABEL, OUTPUTS_A_NUMBER = 3, 10
PHRASE_WORDS = 5
NEARLY_ALL = 0.95

# The first that occurs in no label parts them.
SEPARATORS = (", ", "; ", " / ", " | ", "\n")

_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?%?")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class OutputSpace:
    """`labels`, sorted, where the set is closed; `type` is `label` then, else what kind of text is generated."""

    type: str
    labels: tuple[str, ...] = ()

    @property
    def definition(self) -> str:
        """What is left of a definition when all but the output space is taken away."""
        if not self.labels:
            return self.type
        separator = next((s for s in SEPARATORS if not any(s.strip() in label for label in self.labels)), "\n")
        return separator.join(self.labels)

    def to_json(self) -> dict[str, Any]:
        return {"type": self.type, "labels": list(self.labels)}

    @classmethod
    def of_json(cls, told: Any) -> "OutputSpace":
        """What `to_json` gave. Raises ValueError where it is something else."""
        match told:
            case {"type": str(type), "labels": [*labels]} if all(isinstance(label, str) for label in labels):
                return cls(type, tuple(labels))
        raise ValueError(f"{told!r} is no output space")


def normalised(text: str) -> str:
    """Lower case, no punctuation, single spaces; a text of punctuation alone stays as it is.

    Two outputs that are equal so are one answer to exact match as Super-NaturalInstructions scores it.
    """
    return " ".join(text.lower().translate(_PUNCTUATION).split()) or text.strip()


def output_space(outputs: Sequence[str]) -> OutputSpace:
    """The output space of a task from every output that its instances accept."""
    labels = _labels(outputs)
    if labels:
        return OutputSpace("label", labels)
    for type, holds in _TYPES:
        if outputs and sum(map(holds, outputs)) >= NEARLY_ALL * len(outputs):
            return OutputSpace(type)
    if outputs and _ended(outputs) and median(len(sentence_bounds(output)) - 1 for output in outputs) <= 1:
        return OutputSpace("sentence")
    return OutputSpace("text")


def _labels(outputs: Sequence[str]) -> tuple[str, ...]:
    forms: dict[str, Counter[str]] = {}
    for output in outputs:
        form = " ".join(output.split())
        forms.setdefault(form.casefold(), Counter())[form] += 1
        if len(forms) > MOST_LABELS:
            return ()
    labels = [min(counts, key=lambda form: (-counts[form], form)) for counts in forms.values()]
    if len(labels) < 2 or any(not label or len(label.split()) > LONGEST_LABEL for label in labels):
        return ()
    numeric = all(map(_is_number, labels))
    if numeric and len(labels) > MOST_NUMBERS:
        return ()
    if len(outputs) < (OUTPUTS_A_NUMBER if numeric else OUTPUTS_A_LABEL) * len(labels):
        return ()
    return tuple(sorted(labels, key=lambda label: (label.casefold(), label)))


def _is_number(output: str) -> bool:
    text = output.strip()
    return any(map(str.isdigit, text)) and _NUMBER.fullmatch(text) is not None


def _is_word(output: str) -> bool:
    return len(output.split()) == 1


def _is_parted_list(output: str) -> bool:
    parts = [part.split() for part in re.split(r"[,;\n]", output) if part.strip()]
    return len(parts) > 1 and all(len(part) <= 3 for part in parts) and not _has_end(output)


def _is_spaced_list(output: str) -> bool:
    # Function words are over a third of a sentence, and rare among words that merely stand in a row.
    count = len(words(output))
    return count > 1 and not _has_end(output) and len(content_words(output)) >= 0.8 * count


def _is_phrase(output: str) -> bool:
    return 0 < len(output.split()) <= PHRASE_WORDS and not _has_end(output)


def _has_end(output: str) -> bool:
    return output.rstrip("\"')] \n").endswith((".", "!", "?"))


def _ended(outputs: Sequence[str]) -> bool:
    return sum(map(_has_end, outputs)) >= 0.8 * len(outputs)


_TYPES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("number", _is_number),
    ("word", _is_word),
    ("list of words", _is_parted_list),
    ("phrase", _is_phrase),
    ("list of words", _is_spaced_list),
)
