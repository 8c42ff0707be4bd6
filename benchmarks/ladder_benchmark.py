"""The ladder of sizes: does what is said of LFT and SFT hold however KL is averaged?

    python benchmarks/ladder_benchmark.py EXPERIMENT [--first 32]

EXPERIMENT is a finished experiment with several sizes and two models, such as ghosh2024-small. Prints the rise of mean
KL (nats) from its smallest to its largest size, for each model and as the difference of the two,

- over all positions, as the tables of the experiment have it;
- the same, without the first prompts (`--first`);
- without the position at which a response stops;
- as the mean of the responses' own means, so that short ones weigh like long ones;

what part of the KL the stop holds at either size; and at the largest size how many shifted tokens are content, beside
the share of content among all positions. Intervals are 95 %, by bootstrap over prompts. Writes nothing but what
`itaudit style` keeps.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from itaudit.analysis.intervals import Estimate, Totals, contrast, difference, estimate
from itaudit.experiments.experiment import Experiment
from itaudit.runs.cells import Cell
from itaudit.style.fill import styled
from itaudit.style.kinds import CONTENT

SHIFTED = 3
"""The least 0-based rank of a shifted token."""

Positions = Mapping[str, tuple[np.ndarray, np.ndarray, bool]]
"""By prompt id: KL in nats and the base model's rank at each position, and whether the last one is a stop."""


def positions_of(cell: Cell) -> Positions:
    ended = {
        row["prompt_id"]: row["finish"] != "cut_off"
        for row in cell.run.table("responses", cell.label).read().to_pylist()
    }
    return {
        row["prompt_id"]: (np.asarray(row["kl"]), np.asarray(row["rank_base"]), ended[row["prompt_id"]])
        for row in cell.run.table("scores", cell.label).read().to_pylist()
    }


def averages(positions: Positions, first: int) -> dict[str, Totals]:
    """Totals whose quotient is the mean KL, by what is averaged."""
    everything = {key: (float(kl.sum()), float(len(kl))) for key, (kl, _, _) in positions.items()}
    inner = {key: kl[: len(kl) - stop] for key, (kl, _, stop) in positions.items()}
    return {
        "all positions": everything,
        f"without the first {first} prompts": dict(list(everything.items())[first:]),
        "without the stop": {key: (float(kl.sum()), float(len(kl))) for key, kl in inner.items() if len(kl)},
        "each response alike": {key: (total / count, 1.0) for key, (total, count) in everything.items() if count},
    }


def stops(positions: Positions) -> str:
    """The part of all KL that stands where responses stop, and how much that is a stop."""
    at_stop = [float(kl[-1]) for kl, _, stop in positions.values() if stop and len(kl)]
    whole = sum(float(kl.sum()) for kl, _, _ in positions.values())
    return f"{100 * sum(at_stop) / whole:.1f} % of the KL, {np.mean(at_stop):.2f} nats a stop"


def content(cell: Cell, positions: Positions) -> str:
    """How many shifted tokens are content, and whether that is more than content's share of all positions."""
    kinds = {one.prompt_id: np.asarray(one.kinds) == CONTENT for one in styled(cell.run, cell.label)}
    shifted = {key: rank >= SHIFTED for key, (_, rank, _) in positions.items()}
    among: Totals = {key: (float((shifted[key] & kinds[key]).sum()), float(shifted[key].sum())) for key in positions}
    of_all: Totals = {key: (float(kinds[key].sum()), float(len(kinds[key]))) for key in positions}
    counted = f"{sum(one for one, _ in among.values()):.0f} of {sum(every for _, every in among.values()):.0f}"
    shares = f"{told(estimate(among), 100)} %, of all positions {told(estimate(of_all), 100)} %"
    return f"{counted} = {shares}, difference {told(difference(among, of_all), 100)} pp"


def told(one: Estimate, times: float = 1) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "–"
    digits = 1 if times > 1 else 4
    return f"{times * one.value:.{digits}f} ({times * one.low:.{digits}f} to {times * one.high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", type=Path)
    parser.add_argument("--first", type=int, default=32)
    asked = parser.parse_args()
    cells = [cell for cell in Experiment(asked.experiment).cells() if not cell.is_base and cell.scored]
    sizes = sorted({cell.size for cell in cells if cell.size is not None})
    labels = list(dict.fromkeys(cell.label for cell in cells))
    if len(sizes) < 2 or len(labels) != 2:
        parser.error(f"{asked.experiment}: needs two models and several sizes that are done")
    low, high = sizes[0], sizes[-1]
    ends = {(cell.label, cell.size): cell for cell in cells if cell.size in (low, high)}
    positions = {place: positions_of(cell) for place, cell in ends.items()}
    means = {place: averages(one, asked.first) for place, one in positions.items()}
    print(f"rise of KL from {low} to {high} instances, nats")
    for name in means[labels[0], low]:
        rises = [f"{label} {told(difference(means[label, high][name], means[label, low][name]))}" for label in labels]
        (low_first, low_second), (high_first, high_second) = (
            [means[label, size][name] for label in labels] for size in (low, high)
        )
        terms = [(1, high_second), (-1, low_second), (-1, high_first), (1, low_first)]
        print(f"  {name}: {', '.join(rises)}, difference {told(contrast(terms))}")
    print("where responses stop")
    for label in labels:
        print(f"  {label}: at {low} {stops(positions[label, low])}; at {high} {stops(positions[label, high])}")
    print(f"shifted tokens that are content, at {high}")
    for label in labels:
        print(f"  {label}: {content(ends[label, high], positions[label, high])}")


if __name__ == "__main__":
    main()
