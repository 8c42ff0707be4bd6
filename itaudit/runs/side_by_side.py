"""Several models' answers to the same prompts, side by side: where they part, shift by position, what was asked.

The models may be of one run, or of several, such as the cells of an experiment.
"""

import filecmp
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from itaudit.analysis.answers import parting
from itaudit.analysis.by_position import ByPosition, by_position
from itaudit.errors import UserError
from itaudit.runs.cells import Cell, runs_of
from itaudit.runs.compare import Side, SideAnswer
from itaudit.runs.rows import Prompt, PromptShift
from itaudit.runs.run import Run

MOST = 4
"""Models that stand side by side at most."""


@dataclass(frozen=True, slots=True)
class Partings:
    """Where answers differ first, as 0-based positions; a position behind the last one is the end of an answer.

    `first` is where not all of them agree any more, None where they do to the end. `each` has, a model, where it parts
    from the first model; for that one, `first`. `groups` are the models that agree at `first`, by their places, those
    of the first model in front. `same_context` tells whether all models read the same tokens before the answer, so
    that the base model's ranks up to there compare.
    """

    first: int | None
    each: tuple[int | None, ...]
    groups: tuple[tuple[int, ...], ...]
    same_context: bool


class SideBySide:
    """Up to MOST models over the prompts that all of their runs ask in the same words, in the first one's order."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        """Raises UserError where there are none, too many, or they have no prompt in common."""
        if not 1 <= len(cells) <= MOST:
            raise UserError(f"{len(cells)} models can't stand side by side; choose 1 to {MOST}")
        self.cells = tuple(cells)
        self.sides = tuple(Side(cell.run, cell.label) for cell in cells)
        self.names = names_of(cells)
        self._version: object = None
        if len(self.runs) > 1 and not self.prompts and all(run.prompts() for run in self.runs):
            names = ", ".join(run.name for run in self.runs)
            raise UserError(f"{names}: no prompt is asked in all of these runs; choose models that were asked the same")

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of the models, each once."""
        return runs_of(self.cells)

    def poll(self) -> bool:
        """Takes in answers that came since; returns whether there were any. Raises UserError for broken files."""
        version = tuple(side.version() for side in self.sides)
        if version == self._version:
            return False
        self._version = version
        for name in ("prompts", "_shifts", "first_partings"):
            self.__dict__.pop(name, None)
        return True

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        first, *others = self.runs
        asked = [{prompt.id: prompt.messages for prompt in run.prompts()} for run in others]
        return tuple(
            prompt for prompt in first.prompts() if all(each.get(prompt.id) == prompt.messages for each in asked)
        )

    def answers(self, prompt_id: str) -> tuple[SideAnswer, ...]:
        """Each model's answer to a prompt, as far as it is there."""
        return tuple(side.answer(prompt_id) for side in self.sides)

    @cached_property
    def _shifts(self) -> tuple[dict[str, PromptShift], ...]:
        return tuple(side.run.prompt_shifts(side.label) for side in self.sides)

    def shifts(self, prompt_id: str) -> tuple[PromptShift | None, ...]:
        """Class counts and KL of each model's answer to a prompt, where it is scored."""
        return tuple(shifts.get(prompt_id) for shifts in self._shifts)

    @cached_property
    def same_vocabulary(self) -> bool:
        """Whether token ids mean the same in all of the runs."""
        first, *others = (run.vocabulary_path for run in self.runs)
        return all(first.exists() and other.exists() and filecmp.cmp(first, other, shallow=False) for other in others)

    def partings(self, prompt_id: str) -> Partings:
        """Where the answers to a prompt part; those that are not there yet agree with everything."""
        answers = self.answers(prompt_id)
        read = [self._tokens(cell.run, answer) for cell, answer in zip(self.cells, answers, strict=True)]
        there = [place for place, tokens in enumerate(read) if tokens is not None]
        contexts = [answer.response.context_ids for answer in answers if answer.response is not None]
        same = self.same_vocabulary and all(context == contexts[0] for context in contexts)
        if not there:
            return Partings(None, (None,) * len(read), (), same)
        lead = read[there[0]] or ()
        each = [None if tokens is None else parting(lead, tokens) for tokens in read]
        first = min((place for place in each if place is not None), default=None)
        each[there[0]] = first
        return Partings(first, tuple(each), _groups(read, there, first), same)

    @cached_property
    def first_partings(self) -> dict[str, int]:
        """`Partings.first` of the prompts whose answers part, by prompt id; one by one they would take long."""
        codes: dict[str, int] = {}
        sides = [self._all_tokens(side, codes) for side in self.sides]
        found = {}
        for prompt in self.prompts:
            there = [tokens[prompt.id] for tokens in sides if prompt.id in tokens]
            places = [place for tokens in there[1:] if (place := _parting(there[0], tokens)) is not None]
            if places:
                found[prompt.id] = min(places)
        return found

    def _all_tokens(self, side: Side, codes: dict[str, int]) -> dict[str, npt.NDArray[np.int64]]:
        """What a model's answers are compared by, as numbers; `codes` are those of texts, of all models."""
        columns = side.run.table("responses", side.label).read().select(["prompt_id", "ids"])
        ids = [np.asarray(one, np.int64) for one in _lists(columns["ids"])]
        if not self.same_vocabulary:
            known = {
                int(token): codes.setdefault(side.run.token_text(int(token)), len(codes))
                for token in np.unique(np.concatenate([*ids, np.empty(0, np.int64)]))
            }
            ids = [np.array([known[int(token)] for token in one], np.int64) for one in ids]
        return dict(zip(columns["prompt_id"].to_pylist(), ids, strict=True))

    def _tokens(self, run: Run, answer: SideAnswer) -> Sequence[object] | None:
        """What answers are compared by: ids, or what they read as where vocabularies differ."""
        if answer.response is None:
            return None
        return answer.response.ids if self.same_vocabulary else [run.token_text(one) for one in answer.response.ids]


