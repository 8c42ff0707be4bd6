"""A process that edits at random, as a workbench does, and tells of each edit after it was accepted."""

import random
from multiprocessing.connection import Connection
from typing import Any

from itaudit.data.edited import Change, EditedDataset
from itaudit.data.edited_rows import row_values
from itaudit.data.versions import open_edited
from itaudit.errors import UserError

WORDS = ["plain", "words", "naïvely", "東京", "\U0001f9ea", "\x1b[31m", "[/]", "\u202e", "\u2028", "\x00", "\r\n"]


def write_at_random(path: str, seed: int, pipe: Connection) -> None:
    """Edits, undoes and redoes until it is killed; sends {acts, line, position, values} for what was accepted."""
    rng = random.Random(seed)
    edited = open_edited(path)
    pipe.send("ready")
    while True:
        position = rng.randrange(len(edited))
        try:
            acts = act(edited, position, rng)
        except UserError as error:
            assert "another workbench" in str(error), str(error)
            continue
        if acts:
            pipe.send(
                {
                    "acts": acts,
                    "line": edited.overlay.count,
                    "position": position,
                    "values": row_values(edited.row(position)),
                }
            )


def act(edited: EditedDataset, position: int, rng: random.Random) -> list[tuple[str, str]]:
    """Does something to an instance; returns what was accepted as pairs of operation and edit."""
    what = rng.random()
    if what < 0.2:
        undone = edited.undo(position)
        return [("undo", undone.edit)] if undone else []
    if what < 0.3:
        redone = edited.redo(position)
        return [("redo", redone.edit)] if redone else []
    if what < 0.4:
        places = [position, rng.randrange(len(edited)), position]
        made = edited.edit_all([Change(place, changes(rng), "extractive", checks={"passes": True}) for place in places])
        return [("edit", edit.edit) for edit in made if edit]
    edit = edited.edit(position, changes(rng), by="hand")
    return [("edit", edit.edit)] if edit else []


def changes(rng: random.Random) -> dict[str, Any]:
    """New values for one or two fields."""
    text = " ".join(rng.choices(WORDS, k=rng.randint(1, 30))) + str(rng.random())
    turn = {"role": rng.choice(["user", "assistant", "system"]), "content": text}
    values: dict[str, Any] = {
        "instruction": text,
        "input": text,
        "response": text,
        "deleted": rng.random() < 0.5,
        "tags": rng.sample(["long", "odd", "mend"], k=rng.randint(0, 2)),
        "note": text,
        "later": [{"role": "user", "content": "and?"}, turn],
    }
    return {name: values[name] for name in rng.sample(list(values), k=rng.randint(1, 2))}
