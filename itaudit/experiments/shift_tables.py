"""How far each model moved from the base model: methods, each against the reference, and the ladder of sizes."""

from collections.abc import Iterable, Mapping, Sequence

from itaudit.analysis.intervals import contrast, difference, estimate, quotient
from itaudit.analysis.table import Column, Table, Value, telling_columns
from itaudit.analysis.verdicts import NOT_APART, verdict
from itaudit.experiments.shift_totals import Group, paired, shift_groups, tuned_on
from itaudit.runs.cells import Cell, check_scores

_SPEAK_OF = "they speak of other prompts, not of tuning once more."
INTERVALS = f"Intervals are 95 %, by bootstrap over prompts: {_SPEAK_OF}"
PAIRED = f"Intervals are 95 %, by bootstrap over the prompts that both answered, resampled together: {_SPEAK_OF}"

_PLACE = (
    Column("variant", "variant", "text"),
    Column("size", "instances", "count"),
    Column("model", "model", "text"),
)


def check(cell: Cell) -> None:
    """Raises UserError where the scores of a tuned model, its responses or what it was tuned on can't be read."""
    if not cell.is_base:
        check_scores(cell)
        if cell.size is not None:
            cell.run.state()


def tables(cells: Sequence[Cell], reference: str) -> list[Table]:
    """`methods`, `against_reference` and, where there are sizes, `size_ladder` and `size_ladder_times`.

    Models that are not scored are left out, and so are tables with nothing to tell.
    """
    groups = shift_groups(cells)
    found = [methods_table(groups), against_table(groups, reference), *ladder_tables(groups, reference)]
    return [table for table in found if table.rows]


def methods_table(groups: Sequence[Group]) -> Table:
    """A row for each variant, size and model: mean KL, shares of the shift classes, and how long it answers."""
    columns: tuple[Column, ...] = (
        *_PLACE,
        Column("method", "method", "text"),
        Column("tuned_on", "tuned on", "count"),
        Column("seeds", "seeds", "count"),
        Column("responses", "responses", "count"),
        Column("tokens", "tokens", "count"),
        Column("length", "tokens a response", digits=1),
        Column("cut_off", "cut off", "share"),
        Column("kl", "KL (nats)"),
        Column("kl_lowest", "lowest KL of a seed"),
        Column("kl_highest", "highest KL of a seed"),
        Column("kl_top", "KL over top 30 (nats)"),
        Column("unshifted", "unshifted", "share"),
        Column("marginal", "marginal", "share"),
        Column("shifted", "shifted", "share"),
    )
    rows: list[dict[str, Value]] = []
    for group in groups:
        measured: dict[str, Value] = {
            name: estimate(totals)
            for name in ("length", "kl", "kl_top", "unshifted", "marginal", "shifted")
            if (totals := group.totals(name))
        }
        counts = {"responses": group.responses, "tokens": group.tokens, "cut_off": group.cut_off}
        learnt = tuned_on(group.cells[0]) if group.size is not None else None
        place = {**_place(group), "method": group.method, "tuned_on": learnt, "seeds": len(group.seeds)}
        rows.append({**place, **counts, **measured, **_spread(group)})
    note = (
        "KL is KL(tuned‖base), the mean over the positions of all responses. Shares are of positions, by the rank of "
        f"the token among the base model's predictions. Cut off: responses that reached the longest length. {INTERVALS}"
    )
    if any("kl_top" in row for row in rows):
        note += " KL over the top 30 is the other way round, base over tuned, as AlignTDS computes it."
    if not any(len(group.seeds) > 1 for group in groups):
        columns = tuple(column for column in columns if column.key != "seeds")
    if all(row["tuned_on"] in (None, row["size"]) for row in rows):
        columns = tuple(column for column in columns if column.key != "tuned_on")
    else:
        note += " Tuned on: how many instances a model learnt from, where that is not what the size says."
    return Table("methods", "How far each model moved from the base model", _told(columns, rows), tuple(rows), note)


def against_table(groups: Sequence[Group], reference: str) -> Table:
    """A row for each model other than the reference that has one of the same variant, size and prompts."""
    columns = (
        *_PLACE,
        Column("times", f"KL, times {reference}", "times", 2),
        Column("kl_difference", f"KL above {reference} (nats)", "difference"),
        Column("verdict", f"KL against {reference}", "text"),
        Column("shifted_difference", f"share shifted above {reference}", "points"),
        Column("shifted_verdict", f"share shifted against {reference}", "text"),
    )
    rows: list[dict[str, Value]] = []
    for group, beside in _beside(groups, reference):
        row: dict[str, Value] = _place(group)
        kl, shifted = paired("kl", group, beside), paired("shifted", group, beside)
        if all(kl):
            further = difference(*kl)
            said = verdict(further, 0, "further from the base", "nearer to the base")
            row |= {"times": quotient(*kl), "kl_difference": further, "verdict": said}
        more = difference(*shifted)
        said = verdict(more, 0, "more shifted", "less shifted")
        rows.append({**row, "shifted_difference": more, "shifted_verdict": said})
    note = (
        f"Each model against {reference} of the same variant and size. {PAIRED} "
        f"“{NOT_APART}”: the interval of the difference holds 0."
    )
    title = f"Each model against {reference}"
    return Table("against_reference", title, _told(columns, rows), tuple(rows), note)


