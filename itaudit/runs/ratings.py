"""Ratings: what people say of whole answers, aspect by aspect, in an append-only file.

A line is one act of one rater on one answer: a rating of an aspect, a note, or that the answer is skipped; or it takes
such an act back. An answer is named by its prompt and its text, never by the model that gave it, so that the file is as
blind as the screen: whoever wants to know joins it with the responses. A rating of an answer that is no longer given
therefore stands for nothing, and two models that say the same are rated alike.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import orjson

from itaudit import atomic
from itaudit.errors import UserError

VERSION = 1
LOWEST, HIGHEST = 1, 5
RATER_LENGTH = 40

Did = Literal["rate", "note", "skip"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a rater did about one answer; `answer` is `answer_hash` of its text.

    `rate` gives `aspect` a `value` of 1 to 5, `note` replaces the note, `skip` leaves the answer out, whatever it was
    rated, until it is rated again. `id` names the act, for what takes it back; `time` is in seconds since the epoch.
    """

    did: Did
    rater: str
    prompt_id: str
    answer: str
    aspect: str = ""
    value: int = 0
    note: str = ""
    id: str = ""
    time: float = 0.0

    @property
    def key(self) -> "Key":
        return self.rater, self.prompt_id, self.answer


Key = tuple[str, str, str]
"""Rater, prompt, and the hash of the answer."""


@dataclass(frozen=True, slots=True)
class Rated:
    """What one rater says of one answer: values by aspect, 1 to 5; none where it is skipped. `time` is of the last."""

    values: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    skipped: bool = False
    time: float = 0.0


NOTHING = Rated()


@dataclass(frozen=True, slots=True)
class Choice:
    """What a rater was asked to rate: the models, how many prompts (0 is all), and the seed that shuffles."""

    models: tuple[str, ...]
    prompts: int = 0
    seed: int = 0


class Ratings:
    """The ratings file of a run, read on from where it was read last. Several raters may write at the same time."""

    def __init__(self, path: Path) -> None:
        """Raises UserError where the file is there and can't be read."""
        self.path = path
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._offset = 0
        self._acts: dict[str, list[Act]] = {}
        self._by_key: dict[Key, list[Act]] = {}
        self._choices: dict[str, Choice] = {}

    def refresh(self) -> bool:
        """Takes in what was appended; whether there was anything. Raises UserError where the file can't be read.

        Lines that say nothing usable, such as one that a crash tore, are passed over.
        """
        try:
            with self.path.open("rb") as file:
                if file.seek(0, 2) < self._offset:
                    # Somebody put another file there.
                    self._forget()
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UserError(f"{self.path}: can't read the ratings: {error.strerror}") from None
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(line)
        return bool(whole)

    def _take(self, line: bytes) -> None:
        try:
            told = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        if not isinstance(told, dict) or told.get("v") != VERSION or not isinstance(told.get("rater"), str):
            return
        match told.get("did"):
            case "undo":
                self._take_back(told["rater"], told.get("id"))
            case "begin":
                choice = _choice_of(told)
                if choice is not None:
                    self._choices[told["rater"]] = choice
            case _:
                act = _act_of(told)
                if act is not None:
                    self._acts.setdefault(act.rater, []).append(act)
                    self._by_key.setdefault(act.key, []).append(act)

    def _take_back(self, rater: str, id: object) -> None:
        acts = self._acts.get(rater, [])
        # What is taken back stands at the end, or near it.
        place = next((place for place in reversed(range(len(acts))) if acts[place].id == id), None)
        if place is None:
            return
        act = acts.pop(place)
        left = self._by_key[act.key]
        left.remove(act)
        if not left:
            del self._by_key[act.key]

    def rated(self, rater: str, prompt_id: str, answer: str) -> Rated:
        """What a rater says of an answer."""
        return _folded(self._by_key.get((rater, prompt_id, answer), ()))

    def all(self) -> dict[Key, Rated]:
        """Everything that stands, in the order in which the answers were first judged."""
        return {key: _folded(acts) for key, acts in self._by_key.items()}

    @property
    def raters(self) -> tuple[str, ...]:
        """Everybody who rated or began to."""
        return tuple(dict.fromkeys((*self._choices, *self._acts)))

    def named(self, rater: str) -> str:
        """The name under which a rater is known here: names that differ in case alone are one person's."""
        return next((known for known in self.raters if known.casefold() == rater.casefold()), rater)

    def choice(self, rater: str) -> Choice | None:
        """What a rater was asked to rate last; None for somebody new."""
        return self._choices.get(rater)

    def begin(self, rater: str, choice: Choice) -> None:
        """Writes down what a rater is asked to rate, where that is new. Raises UserError as `append` does."""
        if self.choice(rater) != choice:
            told = {"did": "begin", "rater": rater, **asdict(choice), "time": time.time()}
            self._write(told)

    def append(self, act: Act) -> Act:
        """Writes an act down, dated and named. When this returns, it is on the disk.

        Raises UserError where it could not be written; then it does not count.
        """
        # Imported where it is needed: screens that only read ratings start without.
        import secrets

        if act.did == "rate" and not (LOWEST <= act.value <= HIGHEST and act.aspect):
            raise ValueError(f"no rating: {act}")
        named = {**asdict(act), "id": secrets.token_hex(6), "time": act.time or time.time()}
        self._write({name: value for name, value in named.items() if value not in ("", 0)})
        return Act(**named)

    def undo(self, rater: str) -> Act | None:
        """Takes the rater's newest act back by appending; returns it, or None where nothing is left.

        Raises UserError where the file can't be read or written.
        """
        self.refresh()
        acts = self._acts.get(rater)
        if not acts:
            return None
        newest = acts[-1]
        self._write({"did": "undo", "rater": rater, "id": newest.id, "time": time.time()})
        return newest

    def _write(self, told: dict[str, Any]) -> None:
        try:
            line = orjson.dumps({"v": VERSION, **told})
        except orjson.JSONEncodeError:
            raise UserError(f"{self.path}: a name or note is not Unicode; write it in UTF-8", code=2) from None
        try:
            atomic.append_line(self.path, line, sync=True)
        except OSError as error:
            raise UserError(f"{self.path}: can't write the rating, so it does not count: {error.strerror}") from None
        self.refresh()


