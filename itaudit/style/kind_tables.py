"""Tables of shifted positions: how they split into response initiation, style and content, and in which words."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from itaudit.analysis.intervals import Totals, difference, estimate, pooled
from itaudit.analysis.shift import CLASSES, class_codes
from itaudit.analysis.table import Column, Table, Value
from itaudit.analysis.words import word_positions, words
from itaudit.runs.causes import response_words
from itaudit.runs.run import Run
from itaudit.style.kinds import FUNCTION, GROUPS, KINDS, LAYOUT, LISTED, STOP, Codes
from itaudit.style.subjects import Place, Subject, place_columns

_TITLES = {STOP: "· stop", LAYOUT: "· layout", LISTED: "· word lists", FUNCTION: "· function words"}


@dataclass(frozen=True, slots=True)
class Read:
    """One scored response, position by position; `kl` in nats, None where it is not known."""

    prompt_id: str
    text: str
    starts: list[int]
    ends: list[int]
    kinds: Codes
    shifted: npt.NDArray[np.bool_]
    kl: npt.NDArray[np.float64] | None


@dataclass(slots=True)
class _Said:
    """How often a model said a word, and how often shifted; KL of the shifted ones in nats."""

    said: int = 0
    shifted: int = 0
    responses: set[tuple[int, str]] = field(default_factory=set)
    kl: float = 0.0
    kinds: list[int] = field(default_factory=lambda: [0] * len(KINDS))


def kind_table(places: Sequence[Place], reference: str) -> Table:
    """A row a model and kind: its share of all positions and of the shifted ones."""
    rows = []
    for place in places:
        read = {label: _read(place.models[label]) for label in place.models if label != "base"}
        for subject in place.tuned:
            other = read.get(reference) if subject.label != reference else None
            rows += [
                place.row(subject.label) | {"kind": title} | _kind_row(read[subject.label], other, kinds)
                for title, kinds in _rows_of_kinds()
            ]
    return Table(
        "shift-kinds",
        "Shifted positions by kind",
        (
            *place_columns(places),
            Column("kind", "kind", "text"),
            Column("positions", "positions", "count"),
            Column("share", "of positions", "share"),
            Column("shifted", "shifted", "count"),
            Column("share_of_shifted", "of the shifted", "share"),
            Column("minus_reference", f"minus {reference}", "points"),
            Column("rate", "shifted of its own", "share"),
            Column("kl", "KL, nats"),
        ),
        tuple(rows),
        "Kinds are told by the rules and word lists of docs/style.md; the four rows with a dot add up to style. "
        "Intervals are 95 %, by bootstrap over prompts.",
    )


def word_table(places: Sequence[Place], top: int) -> Table:
    """The words that were shifted in most responses of each model."""
    rows = []
    for place in places:
        for subject in place.tuned:
            found = [(key, one) for key, one in _said(subject).items() if one.shifted]
            found.sort(key=lambda pair: (-len(pair[1].responses), -pair[1].shifted, pair[0]))
            share = _dataset_share(subject.runs[0])
            rows += [place.row(subject.label) | _word_row(key, one, share(key)) for key, one in found[:top]]
    return Table(
        "shifted-words",
        "Most shifted words",
        (
            *place_columns(places),
            Column("word", "word", "text"),
            Column("kind", "kind", "text"),
            Column("responses", "responses", "count"),
            Column("shifted", "shifted", "count"),
            Column("said", "said", "count"),
            Column("rate", "shifted of said", "share"),
            Column("kl", "KL, nats"),
            Column("dataset", "in the dataset", "share"),
        ),
        tuple(rows),
        "Words whose first token is shifted, by the number of responses in which it is. KL is the mean at those "
        "tokens, the last column the share of instances whose answers hold the word.",
    )


def _rows_of_kinds() -> Iterator[tuple[str, tuple[int, ...]]]:
    for group, kinds in GROUPS.items():
        yield group, kinds
        if len(kinds) > 1:
            yield from ((_TITLES[kind], (kind,)) for kind in kinds)


def _kind_row(read: list[list[Read]], other: list[list[Read]] | None, kinds: tuple[int, ...]) -> dict[str, Value]:
    def inside(one: Read) -> npt.NDArray[np.bool_]:
        return np.isin(one.kinds, kinds)

    def of_shifted(one: Read) -> tuple[float, float]:
        return float((inside(one) & one.shifted).sum()), float(one.shifted.sum())

    everyone = [one for seed in read for one in seed]
    row: dict[str, Value] = {
        "positions": int(sum(inside(one).sum() for one in everyone)),
        "share": estimate(_totals(read, lambda one: (float(inside(one).sum()), float(len(one.kinds))))),
        "shifted": int(sum((inside(one) & one.shifted).sum() for one in everyone)),
        "share_of_shifted": estimate(_totals(read, of_shifted)),
        "rate": estimate(_totals(read, lambda one: (of_shifted(one)[0], float(inside(one).sum())))),
    }
    if other is not None:
        row["minus_reference"] = difference(_totals(read, of_shifted), _totals(other, of_shifted))
    if all(one.kl is not None for one in everyone):
        row["kl"] = estimate(_totals(read, lambda one: (_kl_sum(one, inside(one)), float(inside(one).sum()))))
    return row


def _kl_sum(one: Read, inside: npt.NDArray[np.bool_]) -> float:
    return 0.0 if one.kl is None else float(one.kl[inside].sum())


def _totals(read: list[list[Read]], of: Callable[[Read], tuple[float, float]]) -> Totals:
    return pooled({one.prompt_id: of(one) for one in seed} for seed in read)


def _read(subject: Subject) -> list[list[Read]]:
    """The scored responses of each seed."""
    return [
        _read_run(run, subject.label, {one.prompt_id: one.kinds for one in seed if one.kinds is not None})
        for run, seed in zip(subject.runs, subject.seeds, strict=True)
    ]


def _read_run(run: Run, label: str, kinds: dict[str, Codes]) -> list[Read]:
    columns = run.table("responses", label).read().select(["prompt_id", "response"])
    texts = dict(zip(columns["prompt_id"].to_pylist(), columns["response"].to_pylist(), strict=True))
    names = ["prompt_id", "starts", "ends", "rank_base", "kl"]
    shifted = CLASSES.index("shifted")
    return [
        Read(
            row["prompt_id"],
            texts[row["prompt_id"]],
            row["starts"],
            row["ends"],
            kinds[row["prompt_id"]],
            class_codes(row["rank_base"], run.thresholds) == shifted,
            None if row["kl"] is None else np.array(row["kl"], dtype=np.float64),
        )
        for row in run.table("scores", label).read().select(names).to_pylist()
    ]


def _said(subject: Subject) -> dict[str, _Said]:
    found: dict[str, _Said] = defaultdict(_Said)
    for number, seed in enumerate(_read(subject)):
        for one in seed:
            there = words(one.text)
            for word, at in zip(there, word_positions(there, one.starts, one.ends), strict=True):
                if at < 0:
                    continue
                told = found[word.key]
                told.said += 1
                if one.shifted[at]:
                    told.shifted += 1
                    told.kinds[one.kinds[at]] += 1
                    told.responses.add((number, one.prompt_id))
                    told.kl += 0.0 if one.kl is None else float(one.kl[at])
    return found


def _word_row(key: str, one: _Said, dataset: float | None) -> dict[str, Value]:
    group = {kind: name for name, kinds in GROUPS.items() for kind in kinds}
    most = max(range(len(KINDS)), key=lambda kind: one.kinds[kind])
    return {
        "word": key,
        "kind": group[most],
        "responses": len(one.responses),
        "shifted": one.shifted,
        "said": one.said,
        "rate": one.shifted / one.said,
        "kl": one.kl / one.shifted,
        "dataset": dataset,
    }


def _dataset_share(run: Run) -> Callable[[str], float | None]:
    index = response_words(run)

    def share(key: str) -> float:
        number = index.vocabulary.get(key)
        return 0.0 if number is None else float(index.frequencies[number]) / max(index.instances, 1)

    return share
