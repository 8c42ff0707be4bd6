"""A report's summary in words, told of its tables; nothing is called a difference whose interval holds none."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table, Value
from itaudit.analysis.verdicts import NOT_APART, UNTOLD
from itaudit.report.subjects import Subject
from itaudit.report.verdicts import SAID, Said, told, verdict_sentences, who
from itaudit.runs.left_out import LeftOut

MODELS_TOLD = 6
"""Models whose shares are told one by one; the table has those of more."""

_Row = Mapping[str, Value]


def summary_of(subject: Subject, tables: Sequence[Table], left_out: Sequence[LeftOut] = ()) -> Iterator[str]:
    """Sentences, the most important first."""
    for one in left_out:
        yield f"{one.line}."
    if not subject.finished:
        yield "Not all of it is done yet: what follows tells of the models that are scored so far."
    by_name = {table.name: table for table in tables}
    # Who asks tasks with labels wants to know of their scores first.
    first = [said for said in SAID if said.table == "task_comparisons" and "random_guess" in by_name]
    yield from _verdicts(first, by_name, subject.reference)
    for name, tell in _TELLERS.items():
        # The ladder says more than each of its rungs.
        if name in by_name and not (name == "against_reference" and "size_ladder_times" in by_name):
            yield from tell(by_name[name], subject.reference)
    yield from _verdicts([said for said in SAID if said not in first], by_name, subject.reference)


def _verdicts(several: Sequence[Said], by_name: Mapping[str, Table], reference: str) -> Iterator[str]:
    for said in several:
        if said.table in by_name:
            yield from verdict_sentences(by_name[said.table], said, reference)


def _against(table: Table, reference: str) -> Iterator[str]:
    by_verdict: dict[Value, list[str]] = {}
    for row in table.rows:
        by_verdict.setdefault(row.get("verdict"), []).append(f"{who(table, row)}, {told(table, row, 'times')}")
    for said, models in by_verdict.items():
        listed = "; ".join(models)
        if said == NOT_APART:
            yield f"By KL not apart from {reference} ({reference} = 1): {listed}."
        elif said == UNTOLD:
            yield f"Too few prompts to tell from {reference} by KL: {listed}."
        elif said:
            yield f"By KL {said} model than {reference} ({reference} = 1): {listed}."


def _classes(table: Table, _reference: str) -> Iterator[str]:
    """What the tokens of each model are to the base model, at its largest size; nothing where there are many models."""
    rows = {(row.get("variant"), row.get("model")): row for row in table.rows}
    if len(rows) > MODELS_TOLD:
        return
    for row in rows.values():
        kl = f"; mean KL {told(table, row, 'kl')} nats" if isinstance(row.get("kl"), Estimate) else ""
        yield (
            f"Of the tokens of {who(table, row)} the base model would have said {told(table, row, 'unshifted')} "
            f"itself, and {told(table, row, 'shifted')} are shifted{kl}."
        )


def _times(table: Table, reference: str) -> Iterator[str]:
    """The multiple of the reference's KL over the whole ladder."""
    for row in table.rows:
        rungs = [
            (column, one)
            for column in table.columns
            if isinstance(one := row.get(column.key), Estimate) and one.value is not None
        ]
        if not rungs:
            continue
        values = [one.value for _, one in rungs if one.value is not None]
        apart = sum(one.apart_from(1) for _, one in rungs)
        said = "at every one of them" if apart == len(rungs) else f"at {apart} of them" if apart else "at none of them"
        said += " the interval leaves out that they are equal"
        if all(one.low is None for _, one in rungs):
            said = "too few prompts say whether they are equal"
        yield (
            f"The KL of {who(table, row)} is {min(values):.1f} to {max(values):.1f} times that of {reference} over "
            f"{len(rungs)} sizes; {said}."
        )


def _rises(table: Table, reference: str) -> Iterator[str]:
    sizes = [column.title.removeprefix("KL at ").removesuffix(" (nats)") for column in _rungs(table)]
    over = f"from {sizes[0]} to {sizes[-1]} instances"
    for row in table.rows:
        name, said = who(table, row), row.get("verdict")
        if said == NOT_APART:
            yield f"The KL of {name} does not change {over} beyond its interval: {told(table, row, 'rise')} nats."
        elif said not in (None, "", UNTOLD):
            yield f"The KL of {name} {said} {over} by {told(table, row, 'rise')} nats."
        more = row.get("rise_verdict")
        if more == NOT_APART:
            yield f"The rises of {name} and {reference} are not apart."
        elif more not in (None, "", UNTOLD):
            yield f"{name} {more} than {reference}, by {told(table, row, 'rise_above')} nats."


def _published(table: Table, _reference: str) -> Iterator[str]:
    """The published quotients, beside those found here over as much of the vocabulary, where there are some."""
    published = [row for row in table.rows if isinstance(row.get("times"), float)]
    here = [row for row in table.rows if isinstance(one := row.get("times"), Estimate) and one.value is not None]
    if published:
        alike = [row for row in here if row["over"] == published[0]["over"]]
        about = str(published[0]["from"]).removeprefix("published: ")
        beside = f"; here, {_rungs_told(alike or here)}" if here else ""
        yield f"SFT's KL as a multiple of LFT's: published for {about}, {_rungs_told(published)}{beside}."


def _rungs_told(rows: Sequence[_Row]) -> str:
    """The quotients of the rungs of a ladder, for how many instances they hold, and what KL is over."""
    found = (one.value if isinstance(one := row["times"], Estimate) else one for row in rows)
    times = [float(value) for value in found if value is not None]
    sizes = [size for row in rows if isinstance(size := row.get("size"), int)]
    at = f" at {_span(sizes, ',')} instances" if sizes else ""
    return f"{_span(times, '.1f')}{at} (KL over the {rows[0]['over']})"


def _causes(table: Table, _reference: str) -> Iterator[str]:
    """Of each model at its largest size, how many shifted words stand in answers to similar prompts."""
    rows = {(row.get("variant"), row.get("model"), row.get("seed")): row for row in table.rows}
    for row in rows.values():
        if row.get("traced") is not None:
            said = f"whether that is chance {UNTOLD}" if row["verdict"] == UNTOLD else str(row["verdict"])
            yield (
                f"Of the {told(table, row, 'to_explain')} shifted content words of {who(table, row)}, "
                f"{told(table, row, 'traced')} stand in answers to similar prompts, where random instances would give "
                f"{told(table, row, 'expected_instances')}: {said}."
            )


def _unjudged(table: Table, _reference: str) -> Iterator[str]:
    """How often a judge did not judge, of everything that it was asked."""
    asked, judged = (sum(int(str(row.get(key) or 0)) for row in table.rows) for key in ("asked", "judged"))
    if judged < asked:
        yield f"Of {asked:,} questions to a judge {asked - judged:,} have no judgement; they count in no mean."


def _span(values: Sequence[float], format: str) -> str:
    low, high = f"{min(values):{format}}", f"{max(values):{format}}"
    return low if low == high else f"{low} to {high}"


def _rungs(table: Table) -> Iterable[Column]:
    return [column for column in table.columns if column.key.startswith("kl_")]


_TELLERS: dict[str, Callable[[Table, str], Iterator[str]]] = {
    "size_ladder_times": _times,
    "size_ladder": _rises,
    "against_reference": _against,
    "methods": _classes,
    "published_ladder": _published,
    "causes": _causes,
    "judge_failures": _unjudged,
}