def answer_hash(text: str) -> str:
    """32 hex digits that stand for the text of an answer."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def check_rater(name: str) -> str:
    """A rater's name without the space around it. Raises UserError for one that is empty, too long or no plain line."""
    found = name.strip()
    if not found or len(found) > RATER_LENGTH or not found.isprintable():
        raise UserError(f"rater {name[:60]!r}: expected one line of 1 to {RATER_LENGTH} characters", code=2)
    return found


def _folded(acts: Iterable[Act]) -> Rated:
    """What stands after some acts of one rater on one answer."""
    values: dict[str, int] = {}
    note, skipped, last = "", False, 0.0
    for act in acts:
        last = act.time
        match act.did:
            case "rate":
                values[act.aspect], skipped = act.value, False
            case "skip":
                values, skipped = {}, True
            case "note":
                note = act.note
    return Rated(values, note, skipped, last)


_NAMES = tuple(one.name for one in fields(Act))


def _act_of(told: dict[str, Any]) -> Act | None:
    known = {name: told[name] for name in _NAMES if name in told}
    if not {"did", "prompt_id", "answer", "id"} <= known.keys():
        return None
    act = Act(**known)
    texts = (act.prompt_id, act.answer, act.aspect, act.note, act.id)
    if not all(isinstance(text, str) for text in texts) or type(act.time) not in (int, float):
        return None
    rates = type(act.value) is int and LOWEST <= act.value <= HIGHEST and bool(act.aspect)
    return act if act.did in ("note", "skip") or (act.did == "rate" and rates) else None


def _choice_of(told: dict[str, Any]) -> Choice | None:
    models, prompts, seed = told.get("models"), told.get("prompts"), told.get("seed")
    if not isinstance(models, list) or not all(isinstance(label, str) for label in models):
        return None
    if type(prompts) is not int or type(seed) is not int or prompts < 0:
        return None
    return Choice(tuple(models), prompts, seed)
