"""Marks in files that others read and write: JSON lines in the style of RAGTruth, or one mark a line.

RAGTruth (Niu et al. 2024) keeps a row a response, with its hallucinated spans in `labels`:
`{"id", "source_id", "model", "response", "labels": [{"start", "end", "text", "label_type", "meta"}]}`. We write the
prompt's id as `source_id`, the note as `meta`, and who marked it, when, and on which detector's word beside them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from itaudit.data import strict_json
from itaudit.detect.offsets import quoted_offsets
from itaudit.errors import UserError
from itaudit.runs.marks import Mark, check_label, mark_line, mark_of
from itaudit.runs.run import Run

MarksFormat = Literal["ragtruth", "marks"]
FORMATS: tuple[MarksFormat, ...] = ("ragtruth", "marks")

RAGTRUTH_LABELS = {
    "Evident Conflict": "hallucinated",
    "Subtle Conflict": "hallucinated",
    "Evident Baseless Info": "unsupported",
    "Subtle Baseless Info": "unsupported",
}
"""What RAGTruth's own labels are read as, unless the user says otherwise."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of a file, counted from 1, or one of its spans, that could not be used, and why."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReadMarks:
    """What a file holds for a run: marks with offsets of the run's responses, and what was refused.

    `responses` are the (model, prompt) that the file looks at, those without a span among them.
    """

    marks: tuple[Mark, ...]
    responses: frozenset[tuple[str, str]]
    refused: tuple[Refused, ...]


class MarksReader:
    """Reads files of marks for one run; `model` takes the rows that name no model of the run, and drops those that
    name another. `labels` says what the labels of the file are read as."""

    def __init__(self, run: Run, *, model: str | None = None, labels: Mapping[str, str] | None = None) -> None:
        self._run = run
        self._model = model
        self._labels = {**RAGTRUTH_LABELS, **(labels or {})}
        self._prompts = {prompt.id for prompt in run.prompts()}
        self._texts: dict[str, dict[str, str]] = {}
        self._marks: list[Mark] = []
        self._responses: set[tuple[str, str]] = set()
        self._refused: list[Refused] = []

    def read(self, path: Path) -> ReadMarks:
        """The marks of a file. Raises UserError where it can't be read or holds no line."""
        try:
            lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
        except OSError as error:
            raise UserError(f"{path}: can't read the marks: {error.strerror}") from None
        if not any(line.strip() for line in lines):
            raise UserError(f"{path}: holds no line; expected JSON lines, as `itaudit marks export` writes them")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                self._row(number, line)
        return ReadMarks(tuple(self._marks), frozenset(self._responses), tuple(self._refused))

    def _row(self, number: int, line: bytes) -> None:
        try:
            row = strict_json.loads(line)
            if not isinstance(row, dict):
                raise UserError(f"is a {type(row).__name__}, not an object")
            model = self._model_of(row)
            if model is None:
                return
            prompt_id = self._prompt_of(row)
            text = self._text(model, prompt_id)
            labels = row.get("labels", [row])
            if not isinstance(labels, list):
                raise UserError("`labels` is no list")
        except (UserError, strict_json.BadJson, UnicodeDecodeError) as error:
            self._refused.append(Refused(number, _reason(error)))
            return
        self._responses.add((model, prompt_id))
        for span in labels:
            try:
                mark = self._mark(span, model, prompt_id, text)
                if span.get("removed") is True:
                    # A line of another run's marks file that took a mark away.
                    self._marks = [other for other in self._marks if other.key != mark.key]
                else:
                    self._marks.append(mark)
            except UserError as error:
                self._refused.append(Refused(number, str(error)))

    def _model_of(self, row: Mapping[str, Any]) -> str | None:
        """The model that a row is about; None where the user asked for another."""
        named, there = row.get("model"), self._run.labels
        if named in there:
            return str(named) if self._model in (None, named) else None
        tuned = [label for label in there if label != "base"]
        model = self._model or (tuned[0] if named is None and len(tuned) == 1 else None)
        if model is None:
            told = "names no model" if named is None else f"names the model {str(named)[:40]!r}"
            raise UserError(f"{told}; the run has {', '.join(there)}, and --model says which is meant")
        return model

    def _prompt_of(self, row: Mapping[str, Any]) -> str:
        for key in ("prompt_id", "source_id", "id"):
            if key in row:
                if str(row[key]) not in self._prompts:
                    raise UserError(f"{key} {str(row[key])[:40]!r} is no prompt of the run")
                return str(row[key])
        raise UserError("has no prompt_id, source_id or id")

    def _text(self, model: str, prompt_id: str) -> str:
        if model not in self._texts:
            columns = self._run.table("responses", model).read().select(["prompt_id", "response"])
            self._texts[model] = dict(
                zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True)
            )
        if prompt_id not in self._texts[model]:
            raise UserError(f"{model} has not answered the prompt {prompt_id!r} yet")
        return self._texts[model][prompt_id]

    def _mark(self, span: object, model: str, prompt_id: str, response: str) -> Mark:
        if not isinstance(span, dict):
            raise UserError(f"a label is a {type(span).__name__}, not an object")
        text = span.get("text")
        if text is not None and not isinstance(text, str):
            raise UserError("the text of a label is no string")
        start, end = quoted_offsets(response, text, span.get("start"), span.get("end"))
        told = span.get("label_type", span.get("label", "hallucinated"))
        if not isinstance(told, str):
            raise UserError("the label of a span is no string")
        # In RAGTruth, what is true although the context does not say it.
        label = "correct" if span.get("implicit_true") is True else self._labels.get(told, told)
        note = span.get("note", span.get("meta"))
        optional = {name: span[name] for name in ("by", "time", "detector", "score") if span.get(name) is not None}
        mark = mark_of(
            {
                "model": model,
                "prompt_id": prompt_id,
                "start": start,
                "end": end,
                "text": response[start:end],
                "label": check_label(label),
                "note": note if isinstance(note, str) else "",
                **optional,
            }
        )
        if mark is None:
            raise UserError(f"expected texts in `by` and `detector`, and numbers in `time` and `score`, not {optional}")
        return mark


