"""What the engines make of the first responses of a dataset: lengths, grades, and what the checks stopped.

    python benchmarks/simplify_benchmark.py DATASET [--count 200] [--base-url URL --model NAME --max-tokens 96]

Takes the first instances with a response. Without --base-url it measures the extractive engine alone. The jobs are
real batches; interrupted with --keep DIR, the same call goes on.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import fmean

from itaudit.data.edited import EditedDataset
from itaudit.data.load import load
from itaudit.data.overlay import Overlay
from itaudit.simplify.batch import Batch
from itaudit.simplify.proposal import Proposal
from itaudit.simplify.settings import EndpointSettings, Settings
from itaudit.simplify.summary import summary_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--base-url")
    parser.add_argument("--model", default="")
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    chosen = parser.parse_args()
    engines = [Settings()]
    if chosen.base_url:
        endpoint = EndpointSettings(
            base_url=chosen.base_url,
            model=chosen.model,
            max_tokens=chosen.max_tokens,
            timeout=chosen.timeout,
            concurrency=chosen.concurrency,
        )
        engines.append(Settings(engine="endpoint", endpoint=endpoint))
    source = load(str(Path(chosen.dataset).resolve()))
    positions = [at for at, instance in enumerate(source) if (instance.response or "").strip()][: chosen.count]
    print(f"{len(positions)} instances of {Path(source.path).name}, rows 0 to {source[positions[-1]].index}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        os.environ["ITAUDIT_STATE_DIR"] = str(folder / "state")
        for settings in engines:
            edited = EditedDataset(source, Overlay(folder / "workshop"))
            measure(edited, positions, settings)


def measure(edited: EditedDataset, positions: list[int], settings: Settings) -> None:
    """Runs one engine over the instances and prints what came of it."""
    place = edited.overlay.folder / "batches" / settings.engine
    batch = Batch(place) if place.exists() else Batch.create(edited, positions, settings, settings.engine)
    began = time.monotonic()
    if batch.status().done < batch.task.total:
        batch.start()
    while (status := batch.status()).at_work:
        time.sleep(0.2)
    seconds = time.monotonic() - began
    if status.state != "done":
        raise SystemExit(f"{status.state}: {status.error}")
    proposals = list(batch.proposals())
    told = summary_of(proposals).to_json()
    changed = sum(1 for p in proposals if p.passes and p.checks and not p.checks.unchanged)
    print(f"\n{settings.engine}, {seconds:.0f} s")
    print(f"  words a response      {told['words']['before']:.1f} -> {told['words']['after']:.1f}")
    print(f"  Flesch-Kincaid grade  {told['grade']['before']:.2f} -> {told['grade']['after']:.2f}")
    print(f"  compression, kept     {told['compression']:.2f}, {told['kept']:.2f}")
    print(f"  pass                  {told['passed']}, {told['unchanged']} of them unchanged, {changed} simpler")
    print(f"  stopped by checks     {told['stopped']}  {told['reasons']}")
    print(f"  without a proposal    {told['problems']}")
    words, grades = accepted_means(proposals)
    print(f"  with those that pass accepted: {words:.1f} words, grade {grades:.2f}")


def accepted_means(proposals: list[Proposal]) -> tuple[float, float]:
    """Mean words and grade of all responses once every passing proposal is accepted."""
    sides = [(p.checks.after if p.passes else p.checks.before) for p in proposals if p.checks]
    return fmean(side.words for side in sides), fmean(side.grade for side in sides if side.grade is not None)


if __name__ == "__main__":
    main()
