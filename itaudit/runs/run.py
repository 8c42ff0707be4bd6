"""The run directory: its layout, and everything that can be read from it."""

import time
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from itaudit import atomic
from itaudit.analysis.shift import ShiftSummary, Thresholds, summarize
from itaudit.data.dataset import Dataset
from itaudit.errors import UserError
from itaudit.runs import marks as marks_file
from itaudit.runs.detections import DETECTORS, Detection, Detector, detection_of
from itaudit.runs.events import EventLog, EventPage, read_events
from itaudit.runs.folders import holds, new_folder, newest_first, opened
from itaudit.runs.rows import Prompt, PromptShift, Response, TokenScores, scores_of, span_of
from itaudit.runs.state import JobState, RunState, replay
from itaudit.runs.status import Status, read_status
from itaudit.runs.tables import DETECTIONS, PROMPTS, VOCABULARY, GrowingTable, map_table
from itaudit.runs.worker_log import log_tail
from itaudit.trace.types import Span

if TYPE_CHECKING:
    from itaudit.recipe import Recipe

BASE = "base"


class Run:
    """One run directory. Opening reads only the recipe; everything else is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.name = self.path.name
        self.recipe_path = self.path / "recipe.toml"
        self.status_path = self.path / "status.json"
        self.events_path = self.path / "events.jsonl"
        self.log_path = self.path / "worker.log"
        self.marks_path = self.path / "marks.jsonl"
        self.ratings_path = self.path / "ratings.jsonl"
        self.dataset_path = self.path / "dataset.arrow"
        self.prompts_path = self.path / "prompts.arrow"
        self.prompts_dataset_path = self.path / "prompts_dataset.arrow"
        self.output_spaces_path = self.path / "output_spaces.json"
        self.vocabulary_path = self.path / "vocabulary.arrow"
        self.base_path = self.path / "base.json"
        self.detect_status_path = self.path / "detections" / "status.json"
        self.detect_log_path = self.path / "detections" / "worker.log"
        self.transforms_path = self.path / "transforms.json"
        if not self.recipe_path.is_file():
            raise UserError(f"{path}: not a run (it has no recipe.toml); `itaudit ls` lists the runs there are")

    @classmethod
    def create(cls, directory: Path, recipe: "Recipe") -> "Run":
        """Makes `directory/NAME` with its complete recipe; a name that is taken gets a number."""
        from itaudit.recipe import write_recipe

        path = new_folder(directory, recipe.name, "run")
        # Whoever lists the runs meanwhile finds a whole recipe or none.
        atomic.write_bytes(path / "recipe.toml", write_recipe(recipe))
        return cls(path)

    @cached_property
    def recipe(self) -> "Recipe":
        """The complete recipe; raises UserError where somebody broke the file."""
        from itaudit.recipe import check_recipe

        return check_recipe(self._recipe_table, str(self.recipe_path))

    @cached_property
    def _recipe_table(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.recipe_path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{self.recipe_path}: not a TOML file: {error}") from None
        except OSError as error:
            raise UserError(f"{self.recipe_path}: can't read the recipe: {error.strerror}") from None

    # Screens need these two before anything else, and checking a whole recipe takes a tenth of a second to import.
    # The file is complete, since `create` wrote it; one that was edited since is checked as a whole.
    @cached_property
    def labels(self) -> tuple[str, ...]:
        """`base`, then the tuned models in the recipe's order; raises UserError where somebody broke the file."""
        models = self._recipe_table.get("models")
        return (BASE, *(models if isinstance(models, dict) and models else self.recipe.models))

    @cached_property
    def thresholds(self) -> Thresholds:
        """The base ranks at which classes begin; raises UserError where somebody broke the file."""
        score = self._recipe_table.get("score")
        match score if isinstance(score, dict) else {}:
            case {"marginal": int(marginal), "shifted": int(shifted)} if 1 <= marginal < shifted:
                return Thresholds(marginal, shifted)
            case _:
                return Thresholds(self.recipe.score.marginal, self.recipe.score.shifted)

    @cached_property
    def cause_rank(self) -> int:
        """The lowest base rank of a word that needs an explanation; raises UserError where somebody broke the file."""
        match self._recipe_table.get("causes"):
            case {"rank": int(rank)} if rank >= 1:
                return rank
            case None:
                # A recipe from before the analysis; checking it would take as long as reading the rest of the run.
                return Thresholds().shifted
            case _:
                return self.recipe.causes.rank

    def transforms(self) -> dict[str, list[dict[str, Any]]]:
        """What each transform of `data` and `prompts` did: step, instances before and after, notes. Empty without any.

        Raises UserError where somebody broke the file.
        """
        try:
            found: dict[str, list[dict[str, Any]]] = orjson.loads(self.transforms_path.read_bytes())
        except FileNotFoundError:
            return {}
        except orjson.JSONDecodeError:
            raise UserError(f"{self.transforms_path}: can't be read as JSON") from None
        return found

    def model_dir(self, label: str) -> Path:
        """Where the worker saves a tuned model: full weights, or a LoRA adapter."""
        return self.path / "models" / label

    def event_log(self) -> EventLog:
        return EventLog(self.events_path)

    def events(self, offset: int = 0) -> EventPage:
        """Complete events from a byte offset on."""
        return read_events(self.events_path, offset)

    def status(self) -> Status | None:
        return read_status(self.status_path)

    def state(self) -> RunState:
        """The state by all events so far; see `job` for whether the worker is still there."""
        return replay(self.events().events)

    def job(self) -> JobState:
        """The job's state, corrected for a worker that died without a word, which reads as failed."""
        job = self.believed_job(self.state())
        # A worker that ends between the two looks has written its last event before it went.
        return self.believed_job(self.state()) if job == "failed" else job

    def believed_job(self, state: RunState) -> JobState:
        """The job's state by a state that was read, and by whether its worker is there now."""
        told, status = state.job, self.status()
        if status is None:
            return told
        if told not in ("queued", "running", "new"):
            # A worker that was just started again has not said anything yet.
            waiting = status.state in ("queued", "running") and status.started > state.updated
            return "queued" if waiting and status.alive(time.time()) else told
        alive = status.alive(time.time())
        if told == "new":
            return "queued" if alive else "failed"
        return told if alive else "failed"

    def log_tail(self, lines: int = 20) -> list[str]:
        """The last lines of the worker's output."""
        return log_tail(self.log_path, lines)

    def base(self) -> dict[str, Any]:
        """`name` and local `path` of the base model that was loaded; empty before that.

        Raises UserError where somebody broke the file.
        """
        try:
            content = orjson.loads(self.base_path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, orjson.JSONDecodeError):
            content = None
        if not isinstance(content, dict):
            raise UserError(f"{self.base_path}: can't be read as JSON; `itaudit resume {self.path}` writes it anew")
        return content

    @cached_property
    def dataset(self) -> Dataset:
        """The instances as they were tuned on; raises UserError before the prepare stage is done."""
        if not self.dataset_path.exists():
            raise UserError(f"{self.path}: the dataset is not read yet; `itaudit resume {self.path}` goes on")
        return self._opened(self.dataset_path)

    @cached_property
    def prompts_dataset(self) -> Dataset | None:
        """The instances that the prompts were made from, in their order; None in runs from before it was kept."""
        path = self.prompts_dataset_path
        return self._opened(path, f"it and {self.prompts_path.name}") if path.exists() else None

    def _opened(self, path: Path, away: str = "it") -> Dataset:
        try:
            return Dataset.open(path)
        except UserError as error:
            raise UserError(f"{error}: delete {away}, and `itaudit resume {self.path}` does") from None

    @cached_property
    def _prompts(self) -> tuple[Prompt, ...]:
        rows = map_table(self.prompts_path, PROMPTS).to_pylist()
        try:
            return tuple(
                Prompt(order, row["id"], row["prompt"], row["reference"], tuple(orjson.loads(row["messages"])))
                for order, row in enumerate(rows)
            )
        except orjson.JSONDecodeError:
            told = f"messages that are no JSON; delete it, and `itaudit resume {self.path}` makes it anew"
            raise UserError(f"{self.prompts_path}: {told}") from None

    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts; none before the prepare stage is done."""
        return self._prompts if self.prompts_path.exists() else ()

    def prompt(self, prompt_id: str) -> Prompt:
        """One prompt; raises UserError where there is none of that id."""
        for prompt in self.prompts():
            if prompt.id == prompt_id:
                return prompt
        raise UserError(f"{self.path}: no prompt {prompt_id!r}; `itaudit prompts {self.path}` lists them", code=2)

    def table(self, kind: str, label: str) -> GrowingTable:
        """One kind of table (`responses`, `scores` …) of one model; raises UserError for an unknown label."""
        self._check_label(label)
        return GrowingTable(self.path, kind, label)

    def _check_label(self, label: str) -> None:
        if label not in self.labels:
            raise UserError(f"{self.path}: no model {label!r}; there are {', '.join(self.labels)}", code=2)

    def detections(self, detector: Detector, label: str) -> GrowingTable:
        """What one detector found in the responses of one model; raises UserError for an unknown label."""
        self._check_label(label)
        made_by = f"`itaudit detect --detector {detector}`"
        return GrowingTable(self.path / "detections", detector, label, schema=DETECTIONS, made_by=made_by)

    def detectors(self, label: str) -> tuple[Detector, ...]:
        """The detectors that have looked at responses of a model, in the order of DETECTORS."""
        return tuple(name for name in DETECTORS if any(self.detections(name, label).version()))

    def detection(self, detector: Detector, label: str, prompt_id: str) -> Detection | None:
        """What a detector says of one response; None where it has not looked at it."""
        row = self.detections(detector, label).row(prompt_id)
        return None if row is None else detection_of(row)

    def response(self, label: str, prompt_id: str) -> Response | None:
        row = self.table("responses", label).row(prompt_id)
        if row is None:
            return None
        row.pop("order")
        return Response(**row)

    def token_scores(self, label: str, prompt_id: str) -> TokenScores | None:
        row = self.table("scores", label).row(prompt_id)
        return None if row is None else scores_of(row)

    def spans(self, label: str, prompt_id: str) -> tuple[Span, ...] | None:
        """The traced spans of a response, by start; None where it is not traced yet."""
        row = self.table("traces", label).row(prompt_id)
        return None if row is None else tuple(span_of(span) for span in row["spans"])

    def prompt_shifts(self, label: str) -> dict[str, PromptShift]:
        """Every scored response of a model, by prompt id."""
        table = self.table("scores", label).read()
        columns = table.select(["prompt_id", "unshifted", "marginal", "shifted", "kl_sum"])
        return {row["prompt_id"]: PromptShift(**row) for row in columns.to_pylist()}

    def summary(self, label: str) -> ShiftSummary:
        """Totals over the responses of a model that are scored so far."""
        shifts = list(self.prompt_shifts(label).values())
        counts = [(shift.unshifted, shift.marginal, shift.shifted) for shift in shifts]
        return summarize(counts, (shift.kl_sum for shift in shifts), len(shifts))

    @cached_property
    def _vocabulary(self) -> pa.ChunkedArray:
        return map_table(self.vocabulary_path, VOCABULARY)["text"]

    def token_text(self, token_id: int) -> str:
        """What a token id stands for, decoded by itself."""
        if not self.vocabulary_path.exists():
            return f"#{token_id}"
        vocabulary = self._vocabulary
        return str(vocabulary[token_id].as_py()) if token_id < len(vocabulary) else f"#{token_id}"

    def marks(self) -> dict[marks_file.Place, marks_file.Mark]:
        """The marks that stand, by place, in the order in which they were put."""
        return marks_file.read_marks(self.marks_path)

    def mark(self, *marks: marks_file.Mark, removed: bool = False) -> None:
        """Adds or takes away marks; those of one call are undone as one."""
        marks_file.append_marks(self.marks_path, marks, removed=removed)

    def undo_mark(self) -> tuple[marks_file.Change, ...]:
        """Takes back the newest act on marks, whoever did it; empty where nothing is left to take back."""
        return marks_file.undo(self.marks_path)


def is_run(path: Path) -> bool:
    """Whether a path is a run directory."""
    return holds(path, "recipe.toml")


def list_runs(directory: Path) -> Iterator[Run]:
    """The runs in a directory, newest first; one that is taken away meanwhile is left out."""
    return opened(newest_first(directory, is_run), Run)
