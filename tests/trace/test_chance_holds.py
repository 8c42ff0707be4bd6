"""Chance is right: where responses are shuffled against instances, the lift's interval holds 1; where not, it tells."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from itaudit.analysis.shift import Thresholds
from itaudit.analysis.words import content_words
from itaudit.data.instance import Instance
from itaudit.trace.cause_lookup import CauseLookup, Scored
from itaudit.trace.cause_report import CauseReport, TraceRate, cause_report
from itaudit.trace.causes import causes_of, causes_row
from itaudit.trace.chance import Chance
from itaudit.trace.index import TraceIndex
from itaudit.trace.prompt_side import PromptSides
from itaudit.trace.response_words import ResponseWords
from tests.trace.cause_data import TOPICS, answer, question, topical
from tests.trace.conftest import SHARED


@dataclass(frozen=True)
class Asked:
    """A prompt, and what stands for a model's response to it."""

    prompt: str
    response: str


class Audit:
    """The analysis of fixed prompts and responses over a dataset whose responses may be dealt out anew."""

    def __init__(self, instances: Sequence[Instance], asked: Sequence[Asked], cache: Path, *, k: int) -> None:
        self.instances, self.asked, self.k = list(instances), list(asked), k
        self.index = TraceIndex.open(PromptSides(self.instances), cache_dir=cache)

    def report(self, *, seed: int, shuffled: bool, prompts: int, draws: int) -> CauseReport:
        """The report of a sample of the prompts with a third of each response's content words flagged."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.instances)) if shuffled else np.arange(len(self.instances))
        dealt = [
            replace(one, response=self.instances[other].response, references=())
            for one, other in zip(self.instances, order, strict=True)
        ]
        words = ResponseWords.build(dealt)
        chosen = {str(at): self.asked[at] for at in rng.choice(len(self.asked), prompts, replace=False)}
        queries = {name: one.prompt for name, one in chosen.items()}
        rows = np.arange(len(dealt))
        lookup = CauseLookup(self.index, words, rows, queries, self.k, Chance(words, k=self.k, draws=draws, seed=seed))
        analyses = []
        for name, one in chosen.items():
            found = content_words(one.response)
            flagged = rng.random(len(found)) < 1 / 3
            # The base model would say none of the flagged words, and all of the others.
            scored = Scored(
                one.response, [w.start for w in found], [w.end for w in found], [9 if flag else 0 for flag in flagged]
            )
            row = causes_row(0, lookup.causes(name, one.prompt, scored))
            draw = lookup.draws.of(name)
            analyses.append((causes_of(row, draw.draws), None))
        return cause_report(analyses, model="m", flags="shifted", rank=3, k=self.k, thresholds=Thresholds())


def sides(reports: Sequence[CauseReport]) -> dict[str, list[tuple[float, float, float, float]]]:
    """(lift, low, high, p) of every report, for both baselines, of words and of phrases."""
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for report in reports:
        rates: dict[str, TraceRate | None] = {"words": report.trace, "phrases": report.strict}
        for unit, rate in rates.items():
            assert rate is not None
            for name, beside in (("instances", rate.by_instances), ("words", rate.by_words)):
                assert beside.lift is not None and beside.low is not None
                assert beside.high is not None and beside.p is not None
                found.setdefault(f"{unit} by {name}", []).append((beside.lift, beside.low, beside.high, beside.p))
    return found


def check_that_chance_is_right(reports: Sequence[CauseReport]) -> None:
    count = len(reports)
    for name, told in sides(reports).items():
        lifts, lows, highs, ps = np.array(told).T
        held = int(((lows <= 1) & (highs >= 1)).sum())
        # So many of so many intervals would hold 1 in 999 of 1,000 repetitions of this test, were they 95 % intervals.
        assert held >= binom.ppf(0.001, count, 0.95), (name, held)
        assert (lows > 1).sum() <= binom.ppf(0.999, count, 0.025), (name, "above")
        assert (highs < 1).sum() <= binom.ppf(0.999, count, 0.025), (name, "below")
        assert (ps <= 0.05).sum() <= binom.ppf(0.999, count, 0.05), (name, "p")
        # No baseline leans to one side: the mean lift is 1 but for the bias of a quotient and for noise.
        assert abs(lifts.mean() - 1) < 3.5 * lifts.std() / np.sqrt(count) + 0.02, (name, lifts.mean())


@pytest.fixture
def synthetic(tmp_path: Path) -> Audit:
    rng = np.random.default_rng(11)
    asked = [Asked(question(rng, at % TOPICS), answer(rng, at % TOPICS)) for at in range(60)]
    return Audit(topical(150), asked, tmp_path, k=15)


def test_shuffled_responses_have_a_lift_of_one_in_the_small(synthetic: Audit) -> None:
    check_that_chance_is_right([synthetic.report(seed=seed, shuffled=True, prompts=15, draws=99) for seed in range(12)])


def test_responses_of_the_same_topic_have_a_lift_above_one(synthetic: Audit) -> None:
    for told in sides([synthetic.report(seed=0, shuffled=False, prompts=40, draws=199)]).values():
        ((quotient, low, _, p),) = told
        assert quotient > 1.05 and low > 1 and p < 0.05


@pytest.mark.slow
def test_shuffled_responses_have_a_lift_of_one(synthetic: Audit) -> None:
    check_that_chance_is_right(
        [synthetic.report(seed=seed, shuffled=True, prompts=20, draws=199) for seed in range(150)]
    )


@pytest.fixture
def dolly_audit(tmp_path: Path) -> Audit:
    path = SHARED / "dolly_3k.json"
    if not path.exists():
        pytest.skip(f"{path} is not there; ITAUDIT_SHARED_DATA names the folder")
    rows = json.loads(path.read_text(encoding="utf-8"))
    instances = [
        Instance(number, str(number), row["instruction"], row["input"], row["output"])
        for number, row in enumerate(rows[:600])
    ]
    # People's answers to prompts that were held out stand for what a model tuned on such answers says.
    asked = [Asked(row["instruction"], row["output"]) for row in rows[600:1000]]
    return Audit(instances, asked, tmp_path, k=25)


@pytest.mark.slow
def test_shuffled_dolly_has_a_lift_of_one(dolly_audit: Audit) -> None:
    check_that_chance_is_right(
        [dolly_audit.report(seed=seed, shuffled=True, prompts=40, draws=199) for seed in range(120)]
    )


def test_dolly_as_it_is_has_a_lift_above_one(dolly_audit: Audit) -> None:
    for told in sides([dolly_audit.report(seed=0, shuffled=False, prompts=40, draws=199)]).values():
        ((quotient, low, _, p),) = told
        assert quotient > 1.1 and low > 1 and p < 0.05
