"""The table of pattern copying: how much of the responses stands word for word in the dataset's answers."""

from collections.abc import Sequence

from itaudit.analysis.intervals import Totals, difference, estimate
from itaudit.analysis.table import Column, Table, Value
from itaudit.analysis.verdicts import verdict
from itaudit.style.subjects import Place, Subject, place_columns


def copied_table(places: Sequence[Place], lengths: Sequence[int], reference: str) -> Table:
    """A row a model and length of span: the share of words inside spans, against base and another model."""
    rows = []
    for place in places:
        told = [*place.models.values(), *([place.references] if place.references else [])]
        for subject in told:
            rows += [_row(place, subject, at, length, reference) for at, length in enumerate(lengths)]
    return Table(
        "copied-spans",
        "Copied from the dataset",
        (
            *place_columns(places),
            Column("span_words", "span, words", "count"),
            Column("share", "share of words", "share"),
            Column("minus_base", "minus base", "points"),
            Column("minus_reference", f"minus {reference}", "points"),
            Column("told", "against base", "text"),
        ),
        tuple(rows),
        "The share of a model's words that stand in a stretch of at least so many words of one answer of the dataset, "
        "whatever their case and punctuation. The base model was not tuned on the dataset here: what it has is chance, "
        "or comes from what it read before.",
    )


def _row(place: Place, subject: Subject, at: int, length: int, reference: str) -> dict[str, Value]:
    totals = _totals(subject, at)
    row = place.row(subject.label) | {"span_words": length, "share": estimate(totals)}
    base, other = place.base, place.models.get(reference)
    if other is not None and other is not subject and subject in place.tuned:
        row["minus_reference"] = difference(totals, _totals(other, at))
    if base is not None and base is not subject:
        minus = difference(totals, _totals(base, at))
        row |= {"minus_base": minus, "told": verdict(minus, 0, "more than base", "less than base")}
    return row


def _totals(subject: Subject, at: int) -> Totals:
    return subject.totals(lambda one: (one.copied[at], one.form.words))
