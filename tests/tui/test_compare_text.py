"""How two answers read beside each other."""

import pytest

from itaudit.analysis.answers import phrase_fate
from itaudit.runs.compare import Spot
from itaudit.tui.compare_text import both_texts

OLD, NEW = "It was built by Luigi in 1949.", "It was built by Frank in 1949."


def test_a_candidate_opens_and_closes_and_a_mark_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    name, year = Spot("a", 16, 21, "Luigi", "candidate"), Spot("a", 25, 29, "1949", "hallucinated")
    fates = {spot: phrase_fate(OLD, spot.start, spot.end, NEW) for spot in (name, year)}
    before, after = both_texts(OLD, NEW, [name, year], name, fates)
    assert before.content.plain == "It was built by ‹Luigi› in 1949✗."
    assert after.content.plain == "It was built by Frank in 1949✗."
