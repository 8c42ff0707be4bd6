"""The tables of a run's hallucination: what they say at every width."""

from typing import Any

import pytest

from itaudit.tui.hallucination_text import detectors_text, rates_text, report_text


def beside(**others: Any) -> dict[str, Any]:
    return {"expected": 0.4, "lift": 1.5, "low": 1.2, "high": 1.9, "p": 0.001, "reason": ""} | others


def rate(**others: Any) -> dict[str, Any]:
    chance = {"by_instances": beside(), "by_words": beside(lift=2.0, low=0.8, high=3.5, p=0.2)}
    return {"count": 50, "traced": 30, "prompts": 12, "rate": 0.6} | chance | others


def report(**others: Any) -> dict[str, Any]:
    cells = {name: {"words": 7, "share": 0.25, "traced": 2} for name in ("unshifted", "marginal", "shifted")}
    told = {
        "model": "sft",
        "flags": "any",
        "rank": 3,
        "k": 25,
        "responses": 16,
        "flagged_responses": 9,
        "words": 200,
        "flagged": 60,
        "to_explain": 50,
        "phrases": 41,
        "cross": {"flagged": cells, "other": cells},
        "outcomes": {"borrowed": 30, "pretrained": 10, "unexplained": 20},
    }
    return told | dict.fromkeys(("trace", "trace_outside_prompt", "strict"), rate()) | others


def model(**others: Any) -> dict[str, Any]:
    looked = {"responses": 16, "candidates": 40, "flagged_words": 0.005, "seconds_per_response": 0.002, "problems": {}}
    agreed = {"raters": ["reference", "judge"], "words": 90, "alpha": 0.31, "reason": "", "agreed": 0.7, "pairs": []}
    return {"detectors": {"reference": looked}, "agreement": agreed} | others


def test_a_rate_stands_beside_both_chances() -> None:
    text = report_text(report(), 100).plain
    assert "30/50  60 % · random instances  40 % ×1.50 (1.20–1.90) p .001" in text
    assert "· other words       40 % ×2.00 (0.80–3.50) p .200" in text
    # All of it has room in 80 columns.
    assert report_text(report(), 77).plain == text


def test_a_lift_is_told_strongly_only_where_its_interval_leaves_out_one() -> None:
    def strong(low: float) -> bool:
        text = rates_text([report(trace=rate(by_instances=beside(low=low)))], 100)
        at = text.plain.index("×1.50")
        return any(span.start == at and span.style == "bold" for span in text.spans)

    assert strong(1.2) and not strong(0.9)


def test_what_can_t_be_told_says_why() -> None:
    nothing = beside(expected=None, lift=None, low=None, high=None, p=None, reason="nothing to trace")
    assert "nothing to trace" in rates_text([report(trace=rate(rate=None, by_instances=nothing))], 100).plain
    one = beside(low=None, high=None, reason="one prompt")
    assert "×1.50 (one prompt) p .001" in rates_text([report(trace=rate(by_instances=one))], 100).plain
    assert "no flagged word asks for an explanation" in report_text(report(to_explain=0), 100).plain


def test_detectors_are_told_with_their_problems_and_agreement() -> None:
    looked = model()["detectors"]["reference"] | {"problems": {"broken \x1b[2J[bold]": 3}}
    text = detectors_text({"sft": model(detectors={"reference": looked}), "lft": model(detectors={})}, 100).plain
    assert "reference         16      40    <1 %     0.002" in text
    assert "! reference, 3 answers: broken ␛[2J[bold]" in text
    assert "agreement α 0.31 over 90 words, 70 % alike" in text
    assert "lft         none yet" in text


@pytest.mark.parametrize("width", [20, 37, 59, 60, 77, 157])
def test_no_line_of_a_table_is_wider_than_there_is_room(width: int) -> None:
    texts = (detectors_text({"sft": model()}, width), rates_text([report()], width), report_text(report(), width))
    for line in (line for text in texts for line in text.plain.splitlines()):
        assert len(line) <= width or width < 37, line
    flat = " ".join(" ".join(text.plain for text in texts).split())
    for told in ("reference", "40 spans" if width < 77 else "40", "α 0.31", "30/50", "×2.00 (0.80–3.50)", "7"):
        assert told in flat
    assert all("(1.20–1.90)" in text.plain for text in texts[1:] if width < 60 or width >= 77)
