"""`python -m itaudit.report.told REQUEST`: the tables of an experiment, or of models side by side, as JSON lines.

Statistics take longer to import than a key of a screen may take, so that screens have this process tell them. The
request is a JSON object: `{"experiment": DIRECTORY}`, or `{"cells": [{run, label, variant, size, seed}],
"reference": LABEL}`.
"""

import importlib
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from itaudit.analysis.intervals import Estimate
from itaudit.analysis.table import Column, Table
from itaudit.data.child import say
from itaudit.errors import UserError
from itaudit.runs.cells import Cell
from itaudit.runs.left_out import Told, told_by


def request_of(cells: Sequence[Cell], reference: str) -> str:
    """What to ask for the tables of some models."""
    told = [
        {"run": str(one.run.path), "label": one.label, "variant": one.variant, "size": one.size, "seed": one.seed}
        for one in cells
    ]
    return orjson.dumps({"cells": told, "reference": reference}).decode()


def table_of(told: Mapping[str, Any]) -> Table:
    """The table that the process told."""
    columns = tuple(Column(**column) for column in told["columns"])
    rows = tuple({key: _value(value) for key, value in row.items() if value is not None} for row in told["rows"])
    return Table(told["name"], told["title"], columns, rows, told["note"], told["source"])


def _value(value: Any) -> Any:
    return Estimate(**value) if isinstance(value, dict) else value


def _document(table: Table) -> dict[str, Any]:
    columns = [
        {"key": column.key, "title": column.title, "kind": column.kind, "digits": column.digits}
        for column in table.columns
    ]
    return {**table.to_json(), "columns": columns}


def main() -> int:
    # Whoever started it and went away wants it to end, quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        for told in _told(orjson.loads(sys.argv[1])):
            for one in told.left_out:
                say({"left_out": one.to_json()})
            for table in told.tables:
                say({"table": _document(table)})
        say({"done": True})
    except UserError as error:
        say({"problem": str(error)})
        return 1
    return 0


def _told(request: Mapping[str, Any]) -> Iterator[Told]:
    """The tables of `report.tables.cell_tables`, each as soon as it is counted: some take much longer than others."""
    from itaudit.experiments.experiment import Experiment
    from itaudit.experiments.published import Published
    from itaudit.report.tables import MAKERS

    cells: Sequence[Cell]
    if "experiment" in request:
        experiment = Experiment(Path(request["experiment"]))
        cells, reference = experiment.cells(), experiment.spec.reference
        published = experiment.spec.matrix.published
    else:
        cells, reference, published = _cells(request["cells"]), str(request["reference"]), ""
    others: list[Table] = []
    for number, name in enumerate(MAKERS):
        told = told_by(importlib.import_module(name), cells, reference)
        yield told
        if number:
            others += told.tables
        else:
            # The ladder is drawn beside those of the sizes; other figures wait for what stands beside them.
            yield _of_ladder(told_by(Published(published), cells, reference), True)
    yield _of_ladder(told_by(Published(published, others), cells, reference), False)


def _of_ladder(told: Told, ladder: bool) -> Told:
    tables = tuple(table for table in told.tables if (table.name == "published_ladder") == ladder)
    return Told(tables, told.left_out)


def _cells(told: Sequence[Mapping[str, Any]]) -> list[Cell]:
    from itaudit.runs.run import Run

    runs = {path: Run(Path(path)) for path in dict.fromkeys(cell["run"] for cell in told)}
    return [Cell(runs[one["run"]], one["label"], one["variant"], one["size"], one["seed"]) for one in told]


if __name__ == "__main__":
    sys.exit(main())