def _parting(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> int | None:
    """As `analysis.answers.parting`, of arrays."""
    shared = min(len(first), len(second))
    places = np.flatnonzero(first[:shared] != second[:shared])
    if places.size:
        return int(places[0])
    return None if len(first) == len(second) else shared


def _groups(
    read: Sequence[Sequence[object] | None], there: Sequence[int], first: int | None
) -> tuple[tuple[int, ...], ...]:
    if first is None:
        return (tuple(there),)
    groups: dict[object, list[int]] = {}
    for place in there:
        tokens = read[place] or ()
        # Nothing else equals the end of an answer.
        groups.setdefault(tokens[first] if first < len(tokens) else None, []).append(place)
    return tuple(tuple(group) for group in groups.values())


def names_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    """For each cell the shortest name that tells it from the others: the label, and of its place what differs."""
    parts = [_parts(cell) for cell in cells]
    varying = [n for n in range(4) if len({part[n] for part in parts}) > 1 and (n > 0 or _same_place(parts))]
    return tuple(
        " ".join([cell.label, *(part[n] for n in varying if part[n])]) for cell, part in zip(cells, parts, strict=True)
    )


def _parts(cell: Cell) -> tuple[str, str, str, str]:
    return (
        cell.run.name,
        cell.variant,
        "" if cell.size is None else f"{cell.size:,}",
        "" if cell.seed is None else f"seed {cell.seed}",
    )


def _same_place(parts: Sequence[tuple[str, str, str, str]]) -> bool:
    """Whether runs have to be told apart by their names, since their places do not."""
    return len({part[1:] for part in parts}) < len(set(parts))


def shift_by_position(side: Side) -> ByPosition | None:
    """Class shares and KL by position over all scored answers of a model; None where there are none.

    Raises UserError for broken files.
    """
    table = side.run.table("scores", side.label).read().select(["rank_base", "kl"])
    if not table.num_rows:
        return None
    ranks = _lists(table["rank_base"])
    kl = None if table["kl"].null_count else _lists(table["kl"])
    return by_position(ranks, kl, side.run.thresholds)


def _lists(column: Any) -> list[Any]:
    """The lists of an Arrow column, an array each."""
    found = []
    for chunk in column.chunks:
        values, offsets = chunk.values.to_numpy(zero_copy_only=False), chunk.offsets.to_numpy()
        found += [values[start:end] for start, end in itertools.pairwise(offsets)]
    return found


def recipe_differences(cells: Iterable[Cell]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The recipe keys whose values are not the same for all cells, with each one's value; empty where it lacks the key.

    What concerns a cell's own model stands under `model`, whatever its label; a base model, which nothing was asked of,
    makes no difference there. Raises UserError for a broken recipe.
    """
    told = [(cell, dict(_flat(_asked(cell), ""))) for cell in cells]
    found = []
    for key in dict.fromkeys(key for _, asked in told for key in asked):
        concerned = [asked.get(key, "") for cell, asked in told if not (cell.is_base and key.startswith("model."))]
        if len(set(concerned)) > 1:
            found.append((key, tuple(asked.get(key, "") for _, asked in told)))
    return tuple(found)


def _asked(cell: Cell) -> dict[str, Any]:
    from itaudit.recipe import recipe_table

    table = recipe_table(cell.run.recipe)
    models = table.pop("models", {})
    # Every run of an experiment has a name of its own, which says nothing new.
    table.pop("name", None)
    return {"model": {} if cell.is_base else models.get(cell.label, {}), **table}


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _told(value)


def _told(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list():
            return ", ".join(map(_told, value)) or "none"
        case "":
            return '""'
    return str(value)
