"""The style of a model's responses and of the dataset's: measured once, kept in the run as `style/LABEL.arrow`.

Nothing here asks a model, so that runs of any age get the analysis, and at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from itaudit.data.dataset import Dataset
from itaudit.errors import UserError
from itaudit.runs.run import BASE, Run
from itaudit.runs.tables import map_table, write_table
from itaudit.style.copied import AnswerSuffixes
from itaudit.style.kinds import Codes, Rules, position_kinds
from itaudit.style.measures import Form, form_of
from itaudit.style_settings import Style
from itaudit.trace.prompt_side import response_turns

VERSION = 1
"""Part of what a kept table was made of; raise it with every change of what is counted."""
DATASET = "the dataset"
"""What stands for the dataset's answers where models have their labels; no label holds a space."""
REFERENCES = "the references"
"""What stands for the references of the prompts."""
_FILES = {DATASET: "dataset.answers", REFERENCES: "references.answers"}

_COUNTS = ("words", "sentences", "paragraphs", "items", "headings", "bold", "code")
FORMS = pa.schema(
    [
        # Of a dataset's answer the id of its instance, of which several turns share one.
        pa.field("prompt_id", pa.string(), nullable=False),
        *(pa.field(name, pa.int32(), nullable=False) for name in _COUNTS),
        pa.field("opening", pa.string(), nullable=False),
        # Words inside of verbatim spans, one value a length that the recipe asks for; none for the dataset itself.
        pa.field("copied", pa.list_(pa.int32()), nullable=False),
        # One value a position, as an index of `kinds.KINDS`; null where the response is not scored.
        pa.field("kinds", pa.list_(pa.int8())),
    ]
)
_MADE_OF = b"itaudit.style"


@dataclass(frozen=True, slots=True)
class Styled:
    """One response: what was counted of it, how many words of it are copied by span length, its positions' kinds."""

    prompt_id: str
    form: Form
    copied: tuple[int, ...]
    kinds: Codes | None


def fill_style(run: Run, label: str, check: Callable[[], None] = lambda: None) -> None:
    """Measures the responses of a model that are there, and the dataset's and the references' answers with them.

    What was measured already stays; `check` may raise to stop between two answers. Raises UserError where the
    dataset or a word list can't be read, and for an unknown label.
    """
    for name in (DATASET, REFERENCES, label):
        styled(run, name, check)


def styled(run: Run, label: str, check: Callable[[], None] = lambda: None) -> list[Styled]:
    """The style of a model's responses, in the order of the prompts; measured and kept where it is not yet.

    `DATASET` and `REFERENCES` are labels too: every answer of the dataset, and of the prompts' references.
    """
    style = run.recipe.style
    rules = Rules.of(style)
    path = run.path / "style" / f"{_FILES.get(label, label)}.arrow"
    made_of = _made_of(run, label, style, rules)
    table = _kept(path, made_of)
    if table is None:
        rows = list(_rows(run, label, style, rules, check))
        table = pa.Table.from_pylist(rows, schema=FORMS.with_metadata({_MADE_OF: made_of}))
        # Who may only read the run, or has no room left in it, is told all the same.
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            write_table(table, path)
    return [_styled(row) for row in table.to_pylist()]


def _kept(path: Path, made_of: bytes) -> pa.Table | None:
    try:
        table = map_table(path, FORMS)
    except (FileNotFoundError, UserError):
        return None
    return table if (table.schema.metadata or {}).get(_MADE_OF) == made_of else None


def _made_of(run: Run, label: str, style: Style, rules: Rules) -> bytes:
    """Changes whenever the table would."""
    answers = [run.dataset_path]
    if label == REFERENCES:
        answers.append(run.prompts_path)
    elif label != DATASET:
        answers += [file for kind in ("responses", "scores") for file in run.table(kind, label).files()]
    files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in answers]
    return repr((VERSION, style.opening_words, style.span_words, rules.digest, files)).encode()


def _rows(run: Run, label: str, style: Style, rules: Rules, check: Callable[[], None]) -> Iterable[dict[str, Any]]:
    if label == DATASET:
        for instance in run.dataset:
            check()
            for text in response_turns(instance):
                yield _row(instance.id, form_of(text, style.opening_words), [], None)
        return
    suffixes = answer_suffixes(run)
    scores = _token_offsets(run, label) if label not in (BASE, REFERENCES) else {}
    for prompt_id, text in _texts(run, label):
        check()
        offsets = scores.get(prompt_id)
        kinds = position_kinds(text, *offsets, rules).tolist() if offsets is not None else None
        copied = suffixes.copied_words(text, style.span_words)
        yield _row(prompt_id, form_of(text, style.opening_words), copied, kinds)


def _texts(run: Run, label: str) -> Iterable[tuple[str, str]]:
    if label == REFERENCES:
        return [(prompt.id, prompt.reference) for prompt in run.prompts() if prompt.reference is not None]
    table = run.table("responses", label).read().sort_by("order")
    return zip(table["prompt_id"].to_pylist(), table["response"].to_pylist(), strict=True)


def _token_offsets(run: Run, label: str) -> Mapping[str, tuple[Sequence[int], Sequence[int]]]:
    table = run.table("scores", label).read()
    columns = (table[name].to_pylist() for name in ("prompt_id", "starts", "ends"))
    return {prompt_id: (starts, ends) for prompt_id, starts, ends in zip(*columns, strict=True)}


def _row(prompt_id: str, form: Form, copied: Sequence[int], kinds: Sequence[int] | None) -> dict[str, Any]:
    return {"prompt_id": prompt_id, **asdict(form), "copied": list(copied), "kinds": kinds}


def _styled(row: dict[str, Any]) -> Styled:
    form = Form(opening=row["opening"], **{name: row[name] for name in _COUNTS})
    kinds = None if row["kinds"] is None else np.array(row["kinds"], dtype=np.int8)
    return Styled(row["prompt_id"], form, tuple(row["copied"]), kinds)


def answer_suffixes(run: Run) -> AnswerSuffixes:
    """The suffix array over the answers of the run's dataset."""
    return _answer_suffixes(run.dataset_path, run.dataset_path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _answer_suffixes(dataset_path: Path, _written: int) -> AnswerSuffixes:
    dataset = Dataset.open(dataset_path)
    return AnswerSuffixes(text for instance in dataset for text in response_turns(instance))
