"""Published figures, and what the cells of an experiment give in their place."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itaudit.analysis.intervals import estimate, quotient
from itaudit.analysis.table import Column, Table, Value, shown
from itaudit.errors import UserError
from itaudit.experiments.shift_tables import PAIRED
from itaudit.experiments.shift_totals import paired, shift_groups
from itaudit.runs.cells import Cell, check_scores
from itaudit.runs.run import BASE

_FOLDER = Path(__file__).parent / "published"
METHODS = ("sft", "lft")
"""The methods of the published ladder."""
OVER = {"kl_top": "top 30 tokens", "kl": "whole vocabulary"}


def published_names() -> list[str]:
    """The names that `experiment.published` may say."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def read_published(name: str) -> dict[str, Any]:
    """`title`, `source`, `about`, `note`, and where there are some `ladder` and `figures`.

    Raises UserError where nothing is published under that name.
    """
    if name not in published_names():
        raise UserError(f"experiment.published: no {name!r}; there are {', '.join(published_names())}", code=2)
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Published:
    """Makes the tables of one publication; `others` are what the cells' other tables tell."""

    name: str
    others: Sequence[Table] = ()

    def check(self, cell: Cell) -> None:
        """Raises UserError where the shift of a tuned model can't be read, or what it was tuned from and on."""
        if self.name and "ladder" in read_published(self.name) and not cell.is_base:
            check_scores(cell)
            cell.run.base()
            if cell.size is None:
                _instances(cell)

    def tables(self, cells: Sequence[Cell], reference: str) -> list[Table]:
        return published_tables(self.name, cells, reference, self.others)


def published_tables(name: str, cells: Sequence[Cell], reference: str, others: Sequence[Table] = ()) -> list[Table]:
    """The published figures of a paper, its ladder above that of the cells; nothing where the name is empty.

    A method of the ladder is read off the reference, where that is of the method, or else off its first model. Figures
    of classification tasks have what the cells' other tables tell beside them.
    """
    if not name:
        return []
    told = read_published(name)
    tables = [_ladder(told, cells, reference)] if "ladder" in told else []
    if "figures" in told:
        columns = [Column("what", "published figure", "text"), Column("value", "value", "text")]
        rows: list[dict[str, Value]] = [
            {"what": one["what"], "value": one["value"], "here": _here(one.get("here"), others)}
            for one in told["figures"]
        ]
        columns += [Column("here", "here", "text")] if any(row["here"] for row in rows) else []
        title = f"Published figures ({told['about']})"
        # What is said of the ladder does not hold for the other figures.
        note = told["figures_note"] if tables else told["note"]
        tables.append(Table("published", title, tuple(columns), tuple(rows), note, told["source"]))
    return tables


def _here(where: Mapping[str, Any] | None, others: Sequence[Table]) -> str:
    """What a table of the cells tells of classification tasks, at the largest size of each model, in words."""
    table = next((table for table in others if where and table.name == where["table"]), None)
    if where is None or table is None:
        return ""
    columns = {column.key: column for column in table.columns}
    found: dict[tuple[Value, ...], str] = {}
    for row in table.rows:
        value, model = row.get(where["key"]), row.get("model")
        tuned = where.get("tuned") in (None, model != BASE)
        if not str(row.get("tasks")).startswith("classification") or value is None or not tuned:
            continue
        place = row.get("tasks"), row.get("variant"), model
        size = row.get("size")
        named = ", ".join(str(part) for part in (*place, size and f"size {size:,}") if part)
        # Sizes come from the smallest up, so that the largest is what stays.
        found[place] = f"{named}: {shown(value, columns[where['key']])}"
    return "; ".join(found.values())


def _ladder(told: dict[str, Any], cells: Sequence[Cell], reference: str) -> Table:
    columns = (
        Column("from", "from", "text"),
        Column("variant", "variant", "text"),
        Column("size", "instances", "count"),
        *(Column(f"kl_{method}", f"KL of {method.upper()} (nats)") for method in METHODS),
        Column("times", "SFT, times LFT", "times", 2),
        Column("over", "KL over", "text"),
    )
    published = f"published: {told['about']}"
    rows: list[dict[str, Value]] = [
        {
            "from": published,
            "size": rung["size"],
            **{f"kl_{method}": rung[method] for method in METHODS},
            "times": rung["sft"] / rung["lft"],
            "over": OVER["kl_top"],
        }
        for rung in told["ladder"]
    ]
    rows += _rows_here(cells, reference)
    note = f"{told['note']} Published figures have no intervals. {PAIRED}"
    several = len({row.get("variant") for row in rows if row.get("variant")}) > 1
    kept = tuple(column for column in columns if several or column.key != "variant")
    return Table("published_ladder", told["title"], kept, tuple(rows), note, told["source"])


def _rows_here(cells: Sequence[Cell], reference: str) -> list[dict[str, Value]]:
    """A row for each variant and size, over the top 30 tokens, as published, where the scores have that KL."""
    rows: list[dict[str, Value]] = []
    groups = shift_groups(cells)
    for variant, size in dict.fromkeys((group.variant, group.size) for group in groups):
        here = {group.label: group for group in groups if (group.variant, group.size) == (variant, size)}
        labels = _labels((cell for cell in cells if cell.variant == variant), reference)
        by_method = {method: here[labels[method]] for method in METHODS if labels.get(method) in here}
        for measure, over in OVER.items():
            known = {method: group for method, group in by_method.items() if group.totals(measure)}
            if not known:
                continue
            cell = next(iter(known.values())).cells[0]
            row: dict[str, Value] = {"from": f"here: {_about(cell)}", "variant": variant, "over": over}
            row["size"] = _instances(cell) if size is None else size
            row |= {f"kl_{method}": estimate(group.totals(measure)) for method, group in known.items()}
            if len(known) == len(METHODS) and all(pair := paired(measure, known["sft"], known["lft"])):
                row["times"] = quotient(*pair)
            rows.append(row)
    return rows


def _labels(cells: Iterable[Cell], reference: str) -> dict[str, str]:
    """The model that each method is read off, by method: the reference if it is of that, or else the first that is.

    One that is left out stays it, since another may be tuned quite otherwise.
    """
    found: dict[str, str] = {}
    for cell in sorted(cells, key=lambda cell: cell.label != reference):
        with suppress(UserError):
            if not cell.is_base:
                found.setdefault(cell.run.recipe.models[cell.label].method, cell.label)
    return found


def _instances(cell: Cell) -> int | None:
    return len(cell.run.dataset) if cell.run.dataset_path.exists() else None


def _about(cell: Cell) -> str:
    """The base model and the dataset of a cell, by their names."""
    base = str(cell.run.base().get("name") or Path(cell.run.recipe.base.model).name)
    return f"{base}, {Path(cell.run.recipe.data.path).stem}"
