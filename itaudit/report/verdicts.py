"""Sentences of tables that say their comparisons in words: each verdict with those that it is said of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from itaudit.analysis.table import Table, Value, shown

LISTED = 6
"""Rows that a sentence names; the table has those of more."""

Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Said:
    """Where a table says something: the column of words, that of the figure beside them, and how a sentence begins.

    `only` keeps the rows with these values, `first` those with the first value of a column; `by` are columns whose
    values get sentences of their own.
    """

    table: str
    verdict: str
    figure: str
    begins: str
    only: tuple[tuple[str, str], ...] = ()
    by: tuple[str, ...] = ()
    first: str = ""


_OF_ALL = (("aspect", "all five"),)
_TASKS = ("tasks", "metric")
SAID = (
    Said("against_plain", "verdict", "times", "By KL against {reference} of the first variant (= 1)"),
    Said("task_comparisons", "random_verdict", "random_difference", "Score against a random guess", by=_TASKS),
    Said("task_comparisons", "untuned_verdict", "untuned_difference", "Score against the untuned model", by=_TASKS),
    Said("task_comparisons", "control_verdict", "control_difference", "Score against the first variant", by=_TASKS),
    Said("judge_differences", "verdict", "difference", "A judge's ratings against {reference}", _OF_ALL),
    Said("judge_pairs", "verdict", "preferred", "A judge's preference"),
    Said("judge_order", "verdict", "shown_first", "The order in which a judge reads two answers"),
    Said("rating_differences", "verdict", "difference", "People's ratings against {reference}", _OF_ALL),
    Said("style-distances", "told", "nearer", "Length in words, beside the dataset's answers", (("measure", "words"),)),
    Said("copied-spans", "told", "minus_base", "Share of words in verbatim spans of the dataset", first="span_words"),
)


def verdict_sentences(table: Table, said: Said, reference: str) -> Iterator[str]:
    """A sentence for the values of `by`, verdict by verdict, at the largest size of each model."""
    groups: dict[str, dict[Value, list[str]]] = {}
    for row in _largest(table.rows, said):
        # No model's label holds a space: the dataset and its references stand in tables of style as well.
        if row.get(said.verdict) in (None, "", "plain") or " " in str(row.get("model")):
            continue
        verdicts = groups.setdefault(", ".join(str(row[of]) for of in said.by if row.get(of)), {})
        verdicts.setdefault(row[said.verdict], []).append(f"{who(table, row)} {told(table, row, said.figure)}")
    begins = said.begins.format(reference=reference)
    for of, verdicts in groups.items():
        parts = (f"{verdict} – {_listed(models)}" for verdict, models in verdicts.items())
        yield f"{begins}{f' ({of})' if of else ''}: {'; '.join(parts)}."


def _listed(models: Sequence[str]) -> str:
    more = f" and {len(models) - LISTED} more" if len(models) > LISTED else ""
    return f"{', '.join(models[:LISTED])}{more}"


def who(table: Table, row: Row) -> str:
    """The model of a row with its place in the matrix, as far as the table tells it."""
    keys = {column.key for column in table.columns}
    variants = {row.get("variant") for row in table.rows}
    # A base model that all variants share has none.
    places = [str(row["variant"])] if "variant" in keys and len(variants) > 1 and row.get("variant") else []
    places += [f"{row['size']:,} instances"] if "size" in keys and isinstance(row.get("size"), int) else []
    against = f" against {row['against']}" if row.get("against") else ""
    return f"{row['model']}{against} ({', '.join(places)})" if places else f"{row['model']}{against}"


def told(table: Table, row: Row, key: str) -> str:
    """A value of a row as people read it."""
    column = next((column for column in table.columns if column.key == key), None)
    return shown(row.get(key), column) if column else "–"


def _largest(rows: Sequence[Row], said: Said) -> Iterator[Row]:
    kept = [row for row in rows if all(row.get(key) == value for key, value in said.only)]
    if said.first and kept:
        kept = [row for row in kept if row.get(said.first) == kept[0].get(said.first)]
    sizes: dict[tuple[Value, Value], int] = {}
    for row in kept:
        if isinstance(size := row.get("size"), int):
            place = row.get("variant"), row.get("model")
            sizes[place] = max(size, sizes.get(place, 0))
    for row in kept:
        if row.get("size") == sizes.get((row.get("variant"), row.get("model")), row.get("size")):
            yield row
