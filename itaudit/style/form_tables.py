"""Tables of length, layout and openings: what models' responses look like, and how near the dataset's they are."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from itaudit.analysis.intervals import difference, estimate
from itaudit.analysis.table import Column, Kind, Table, Value
from itaudit.analysis.verdicts import verdict
from itaudit.style.distances import nearness
from itaudit.style.fill import DATASET, REFERENCES, Styled
from itaudit.style.measures import MEASURES, SHARES, TITLES, Measure
from itaudit.style.subjects import Place, Subject, place_columns

Of = Callable[[Styled], float]


def form_table(places: Sequence[Place]) -> Table:
    """Means of length and layout: a row a model, and one each for the references and the dataset."""
    rows: list[dict[str, Value]] = []
    for place in places:
        told = [*place.models.values(), *([place.references] if place.references else [])]
        for subject in told:
            row = place.row(subject.label) | {"responses": _responses(subject)}
            rows.append(row | {measure: estimate(subject.means(_of(measure))) for measure in MEASURES})
        row = place.row(DATASET) | {"responses": _responses(place.dataset)}
        rows.append(row | {measure: _mean(place.dataset, _of(measure)) for measure in MEASURES})
    columns = [Column("responses", "answers", "count")]
    for measure in MEASURES:
        share = measure in SHARES
        columns.append(Column(measure, TITLES[measure], "share" if share else "number", 3 if share else 1))
    return Table(
        "style-form",
        "Length and layout",
        (*place_columns(places), *columns),
        tuple(rows),
        "Means over responses, 95 % intervals by bootstrap over prompts. The dataset is counted in full; "
        f"{REFERENCES} are the prompts' own. Responses that reached the limit of new tokens count as they are.",
    )


def distance_tables(places: Sequence[Place], reference: str) -> list[Table]:
    """Of lengths and of shares, a row a model and measure: the difference from base, and whether the dataset is nearer.

    They are two tables, since shares read in per cent.
    """
    lengths, shares = _distances(places, _length_measures, reference), _distances(places, _share_measures, reference)
    apart = "Distance is the first Wasserstein distance between the responses' and the dataset's distributions"
    chance = "It can't fall below 0 and chance alone keeps it above; compare it with the base model's."
    return [
        Table(
            "style-distances",
            "Distance from the dataset's lengths",
            (*place_columns(places), *_distance_columns(reference, "number", "difference", 2)),
            lengths,
            f"{apart}, in the measure's unit. {chance}",
        ),
        Table(
            "style-share-distances",
            "Distance from the dataset's layout and openings",
            (*place_columns(places), *_distance_columns(reference, "share", "points", 3)),
            shares,
            f"{apart}, which of a share is the difference. {chance}",
        ),
    ]


def _distance_columns(reference: str, kind: Kind, difference_kind: Kind, digits: int) -> tuple[Column, ...]:
    return (
        Column("measure", "measure", "text"),
        Column("value", "mean", kind, digits),
        Column("minus_base", "minus base", difference_kind, digits),
        Column("minus_reference", f"minus {reference}", difference_kind, digits),
        Column("dataset", "dataset", kind, digits),
        Column("distance", "distance", kind, digits),
        Column("base_distance", "base's distance", kind, digits),
        Column("nearer", "nearer than base by", difference_kind, digits),
        Column("told", "against base", "text"),
    )


def _distances(
    places: Sequence[Place], measures_of: Callable[[Place], Mapping[str, Of]], reference: str
) -> tuple[Mapping[str, Value], ...]:
    rows = []
    for place in places:
        measures = _with_something(place, measures_of(place))
        for subject in place.tuned:
            rows += [_distance_row(place, subject, title, of, reference) for title, of in measures.items()]
    return tuple(rows)


def _length_measures(_place: Place) -> dict[str, Of]:
    return {TITLES[measure]: _of(measure) for measure in MEASURES if measure not in SHARES}


def _share_measures(place: Place) -> dict[str, Of]:
    known = {one.form.opening for one in place.dataset.seeds[0]}
    found: dict[str, Of] = {TITLES[measure]: _of(measure) for measure in SHARES}
    return found | {"with an opening of the dataset": lambda one: float(one.form.opening in known)}


def _with_something(place: Place, found: Mapping[str, Of]) -> dict[str, Of]:
    """The measures to tell of: of what neither a model nor the dataset ever does there is nothing to tell."""
    everyone = [one for subject in (*place.models.values(), place.dataset) for seed in subject.seeds for one in seed]
    return {title: of for title, of in found.items() if any(map(of, everyone))}


def opening_table(places: Sequence[Place], top: int, words: int) -> Table:
    """The most frequent openings of each model, beside the base model's and the dataset's."""
    rows = []
    for place in places:
        known = Counter(one.form.opening for one in place.dataset.seeds[0])
        for subject in place.models.values():
            counts = Counter(one.form.opening for seed in subject.seeds for one in seed if one.form.opening)
            # What one response alone begins with is no pattern, unless the dataset has it.
            often = [(opening, count) for opening, count in counts.items() if count > 1 or known[opening]]
            for opening, _ in sorted(often, key=lambda pair: (-pair[1], pair[0]))[:top]:
                totals = subject.means(partial(_opens, opening))
                row = place.row(subject.label) | {"opening": opening, "share": estimate(totals)}
                if place.base is not None and subject is not place.base:
                    row["minus_base"] = difference(totals, place.base.means(partial(_opens, opening)))
                rows.append(row | {"dataset": known[opening] / max(known.total(), 1)})
    return Table(
        "openings",
        f"First {words} words",
        (
            *place_columns(places),
            Column("opening", "opening", "text"),
            Column("share", "responses", "share"),
            Column("minus_base", "minus base", "points"),
            Column("dataset", "in the dataset", "share"),
        ),
        tuple(rows),
        "Shares of responses that begin with these words, whatever their case and punctuation. Each model's own most "
        "frequent ones were looked for, so that chance favours them a little; those of a single response are told "
        "only where the dataset has them.",
    )


def _distance_row(place: Place, subject: Subject, title: str, of: Of, reference: str) -> dict[str, Value]:
    row = place.row(subject.label) | {"measure": title, "value": estimate(subject.means(of))}
    dataset = [of(one) for one in place.dataset.seeds[0]]
    row["dataset"] = sum(dataset) / len(dataset) if dataset else None
    other = place.models.get(reference)
    if other is not None and other is not subject:
        row["minus_reference"] = difference(subject.means(of), other.means(of))
    if place.base is None:
        return row
    found = nearness(subject.values(of), place.base.values(of), dataset)
    row |= {"distance": found.model, "base_distance": found.other, "nearer": found.nearer}
    row["minus_base"] = difference(subject.means(of), place.base.means(of))
    return row | {"told": verdict(found.nearer, 0, "nearer than base", "farther than base")}


def _of(measure: Measure) -> Of:
    return lambda one: one.form.value(measure)


def _opens(opening: str, one: Styled) -> float:
    return float(one.form.opening == opening)


def _mean(subject: Subject, of: Of) -> float | None:
    found = [of(one) for seed in subject.seeds for one in seed]
    return sum(found) / len(found) if found else None


def _responses(subject: Subject) -> int:
    return sum(map(len, subject.seeds))
