"""The causal analysis of a run: its table filled from the responses, scores and dataset, and read back.

Nothing here asks a model, so that runs of any age get the analysis, and at once.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from itaudit import paths
from itaudit.runs.rows import Prompt
from itaudit.runs.run import Run
from itaudit.runs.tables import GrowingTable
from itaudit.trace.cause_lookup import CauseLookup, Draws, Scored
from itaudit.trace.causes import Causes, UnitDraws, causes_of, causes_row
from itaudit.trace.chance import Chance
from itaudit.trace.prompt_side import PromptSides
from itaudit.trace.response_words import ResponseWords

PROMPTS_PER_PART = 32


def fill_causes(
    label: str,
    run: Run,
    *,
    check: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Fills the causes table of a tuned model from its responses and scores; what is in it stays.

    `check` may raise to stop between two responses, `progress` is told how many are done. The table is closed where
    all scores are there. Whoever else fills it is waited for. Raises UserError where the dataset can't be read.
    """
    table = run.table("causes", label)
    if table.closed:
        return
    with table.held(check):
        if not table.closed:
            _fill(label, run, table, check, progress)


def _fill(
    label: str, run: Run, table: GrowingTable, check: Callable[[], None], progress: Callable[[int], None]
) -> None:
    done = table.prompt_ids()
    scores = run.table("scores", label)
    whole = scores.closed
    rows = scores.read().select(["order", "prompt_id", "starts", "ends", "rank_base"]).to_pylist()
    waiting = [row for row in rows if row["prompt_id"] not in done]
    responses = dict(_columns(run, "responses", label, "prompt_id", "response"))
    prompts = {prompt.id: prompt for prompt in run.prompts()}

    def causes() -> Iterator[dict[str, Any]]:
        lookup = _lookup(run, {row["prompt_id"]: prompts[row["prompt_id"]].prompt for row in waiting})
        for row in waiting:
            check()
            prompt_id = row["prompt_id"]
            scored = Scored(responses[prompt_id], row["starts"], row["ends"], row["rank_base"])
            yield causes_row(row["order"], lookup.causes(prompt_id, _context(prompts[prompt_id]), scored))

    if waiting:
        table.extend(causes(), PROMPTS_PER_PART, progress)
    if whole:
        table.close()


def _lookup(run: Run, queries: Mapping[str, str]) -> CauseLookup:
    from itaudit.trace.index import TraceIndex

    settings, words = run.recipe.causes, response_words(run)
    index = TraceIndex.open(PromptSides(run.dataset), engine=run.recipe.trace.engine, cache_dir=paths.cache_dir())
    rows = np.array(run.dataset.table["index"].to_pylist(), dtype=np.int64)
    return CauseLookup(index, words, rows, queries, settings.k, _chance(run, words))


def run_causes(run: Run, label: str, prompt_id: str) -> Causes | None:
    """The causal analysis of one response; None where it is not made yet. Raises UserError for an unknown label."""
    row = run.table("causes", label).row(prompt_id)
    return None if row is None else causes_of(row, _unit_draws(run, row))


def all_causes(run: Run, label: str) -> Iterator[Causes]:
    """The analyses of all responses of a model that are made so far, in the order of the prompts.

    Raises UserError for an unknown label.
    """
    rows = run.table("causes", label).read().to_pylist()
    draws = _SharedDraws(run, {row["prompt_id"]: [one["index"] for one in row["similar"]] for row in rows})
    for row in rows:
        yield causes_of(row, draws.of(row["prompt_id"], row["draws"]))


def response_words(run: Run) -> ResponseWords:
    """The words of the answers of the run's dataset: kept in the run, read anew if they are not there."""
    stat = run.dataset_path.stat()
    path = run.path / "causes" / "answers.words.npz"
    return _response_words(run.dataset_path, path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4)
def _response_words(dataset_path: Path, path: Path, size: int, _written: int) -> ResponseWords:
    from itaudit.data.dataset import Dataset

    dataset = Dataset.open(dataset_path)
    source = f"{dataset.sha256} {len(dataset)} {size}"
    found = ResponseWords.open(path, source=source)
    if found is None:
        found = ResponseWords.build(dataset, source=source)
        found.save(path)
    return found


def _chance(run: Run, words: ResponseWords, draws: int | None = None) -> Chance:
    settings = run.recipe.causes
    return Chance(words, k=settings.k, draws=draws or settings.draws, seed=run.recipe.seed)


class _SharedDraws:
    """The draws of phrases for several prompts, dealt once; what they cost is paid when the first is asked for."""

    def __init__(self, run: Run, similar: dict[str, list[int]]) -> None:
        self._run, self._similar = run, similar
        self._made: dict[int, Draws] = {}

    def of(self, prompt_id: str, draws: int) -> UnitDraws:
        return lambda keys: self._draws(draws).of(prompt_id).draws(keys)

    def _draws(self, draws: int) -> Draws:
        if draws not in self._made:
            words, position = response_words(self._run), self._run.dataset.position
            similar = {
                prompt_id: np.array([position(index) for index in rows], dtype=np.int64)
                for prompt_id, rows in self._similar.items()
            }
            self._made[draws] = Draws(words, _chance(self._run, words, draws), similar)
        return self._made[draws]


def _unit_draws(run: Run, row: dict[str, Any]) -> UnitDraws:
    similar = {row["prompt_id"]: [one["index"] for one in row["similar"]]}
    return _SharedDraws(run, similar).of(row["prompt_id"], row["draws"])


def _columns(run: Run, kind: str, label: str, *names: str) -> Iterator[tuple[Any, ...]]:
    table = run.table(kind, label).read()
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _context(prompt: Prompt) -> str:
    """All that the model was told."""
    return "\n".join([prompt.prompt, *(message["content"] for message in prompt.messages)])
