"""Answers of two runs to the same prompts, side by side: which changed, where they part, and what became of spans."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from itaudit.analysis.answers import FATES, Fate, PhraseFate, parting, phrase_fate
from itaudit.errors import UserError
from itaudit.runs.rows import Prompt, PromptShift, Response, TokenScores
from itaudit.runs.run import Run

State = Literal["changed", "same", "waiting"]
STATES: tuple[State, ...] = ("changed", "same", "waiting")

Top = tuple[tuple[int, float], ...]
"""(token id, log-probability in nats), most likely first."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A flagged stretch of the older run's answer, half-open character offsets, and what it is flagged as."""

    prompt_id: str
    start: int
    end: int
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Side:
    """One model of one run."""

    run: Run
    label: str

    def version(self) -> tuple[tuple[bool, int], ...]:
        """Changes whenever there is more to read."""
        return tuple(self.run.table(kind, self.label).version() for kind in ("responses", "scores"))

    def texts(self) -> dict[str, str]:
        """The answers so far by prompt id."""
        columns = self.run.table("responses", self.label).read().select(["prompt_id", "response"])
        return dict(zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True))

    def answer(self, prompt_id: str) -> "SideAnswer":
        return SideAnswer(self.run.response(self.label, prompt_id), self.run.token_scores(self.label, prompt_id))


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """One model's answer to one prompt; either is None as long as it is not there."""

    response: Response | None
    scores: TokenScores | None

    @property
    def text(self) -> str:
        return self.response.response if self.response else ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What one model says at a position: its token, -1 where it was cut off before, and its own likeliest tokens.

    `logprob` and `other` are its log-probabilities, in nats, of its own token and of the other model's; None where
    they are not known, which for `other` means that it is not among the `top`.
    """

    token: int
    logprob: float | None
    other: float | None
    top: Top


@dataclass(frozen=True, slots=True)
class Parting:
    """The first position at which two answers differ. The context is the same up to there, and so is the base's view.

    `start` is the character offset in both answers at which it begins; `rank_old` and `rank_new` are the tokens'
    0-based ranks among the base model's predictions, None where they are not known.
    """

    position: int
    start: int
    old: Choice
    new: Choice
    base: Top
    rank_old: int | None
    rank_new: int | None


class Comparison:
    """An older and a newer model over the prompts that both runs have, in the older run's order."""

    def __init__(self, old: Side, new: Side) -> None:
        self.old = old
        self.new = new
        self._version: object = None

    def poll(self) -> bool:
        """Takes in answers that came since; returns whether there were any. Raises UserError for broken files."""
        version = (self.old.version(), self.new.version())
        if version == self._version:
            return False
        self._version = version
        for name in ("prompts", "_texts", "states", "_shifts"):
            self.__dict__.pop(name, None)
        return True

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts of the older run that the newer one asks too, in the same words."""
        asked = {prompt.id: prompt.messages for prompt in self.new.run.prompts()}
        return tuple(prompt for prompt in self.old.run.prompts() if asked.get(prompt.id) == prompt.messages)

    @cached_property
    def _texts(self) -> tuple[dict[str, str], dict[str, str]]:
        return self.old.texts(), self.new.texts()

    @cached_property
    def states(self) -> dict[str, State]:
        """Whether each prompt's answer changed; waiting where one of them is not there yet."""
        old, new = self._texts
        return {prompt.id: _state(old.get(prompt.id), new.get(prompt.id)) for prompt in self.prompts}

    @property
    def order(self) -> tuple[Prompt, ...]:
        """The prompts whose answers changed, then those that stayed, then those that wait."""
        return tuple(sorted(self.prompts, key=lambda prompt: STATES.index(self.states[prompt.id])))

    def fate(self, spot: Spot) -> PhraseFate | None:
        """What became of a flagged stretch; None where the newer answer is not there yet."""
        old, new = self._texts
        if spot.prompt_id not in new or spot.prompt_id not in old:
            return None
        return phrase_fate(old[spot.prompt_id], spot.start, spot.end, new[spot.prompt_id])

    def totals(self, spots: Iterable[Spot]) -> dict[Fate, int]:
        """How many flagged stretches met which fate; those that wait are left out."""
        counts: dict[Fate, int] = dict.fromkeys(FATES, 0)
        for spot in spots:
            if found := self.fate(spot):
                counts[found.fate] += 1
        return counts

    @cached_property
    def _shifts(self) -> tuple[dict[str, PromptShift], dict[str, PromptShift]]:
        return self.old.run.prompt_shifts(self.old.label), self.new.run.prompt_shifts(self.new.label)

    def shifts(self, prompt_id: str) -> tuple[PromptShift | None, PromptShift | None]:
        """Class counts and KL of both answers, where they are scored."""
        old, new = self._shifts
        return old.get(prompt_id), new.get(prompt_id)

    def parting(self, prompt_id: str) -> Parting | None:
        """Where both answers part; None where they agree, are not there yet, or were given another context."""
        return parting_of(self.old.answer(prompt_id), self.new.answer(prompt_id))


def comparison(old: Run, new: Run, label: str) -> Comparison:
    """Two runs at a model of that label. Raises UserError where one of them has none."""
    for run in (old, new):
        if label not in run.labels:
            raise UserError(f"{run.name} has no model {label!r}; there are {', '.join(run.labels)}")
    return Comparison(Side(old, label), Side(new, label))


def shared_labels(old: Run, new: Run) -> tuple[str, ...]:
    """The tuned models that both runs have, in the newer one's order."""
    return tuple(label for label in new.labels[1:] if label in old.labels)


def parting_of(old: SideAnswer, new: SideAnswer) -> Parting | None:
    """The first position at which two answers differ, as `Comparison.parting` gives it."""
    if old.response is None or new.response is None or old.response.context_ids != new.response.context_ids:
        return None
    position = parting(old.response.ids, new.response.ids)
    if position is None:
        return None
    tokens = [_token(answer, position) for answer in (old, new)]
    bases = [_base(answer, position) for answer in (old, new)]
    return Parting(
        position=position,
        start=_start(old, new, position),
        old=_choice(old, position, tokens[0], tokens[1]),
        new=_choice(new, position, tokens[1], tokens[0]),
        base=bases[0] or bases[1],
        rank_old=_rank(old, position),
        rank_new=_rank(new, position),
    )


def _state(old: str | None, new: str | None) -> State:
    return "waiting" if old is None or new is None else "same" if old == new else "changed"


def _token(answer: SideAnswer, position: int) -> int:
    ids: Sequence[int] = answer.response.ids if answer.response else ()
    return ids[position] if position < len(ids) else -1


def _choice(answer: SideAnswer, position: int, token: int, other: int) -> Choice:
    scores = answer.scores
    if token < 0 or scores is None or scores.top_tuned is None or scores.logprob_tuned is None:
        return Choice(token, None, None, ())
    top = tuple(scores.top_tuned[position])
    return Choice(token, scores.logprob_tuned[position], dict(top).get(other), top)


def _base(answer: SideAnswer, position: int) -> Top:
    scores = answer.scores
    return tuple(scores.top_base[position]) if scores is not None and position < len(scores.top_base) else ()


def _rank(answer: SideAnswer, position: int) -> int | None:
    scores = answer.scores
    return scores.rank_base[position] if scores is not None and position < len(scores) else None


def _start(old: SideAnswer, new: SideAnswer, position: int) -> int:
    for answer in (old, new):
        if answer.scores is not None and position < len(answer.scores):
            return answer.scores.starts[position]
    return min(len(old.text), len(new.text))
