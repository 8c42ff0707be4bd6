"""Which rows of a source a recipe's `skip`, `limit` and `without_input` take."""

from itaudit.data.dataset import Dataset


def chosen_positions(dataset: Dataset, *, skip: int, limit: int, without_input: bool) -> list[int]:
    """The positions that are taken, in order; a `limit` of 0 takes all that qualify after `skip`.

    Ask it of a source as its file has it: were an edit to push a row out, the rows after it would move up, and what
    another part of the file holds out would be tuned on.
    """
    positions = list(range(len(dataset)))
    if without_input:
        inputs = dataset.table.column("input").to_pylist()
        positions = [position for position in positions if not (inputs[position] or "").strip()]
    return positions[skip:][: limit or None]
