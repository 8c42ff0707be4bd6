"""What a batch came to: counts, lengths and grades before and after, and what the checks stopped."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from itaudit.simplify.proposal import Proposal


@dataclass(slots=True)
class Summary:
    """Counts are of proposals. `stopped` are those that have to be confirmed; `stops` counts them by kind of reason,
    one proposal under several."""

    proposals: int = 0
    passed: int = 0
    unchanged: int = 0
    stopped: int = 0
    problems: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    words: list[tuple[int, int]] = field(default_factory=list)
    sentences: list[tuple[int, int]] = field(default_factory=list)
    grades: list[tuple[float, float]] = field(default_factory=list)
    characters: list[int] = field(default_factory=lambda: [0, 0])
    kept: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, proposal: Proposal) -> None:
        """Takes one proposal into account."""
        self.prompt_tokens += proposal.prompt_tokens
        self.completion_tokens += proposal.completion_tokens
        checks = proposal.checks
        if checks is None:
            self.problems += 1
            return
        self.proposals += 1
        self.passed += checks.passes
        self.stopped += not checks.passes
        self.unchanged += checks.unchanged
        self.stops.update(list(checks.stops))
        self.words.append((checks.before.words, checks.after.words))
        self.sentences.append((checks.before.sentences, checks.after.sentences))
        if checks.before.grade is not None and checks.after.grade is not None:
            self.grades.append((checks.before.grade, checks.after.grade))
        self.characters[0] += checks.before.characters
        self.characters[1] += checks.after.characters
        self.kept.append(checks.kept)

    def to_json(self) -> dict[str, Any]:
        """The counts, the means over all proposals, and the compression of all together; None where there are none."""
        return {
            "proposals": self.proposals,
            "passed": self.passed,
            "unchanged": self.unchanged,
            "stopped": self.stopped,
            "problems": self.problems,
            "reasons": dict(self.stops.most_common()),
            "words": _means(self.words),
            "sentences": _means(self.sentences),
            "grade": _means(self.grades),
            "compression": round(self.characters[1] / self.characters[0], 3) if self.characters[0] else None,
            "kept": _mean(self.kept),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


def summary_of(proposals: Iterable[Proposal]) -> Summary:
    """The summary of proposals."""
    summary = Summary()
    for proposal in proposals:
        summary.add(proposal)
    return summary


def _mean(values: list[float]) -> float | None:
    return round(fmean(values), 3) if values else None


def _means(pairs: list[Any]) -> dict[str, float | None]:
    return {"before": _mean([before for before, _ in pairs]), "after": _mean([after for _, after in pairs])}
