"""Checks on a proposal: what it states that the instance did not, what it lost, and whether it is an answer at all."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import regex

from itaudit.analysis.words import content_words, word_key
from itaudit.data.instance import Instance
from itaudit.simplify.extractive import without_fillers
from itaudit.simplify.facts import NewFact, new_facts
from itaudit.simplify.names import stem
from itaudit.simplify.phrase_lists import has_phrase, listed_words
from itaudit.simplify.readability import Measures, measures

KEPT = 0.5
"""Share of the response's content words below which a proposal has to be confirmed, unless settings say otherwise."""

_REFUSAL_WITHIN = 200
_FENCE = regex.compile(r"^[ \t]*(?:```|~~~)", regex.MULTILINE)
_END = regex.compile(r"[.!?…。！？｡؟।:;\"'”’»)\]}*_`|>]\s*$")
_OPEN_END = regex.compile(r"[,:;(\[{–—/&+=-]\s*$")
_ITEM = regex.compile(r"^[ \t]*(?:[-*+•–·|]|[(\[]?[\p{L}\p{N}]{1,3}[.)\]:])[ \t]*")


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found about a proposal.

    `dropped` are the response's content words that the proposal has in no inflection, as they stand, each once, and
    `kept` is the share that it has, 0 to 1; words of fillers (`I hope this helps`) count for neither. `compression`
    is the proposal's length over the response's, in characters. `threshold` is the least share kept that passes.
    """

    new_facts: tuple[NewFact, ...]
    dropped: tuple[str, ...]
    kept: float
    before: Measures
    after: Measures
    compression: float
    refusal: bool
    empty: bool
    cut_off: bool
    unchanged: bool
    threshold: float = KEPT

    @property
    def longer(self) -> bool:
        return self.after.words > self.before.words

    @property
    def passes(self) -> bool:
        """Whether there is nothing to confirm."""
        return not self.reasons

    @property
    def stops(self) -> dict[str, str]:
        """What has to be confirmed, the gravest first: its kind (`number`, `refusal`, `kept` …), and a line on it."""
        if self.empty:
            return {"empty": "empty"}
        found = {"refusal": "refuses instead of answering"} if self.refusal else {}
        found |= {"cut_off": "cut off"} if self.cut_off else {}
        for kind in ("number", "date", "name"):
            new = list(dict.fromkeys(fact.text for fact in self.new_facts if fact.kind == kind))
            if new:
                found[kind] = f"new {kind}{'s' if len(new) > 1 else ''}: {', '.join(new)}"
        if self.kept < self.threshold:
            share = f"{100 * self.kept:.0f} % of the content words, less than {100 * self.threshold:.0f} %"
            found["kept"] = f"keeps {share}"
        if self.longer:
            found["longer"] = f"longer: {self.after.words} words, before {self.before.words}"
        return found

    @property
    def reasons(self) -> list[str]:
        """What has to be confirmed, a line each, the gravest first."""
        return list(self.stops.values())

    @property
    def severity(self) -> float:
        """For sorting, the gravest first; 0 where the proposal passes."""
        if self.empty:
            return 1000.0
        return (
            500.0 * self.refusal
            + 300.0 * self.cut_off
            + 20.0 * len(self.new_facts)
            + 100.0 * max(0.0, self.threshold - self.kept)
            + (5.0 if self.longer else 0.0)
        )

    def to_json(self) -> dict[str, Any]:
        """Everything as a JSON object, with `passes` and `reasons` for readers that are not itaudit."""
        return {**asdict(self), "longer": self.longer, "passes": self.passes, "reasons": self.reasons}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Checks":
        """The checks that `to_json` wrote. Raises KeyError or TypeError where it is not one."""
        told = {name: content[name] for name in cls.__dataclass_fields__}
        told["new_facts"] = tuple(NewFact(**fact) for fact in told["new_facts"])
        told["dropped"] = tuple(told["dropped"])
        told["before"], told["after"] = Measures(**told["before"]), Measures(**told["after"])
        return cls(**told)


def check(instance: Instance, after: str, *, finish: str | None = None, threshold: float = KEPT) -> Checks:
    """Checks a proposal for an instance's response.

    `finish` is why the model stopped, as it says itself; `length` is an answer that was cut off.
    """
    before = instance.response or ""
    dropped, kept = _dropped(without_fillers(before), after)
    return Checks(
        new_facts=tuple(new_facts(instance, after)),
        dropped=dropped,
        kept=kept,
        before=measures(before),
        after=measures(after),
        compression=round(len(after) / len(before), 4) if before else 1.0,
        refusal=refuses(after) and not refuses(before),
        empty=not any(character.isalnum() for character in after) and any(c.isalnum() for c in before),
        cut_off=finish == "length" or (_ends_early(after) and not _same_end(before, after)),
        unchanged=after.strip() == before.strip(),
        threshold=threshold,
    )


def _dropped(before: str, after: str) -> tuple[tuple[str, ...], float]:
    kept = {stem(word.key) for word in content_words(after)}
    wanted: dict[str, str] = {}
    for word in content_words(before):
        wanted.setdefault(stem(word.key), word.text)
    dropped = tuple(text for stemmed, text in wanted.items() if stemmed not in kept)
    return dropped, round(1 - len(dropped) / len(wanted), 4) if wanted else 1.0


def refuses(text: str) -> bool:
    """Whether a text declines to answer, by the phrases of `phrases/refusals.txt` near its beginning."""
    return has_phrase(text[:_REFUSAL_WITHIN], "refusals")


def _ends_early(text: str) -> bool:
    """Whether a text stops where no sentence, item, cell or code block ends."""
    if len(_FENCE.findall(text)) % 2:
        return True
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines or _END.search(text):
        return bool(lines) and bool(_OPEN_END.search(text)) and not _FENCE.search(lines[-1])
    last = _ITEM.sub("", lines[-1])
    if _OPEN_END.search(last):
        return True
    found = [word_key(word) for word in regex.findall(r"[\p{L}\p{M}'’]+", last)]
    if found and found[-1] in listed_words("never_last"):
        return True
    # Prose whose earlier sentences are closed closes its last one too; items and short answers often do not.
    closed = [line for line in lines[:-1] if _END.search(line)] or regex.findall(r"[\p{L}\p{N}][.!?]\s+\p{Lu}", last)
    return bool(closed) and last == lines[-1] and len(found) > 3


def _same_end(before: str, after: str) -> bool:
    """Whether the response itself stopped like that: then it was not the proposal that was cut off."""
    end = after.rstrip()[-24:]
    return before.rstrip().endswith(end) and len(_FENCE.findall(before)) % 2 == len(_FENCE.findall(after)) % 2
