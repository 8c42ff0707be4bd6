"""Property: what is exported with its edits is read back as the workshop showed it, whatever the container."""

import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_dataset_round_trip import ANY, FIELDS, FILLED, JSON, records

from itaudit.data.export import ExportOptions, export
from itaudit.data.instance import Instance
from itaudit.data.load import load
from itaudit.data.provenance import COLUMN
from itaudit.data.versions import open_edited

CONTAINERS = ["out.json", "out.jsonl", "out.csv", "out.parquet", "folder"]
TURNS = ("sharegpt", "messages", "prompt-completion")
FAST = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


def edits(format: str) -> st.SearchStrategy[dict[str, Any]]:
    """Changes that the format can hold."""
    fields: dict[str, st.SearchStrategy[Any]] = {"instruction": FILLED, "response": FILLED, "tags": st.just(["x"])}
    if format in ("superni", "prompts"):
        # A task's instruction is its definition, and prompts have no response.
        fields.pop("instruction" if format == "superni" else "response")
    if format in TURNS:
        later = st.tuples(FILLED, FILLED).map(
            lambda pair: [{"role": r, "content": c} for r, c in zip(("user", "assistant"), pair, strict=True)]
        )
        fields |= {"later": later, "history": later}
    elif format != "prompts":
        fields |= {"input": ANY}
    return st.fixed_dictionaries({}, optional=fields | {"deleted": st.booleans()})


def told(instance: Instance, format: str) -> dict[str, Any]:
    """What a reader may tell an instance by; its number changes where earlier ones were deleted."""
    # A task has the name of its file, and an instance that leaves its record takes its own id along.
    own = {("superni", "task"), ("self-instruct", "id")}
    extra = {name: value for name, value in instance.extra.items() if (format, name) not in own}
    messages = [(m.role, m.content) for m in instance.messages]
    whole = [instance.instruction, instance.input, instance.response] if format not in TURNS else []
    return {"messages": messages, "whole": whole, "references": instance.references, "extra": extra}


@pytest.mark.parametrize("format", FIELDS)
@pytest.mark.parametrize("out", CONTAINERS)
@FAST
@given(data=st.data())
def test_an_export_says_what_the_edits_made(format: str, out: str, data: st.DataObject) -> None:
    rows = data.draw(records(format, ANY if out == "out.csv" else JSON))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.jsonl"
        source.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        edited = open_edited(source, format=format)
        for position in range(len(edited)):
            edited.edit(position, data.draw(edits(format)), by="hand")
        left = [edited[place] for place in range(len(edited)) if not edited.row(place).deleted]
        if not left:
            edited.edit(0, {"deleted": False}, by="hand")
            left = [edited[0]]
        provenance = data.draw(st.booleans())
        report = export(edited, folder / out, ExportOptions(format=format, provenance=provenance))
        again = load(folder / out, format=format)
        assert (again.rejected, len(again), report.instances) == ((), len(left), len(left))
        wanted = [told(instance, format) for instance in left]
        found = [told(instance, format) for instance in again]
        if provenance:
            noted = [COLUMN in row.extra or COLUMN in row.shape.get("item", {}) for row in again.rows()]
            assert all(noted)
        for one in found:
            one["extra"].pop(COLUMN, None)
        # Where the last turns were edited, another answer is the one that is audited.
        keys = ["messages", "extra"] if format in TURNS else ["messages", "whole", "references", "extra"]
        assert [[one[key] for key in keys] for one in found] == [[one[key] for key in keys] for one in wanted]
        assert source.read_bytes() == b"".join(orjson.dumps(row) + b"\n" for row in rows)
        if edited.source.explicit_ids and again.explicit_ids:
            assert [instance.id for instance in again] == [instance.id for instance in left]