def _reason(error: Exception) -> str:
    if isinstance(error, strict_json.BadJson):
        return error.reason
    return "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def new_marks(read: Sequence[Mark], standing: Iterable[Mark], *, by: str) -> list[Mark]:
    """The marks that are not there yet with the same label, note and detector; `by` signs those that nobody signed."""
    there = {(mark.key, mark.label, mark.note, mark.detector) for mark in standing}
    return [
        replace(mark, by=mark.by or by)
        for mark in read
        if (mark.key, mark.label, mark.note, mark.detector) not in there
    ]


def parse_label_map(pairs: Sequence[str]) -> dict[str, str]:
    """What `--label-map FROM=TO` says. Raises UserError for anything else."""
    found = {}
    for pair in pairs:
        before, equals, after = pair.rpartition("=")
        if not equals or not before:
            raise UserError(f"--label-map {pair!r}: expected FROM=TO, such as 'Evident Conflict=hallucinated'", code=2)
        found[before] = check_label(after)
    return found


def export_rows(
    run: Run, marks: Iterable[Mark], format: MarksFormat, *, every: bool = False
) -> Iterator[dict[str, Any]]:
    """The rows of a file of marks: one a mark, or one a response that has some, in the order of models and prompts.

    `every` brings the responses without a mark too. A mark whose text is no longer there has no place among a
    response's labels, and is left out of `ragtruth`.
    """
    if format == "marks":
        yield from map(mark_line, marks)
        return
    by_response: dict[tuple[str, str], list[Mark]] = {}
    for mark in marks:
        by_response.setdefault((mark.model, mark.prompt_id), []).append(mark)
    models = {model for model, _ in by_response}
    for model in run.labels:
        if not (every or model in models):
            continue
        columns = run.table("responses", model).read().select(["prompt_id", "response"])
        for row in columns.to_pylist():
            prompt_id, response = row["prompt_id"], row["response"]
            found = [mark for mark in by_response.get((model, prompt_id), ()) if mark.stands_in(response)]
            if found or every:
                labels = [_label(mark) for mark in sorted(found, key=lambda mark: (mark.start, mark.end))]
                yield {
                    "id": f"{model}/{prompt_id}",
                    "source_id": prompt_id,
                    "model": model,
                    "response": response,
                    "labels": labels,
                }


def _label(mark: Mark) -> dict[str, Any]:
    line = mark_line(mark)
    label: dict[str, Any] = {"start": mark.start, "end": mark.end, "text": mark.text, "label_type": mark.label}
    names = {"note": "meta", "by": "by", "time": "time", "detector": "detector", "score": "score"}
    return label | {told: line[name] for name, told in names.items() if name in line}
