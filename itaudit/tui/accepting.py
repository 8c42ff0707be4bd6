"""What becomes of a proposal: it is written into the overlay as it is, or as the user edits it."""

from collections.abc import Sequence
from typing import Any

from itaudit.data.edited import Change, EditedDataset
from itaudit.errors import UserError
from itaudit.simplify.checks import check
from itaudit.simplify.proposal import Proposal
from itaudit.tui.screens.editor import EditorScreen


def accept(
    edited: EditedDataset, position: int, proposal: Proposal, *, batch: str = "", confirmed: Sequence[str] = ()
) -> None:
    """Puts a proposal in the place of the response, with what was checked and confirmed.

    Raises UserError where the response is no longer the one that was simplified, or nothing can be written.
    """
    change = acceptance(edited, position, proposal, batch=batch, confirmed=confirmed)
    edited.edit_all([change])


def acceptance(
    edited: EditedDataset, position: int, proposal: Proposal, *, batch: str = "", confirmed: Sequence[str] = ()
) -> Change:
    """The edit that accepts a proposal. Raises UserError where the response is another than was simplified."""
    assert proposal.checks is not None
    row = edited.row(position)
    if (row.instance.response or "") != proposal.before:
        raise UserError(f"row {row.source.index}: the response changed since it was proposed; simplify it again")
    checks = proposal.checks.to_json() | ({"confirmed": list(confirmed)} if confirmed else {})
    name = f"{batch}/{proposal.id}" if batch else ""
    return Change(position, {"response": proposal.after}, proposal.engine, name, checks)


def edited_proposal(
    edited: EditedDataset, position: int, proposal: Proposal | None, *, batch: str = ""
) -> EditorScreen:
    """The editor on a proposal, or on the instance as it is; what is saved is checked as it then stands."""

    def save(changes: dict[str, Any]) -> None:
        row = edited.row(position)
        assert proposal is not None
        if changes.get("response") == proposal.after and len(changes) == 1:
            accept(edited, position, proposal, batch=batch)
            return
        checks: dict[str, Any] = {"proposed_by": proposal.engine}
        if changes.get("response"):
            checks = check(row.instance, changes["response"]).to_json() | checks
        name = f"{batch}/{proposal.id}" if batch else ""
        edited.edit(position, changes, by="hand", proposal=name, checks=checks)

    if proposal is None:
        return EditorScreen(edited, position)
    return EditorScreen(edited, position, response=proposal.after, save=save)
