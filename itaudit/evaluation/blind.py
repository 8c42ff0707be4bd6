"""Blind rating: which answers a rater sees in which order, and where the rater is; nothing here names a model.

Prompts come in an order that the seed alone decides, so that raters who stop early have rated the same ones. The
answers to a prompt come in an order of each rater's own. Both follow from hashes: nothing has to be kept to go on.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from itaudit.errors import UserError
from itaudit.evaluation.aspects import ASPECTS
from itaudit.runs.ratings import Act, Choice, Rated, Ratings, answer_hash
from itaudit.runs.rows import Prompt
from itaudit.runs.run import Run


@dataclass(frozen=True, slots=True)
class BlindAnswer:
    """One answer to be rated: `number` of `of` different answers to its prompt, counted from 1.

    `answer` is the hash of its text. Which model gave it, or how many did, is not known here.
    """

    prompt: Prompt
    text: str
    answer: str
    number: int
    of: int


def choose(
    run: Run,
    ratings: Ratings,
    rater: str,
    *,
    models: Sequence[str] | None = None,
    prompts: int | None = None,
    seed: int | None = None,
) -> Choice:
    """What a rater is asked to rate: as the last time, or as the others were, but for what is given.

    Somebody who is the first is asked about all models and prompts. Raises UserError for an unknown model.
    """
    before = ratings.choice(rater) or next((ratings.choice(other) for other in reversed(ratings.raters)), None)
    choice = before or Choice(run.labels)
    if models is not None:
        choice = replace(choice, models=tuple(dict.fromkeys(models)))
    for label in choice.models:
        run.table("responses", label)
    return replace(
        choice,
        prompts=choice.prompts if prompts is None else prompts,
        seed=choice.seed if seed is None else seed,
    )


def blind_answers(run: Run, rater: str, choice: Choice) -> tuple[BlindAnswer, ...]:
    """The answers that a rater sees, in order; two models' answers with the same text are one.

    Prompts that one of the models has not answered yet are left out, since what comes later would stand out. Raises
    UserError where that leaves none.
    """
    texts = [responses(run, label) for label in choice.models]
    order = sorted(run.prompts(), key=lambda prompt: _shuffled(choice.seed, prompt.id))
    found: list[BlindAnswer] = []
    for prompt in order[: choice.prompts or None]:
        if not texts or any(prompt.id not in told for told in texts):
            continue
        different = {answer_hash(told[prompt.id]): told[prompt.id] for told in texts}
        hashes = sorted(different, key=lambda one: _shuffled(choice.seed, rater, prompt.id, one))
        found += [BlindAnswer(prompt, different[one], one, number, len(hashes)) for number, one in enumerate(hashes, 1)]
    if not found:
        raise UserError(
            f"{run.path}: no prompt is answered by all of {', '.join(choice.models)} yet; "
            "wait for the run, or name fewer with --models"
        )
    return tuple(found)


def responses(run: Run, label: str) -> dict[str, str]:
    """The answers of a model by prompt id; none where it has not answered yet."""
    columns = run.table("responses", label).read().select(["prompt_id", "response"])
    return dict(zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True))


def is_done(rated: Rated) -> bool:
    """Whether nothing is left to say of an answer: all aspects are rated, or it is skipped."""
    return rated.skipped or all(aspect in rated.values for aspect in ASPECTS)


@dataclass(frozen=True, slots=True)
class Count:
    """How far a rater is: answers rated in all aspects, answers skipped, answers in all."""

    rated: int
    skipped: int
    answers: int

    @property
    def left(self) -> int:
        return self.answers - self.rated - self.skipped


class BlindRating:
    """A rater among the answers: at the answer `place` and the aspect `aspect`, a number in ASPECTS.

    What is shown is what stands in the file: every act is on the disk before it is seen here.
    """

    def __init__(self, run: Run, ratings: Ratings, rater: str, choice: Choice) -> None:
        """Stands where the rater stopped. Raises UserError where there is nothing to rate, or the file fails."""
        self.answers = blind_answers(run, rater, choice)
        self.ratings = ratings
        self.rater = rater
        self.choice = choice
        ratings.begin(rater, choice)
        self._rated = [self._read(place) for place in range(len(self.answers))]
        self.place = self.aspect = 0
        self._stand(self._open_from(0))

    def _read(self, place: int) -> Rated:
        answer = self.answers[place]
        return self.ratings.rated(self.rater, answer.prompt.id, answer.answer)

    @property
    def answer(self) -> BlindAnswer:
        return self.answers[self.place]

    @property
    def rated(self) -> Rated:
        """What stands of the answer that the rater is at."""
        return self._rated[self.place]

    @property
    def done(self) -> bool:
        """Whether no answer is open."""
        return all(map(is_done, self._rated))

    def count(self) -> Count:
        skipped = sum(rated.skipped for rated in self._rated)
        return Count(sum(map(is_done, self._rated)) - skipped, skipped, len(self._rated))

    def states(self) -> tuple[Rated, ...]:
        """What stands of each answer."""
        return tuple(self._rated)

    def _open_from(self, place: int, step: int = 1) -> int | None:
        """The first answer that is open, from a place on and around."""
        around = [(place + step * number) % len(self.answers) for number in range(len(self.answers))]
        return next((each for each in around if not is_done(self._rated[each])), None)

    def _stand(self, place: int | None) -> None:
        """Goes to an answer, and there to the first aspect that is not rated."""
        if place is not None:
            self.place = place
        values = self.rated.values
        self.aspect = next((n for n, aspect in enumerate(ASPECTS) if aspect not in values), 0)

    def rate(self, value: int) -> bool:
        """Rates the aspect; goes to the next one, or to the next open answer where that was the last one missing.

        Whether it went to another answer. Raises UserError where it could not be written; then nothing changes.
        """
        was_done = is_done(self.rated) and not self.rated.skipped
        self._write(Act("rate", self.rater, self.answer.prompt.id, self.answer.answer, ASPECTS[self.aspect], value))
        if is_done(self.rated) and not was_done:
            return self._go_on()
        missing = [aspect not in self.rated.values for aspect in ASPECTS]
        later = [(self.aspect + step) % len(ASPECTS) for step in range(1, len(ASPECTS) + 1)]
        # Who changes what is complete goes down the list, and stays at its end.
        below = min(self.aspect + 1, len(ASPECTS) - 1)
        self.aspect = below if was_done else next((each for each in later if missing[each]), below)
        return False

    def skip(self) -> bool:
        """Leaves the answer out and goes on; whether to another one. Raises UserError as `rate` does."""
        self._write(Act("skip", self.rater, self.answer.prompt.id, self.answer.answer))
        return self._go_on()

    def note(self, text: str) -> None:
        """Puts a note in place of what was noted before. Raises UserError as `rate` does."""
        if text != self.rated.note:
            self._write(Act("note", self.rater, self.answer.prompt.id, self.answer.answer, note=text))

    def undo(self) -> Act | None:
        """Takes the newest act of this rater back, and goes to where it was done; None where nothing is left.

        The act may be of an answer that is not among these. Raises UserError as `rate` does.
        """
        act = self.ratings.undo(self.rater)
        if act is None:
            return None
        places = (n for n, one in enumerate(self.answers) if (one.prompt.id, one.answer) == (act.prompt_id, act.answer))
        place = next(places, None)
        if place is not None:
            self._rated[place] = self._read(place)
            self._stand(place)
            if act.aspect in ASPECTS:
                self.aspect = ASPECTS.index(act.aspect)
        return act

    def _write(self, act: Act) -> None:
        self.ratings.append(act)
        self._rated[self.place] = self._read(self.place)

    def _go_on(self) -> bool:
        before = self.place
        following = self._open_from(self.place)
        self._stand(following if following is not None else self.place)
        return self.place != before

    def go(self, by: int) -> bool:
        """Goes to the answer so many further on; whether there is one."""
        place = min(max(self.place + by, 0), len(self.answers) - 1)
        moved = place != self.place
        if moved:
            self._stand(place)
        return moved

    def go_open(self, direction: int) -> bool:
        """Goes to the next open answer, or the one before; whether there is another."""
        place = self._open_from(self.place + direction, direction)
        moved = place is not None and place != self.place
        if moved:
            self._stand(place)
        return moved

    def go_aspect(self, by: int) -> None:
        self.aspect = min(max(self.aspect + by, 0), len(ASPECTS) - 1)


def _shuffled(*parts: object) -> bytes:
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).digest()