def ladder_tables(groups: Sequence[Group], reference: str) -> list[Table]:
    """KL of each model at each size with its rise, and how many times the reference's KL that is."""
    sizes = sorted({group.size for group in groups if group.size is not None and group.totals("kl")})
    if len(sizes) < 2:
        return []
    return [_ladder(groups, sizes, reference), _ladder_times(groups, sizes, reference)]


def _ladder(groups: Sequence[Group], sizes: Sequence[int], reference: str) -> Table:
    columns = (
        Column("variant", "variant", "text"),
        Column("model", "model", "text"),
        *(Column(f"kl_{size}", f"KL at {size:,} (nats)") for size in sizes),
        Column("rise", "rise", "difference"),
        Column("verdict", "from the smallest to the largest", "text"),
        Column("rise_above", f"rise above {reference}'s", "difference"),
        Column("rise_verdict", f"rise against {reference}'s", "text"),
    )
    rungs = _rungs(groups)
    rows: list[dict[str, Value]] = []
    for (variant, label), by_size in rungs.items():
        row: dict[str, Value] = {"variant": variant, "model": label}
        row |= {f"kl_{size}": estimate(group.totals("kl")) for size, group in by_size.items()}
        low, high = sizes[0], sizes[-1]
        # A shorter stretch of the ladder would not be the rise that the others are told by.
        if low in by_size and high in by_size:
            rise = difference(*paired("kl", by_size[high], by_size[low]))
            row |= {"rise": rise, "verdict": verdict(rise, 0, "rises", "falls")}
            beside = rungs.get((variant, reference), {})
            if label != reference and low in beside and high in beside:
                ends = [by_size[high], by_size[low], beside[high], beside[low]]
                more = contrast(list(zip((1, -1, -1, 1), paired("kl", *ends), strict=True)))
                row |= {"rise_above": more, "rise_verdict": verdict(more, 0, "rises more", "rises less")}
        rows.append(row)
    note = (
        "KL(tuned‖base) by the number of instances. Rise: from the smallest to the largest of these sizes, where the "
        f"model is measured at both. {PAIRED} “{NOT_APART}”: the interval of the difference holds 0."
    )
    return Table("size_ladder", "KL by the number of instances", _told(columns, rows), tuple(rows), note)


def _ladder_times(groups: Sequence[Group], sizes: Sequence[int], reference: str) -> Table:
    columns = (
        Column("variant", "variant", "text"),
        Column("model", "model", "text"),
        *(Column(f"times_{size}", f"at {size:,}", "times", 2) for size in sizes),
    )
    rows: dict[tuple[str, str], dict[str, Value]] = {}
    for group, beside in _beside(groups, reference):
        kl = paired("kl", group, beside)
        if group.size is not None and all(kl):
            row = rows.setdefault((group.variant, group.label), {"variant": group.variant, "model": group.label})
            row[f"times_{group.size}"] = quotient(*kl)
    told = tuple(rows.values())
    note = f"KL of each model, as a multiple of {reference}'s at the same variant and size. {PAIRED}"
    title = f"KL as a multiple of {reference}'s, by the number of instances"
    return Table("size_ladder_times", title, _told(columns, told), told, note)


def _spread(group: Group) -> dict[str, Value]:
    """The lowest and the highest KL of its seeds, which no bootstrap over prompts knows of; nothing for one seed."""
    each = [estimate(totals).value for seed in group.seeds if (totals := group.of_seed("kl", seed))]
    known = [value for value in each if value is not None]
    return {"kl_lowest": min(known), "kl_highest": max(known)} if len(known) > 1 else {}


def _place(group: Group) -> dict[str, Value]:
    return {"variant": group.variant, "size": group.size, "model": group.label}


def _beside(groups: Sequence[Group], reference: str) -> Iterable[tuple[Group, Group]]:
    """Each group with that of the reference in its place, where there is one with a seed and prompts in common."""
    references = {(group.variant, group.size): group for group in groups if group.label == reference}
    for group in groups:
        beside = references.get((group.variant, group.size))
        if beside is not None and group.label != reference:
            mine, theirs = paired("length", group, beside)
            if mine.keys() & theirs.keys():
                yield group, beside


def _rungs(groups: Sequence[Group]) -> dict[tuple[str, str], dict[int, Group]]:
    found: dict[tuple[str, str], dict[int, Group]] = {}
    for group in groups:
        if group.size is not None and group.totals("kl"):
            found.setdefault((group.variant, group.label), {})[group.size] = group
    return found


def _told(columns: Sequence[Column], rows: Sequence[Mapping[str, Value]]) -> tuple[Column, ...]:
    """The columns that some row has something to tell in; the variant only where there are several."""
    kept = telling_columns(columns, rows)
    if len({row.get("variant") for row in rows}) < 2:
        kept = tuple(column for column in kept if column.key != "variant")
    return kept
