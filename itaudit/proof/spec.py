"""What a proof is asked, and what it answers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from itaudit.errors import UserError

Kind = Literal["tail-patch", "drop-and-retrain"]
KINDS: tuple[Kind, ...] = ("tail-patch", "drop-and-retrain")
Replace = Literal["drop", "edited"]
Word = Literal["cause shown", "no effect seen", "not decided"]

CONTROLS: dict[Kind, int] = {"tail-patch": 20, "drop-and-retrain": 5}
"""Controls where nobody says how many: random instances, or random drops, per group of targets."""
SEEDS = 3
"""Seeds of drop-and-retrain where nobody says how many."""
MOST_SOURCES = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """A span of a response, half-open character offsets, and its suspected sources: rows of the source file."""

    prompt_id: str
    start: int
    end: int
    text: str
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProofSpec:
    """What is to be proved of one tuned model.

    `controls` counts matched random instances (tail patch), or random drops of as many instances (drop and retrain),
    for each group of targets that share their sources; 0 takes the default. A tail patch has one seed, the recipe's;
    `replace` is of drop-and-retrain: leave the sources out, or put their edited versions in their place.
    """

    kind: Kind
    model: str
    targets: tuple[Target, ...]
    controls: int = 0
    seeds: int = SEEDS
    replace: Replace = "drop"

    def resolved(self) -> "ProofSpec":
        """With the defaults filled in. Raises UserError, code 2, for values that make no proof."""
        if self.kind not in KINDS:
            raise UserError(f"{self.kind!r} is no proof; there are {' and '.join(KINDS)}", code=2)
        if self.replace not in ("drop", "edited"):
            raise UserError(f"{self.replace!r} replaces nothing; use drop or edited", code=2)
        if self.kind == "tail-patch" and self.replace == "edited":
            raise UserError("a tail patch takes no edited instances; drop-and-retrain does", code=2)
        if not self.targets:
            raise UserError("there is nothing to prove: no span with sources was given", code=2)
        if not 0 <= self.controls <= 1000 or not 1 <= self.seeds <= 100:
            raise UserError("controls are 1 to 1000, and seeds 1 to 100", code=2)
        seeds = 1 if self.kind == "tail-patch" else self.seeds
        targets = tuple(_unique_sources(target) for target in self.targets)
        return ProofSpec(self.kind, self.model, targets, self.controls or CONTROLS[self.kind], seeds, self.replace)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ProofSpec":
        """The spec of a JSON object. Raises KeyError, TypeError or ValueError where it is none."""
        told = {name: content[name] for name in cls.__dataclass_fields__}
        targets = tuple(Target(**target | {"sources": tuple(target["sources"])}) for target in told["targets"])
        spec = cls(**told | {"targets": targets})
        numbers = [number for target in targets for number in (target.start, target.end, *target.sources)]
        texts = [spec.model, *(text for target in targets for text in (target.prompt_id, target.text))]
        if spec.kind not in KINDS or not all(isinstance(number, int) for number in numbers):
            raise ValueError("no kind of proof, or offsets and rows that are no numbers")
        if not targets or not all(isinstance(text, str) for text in texts):
            raise ValueError("no targets, or texts that are none")
        return spec


def _unique_sources(target: Target) -> Target:
    sources = tuple(sorted(set(target.sources)))
    where = f"prompt {target.prompt_id}, span {target.start}:{target.end}"
    if not sources:
        raise UserError(f"{where}: has no sources to test; name some", code=2)
    if len(sources) > MOST_SOURCES:
        raise UserError(f"{where}: {len(sources)} sources are too many; {MOST_SOURCES} at most", code=2)
    return Target(target.prompt_id, target.start, target.end, target.text, sources)


@dataclass(frozen=True, slots=True)
class SourceEffect:
    """What one step on one source did (tail patch).

    `effect` is the change of the span's log-probability in nats, `rank` 1 + the controls that raised it as much or
    more, `p` the share of controls and itself that did.
    """

    row: int
    effect: float
    rank: int
    p: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a proof says of one target, by the units that are done.

    `effect` is in nats, positive where the sources raise the span's log-probability, with its 95 % interval `low` to
    `high` and two-sided `p`; None where there is nothing to tell it from yet. Drop and retrain: `controls` are control
    drops, `seeds` the seeds that count, `per_seed` the effect under each, `said_with` and `said_without` the share of
    greedy answers that still say the span with the sources in (control drops) and without. Tail patch: `controls` are
    control instances, `auc` the chance that a source raises the span more than a control, `sources` the single ones.
    `points` tells that a tail patch points to the sources, which decides nothing by itself. `done` is false while
    units are missing. `text` is one plain sentence.
    """

    proof: str
    model: str
    target: Target
    kind: Kind
    replace: Replace
    verdict: Word
    text: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    seeds: int = 0
    controls: int = 0
    per_seed: tuple[float, ...] = ()
    said_with: float | None = None
    said_without: float | None = None
    auc: float | None = None
    sources: tuple[SourceEffect, ...] = field(default=())
    points: bool = False
    done: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
