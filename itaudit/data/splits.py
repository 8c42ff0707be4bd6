"""Instances shared out among named splits, by a seed."""

import hashlib
import re
from collections.abc import Mapping, Sequence

from itaudit.errors import UserError

# As `datasets` wants them.
_NAME = re.compile(r"\w+(\.\w+)*", re.ASCII)


def parse_splits(text: str) -> dict[str, float]:
    """The shares in `train=0.9,test=0.1`, which add up to 1. Raises UserError, code 2, naming what is wrong."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (piece.strip() for piece in part.partition("="))
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        if not _NAME.fullmatch(name) or not 0 < value <= 1:
            raise UserError(f"--split {part!r}: expected NAME=SHARE, such as train=0.9 (shares of 1)", code=2)
        if name in shares:
            raise UserError(f"--split: {name} is named twice; name each split once", code=2)
        shares[name] = value
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        raise UserError(f"--split: the shares add up to {total:g}; they have to make 1", code=2)
    return shares


def share_out(ids: Sequence[str], shares: Mapping[str, float], seed: int) -> dict[str, list[int]]:
    """The positions of each split, in the order of the instances.

    Each id has a place of its own in the order that the seed makes, so that an instance stays in its split when
    others come or go, but for the few at a border. Raises UserError, code 2, where a split gets no instance.
    """
    salt = str(seed).encode()
    places = [hashlib.blake2b(id.encode(), key=salt, digest_size=16).digest() for id in ids]
    order = sorted(range(len(ids)), key=places.__getitem__)
    found: dict[str, list[int]] = {}
    total, done = 0.0, 0
    for name, share in shares.items():
        total += share
        end = len(ids) if name == list(shares)[-1] else round(total * len(ids))
        found[name] = sorted(order[done:end])
        done = end
        if not found[name]:
            raise UserError(f"--split {name}={share:g}: gets none of {len(ids)} instances; give it more", code=2)
    return found
