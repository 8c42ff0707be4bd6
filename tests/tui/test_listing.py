"""Which line shows which instance."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itaudit.tui.listing import Listing

POSITIONS = st.lists(st.integers(0, 40), unique=True, max_size=30)


def listing(positions: list[int]) -> Listing:
    return Listing(np.array(positions, dtype=np.int64), ascending=positions == sorted(positions))


@given(POSITIONS)
def test_lines_and_positions_say_the_same(positions: list[int]) -> None:
    shown = listing(positions)
    assert [shown.position(line) for line in range(len(shown))] == positions
    assert [shown.line(position) for position in positions] == list(range(len(positions)))
    assert shown.position(len(positions)) is None and shown.position(-1) is None
    assert all(shown.line(other) is None for other in set(range(42)) - set(positions))


@given(POSITIONS, st.sets(st.integers(0, 40)), st.integers(0, 41))
def test_the_lines_of_flagged_instances_are_found(positions: list[int], flagged: set[int], known: int) -> None:
    flags = np.array([position in flagged for position in range(known)], dtype=bool)
    wanted = [line for line, position in enumerate(positions) if position in flagged and position < known]
    assert listing(positions).lines(flags).tolist() == wanted


@given(POSITIONS, st.integers(0, 40))
def test_the_nearest_line_shows_the_instance_or_the_next_one(positions: list[int], wanted: int) -> None:
    line = listing(positions).nearest_line(wanted)
    later = [position for position in positions if position >= wanted]
    if later:
        assert positions[line] == min(later)
    elif positions:
        assert 0 <= line < len(positions)
    else:
        assert line == 0
