"""`python -m itaudit.detect.overview RUN`: hallucination in a run as a whole, one JSON object a line.

What the detectors flagged of each tuned model and how far they agree; then, for each set of flags, the causal analysis
beside chance. A screen has this process count, since it may take longer than a key may, and imports what is slow.
"""

import signal
import sys
from pathlib import Path

from itaudit.data.child import say
from itaudit.detect.flagged_causes import CauseFlags, flagged_causes
from itaudit.detect.report import detect_document
from itaudit.detect.spans import ResponseFlags
from itaudit.errors import UserError
from itaudit.runs.causes import fill_causes
from itaudit.runs.run import BASE, Run
from itaudit.trace.cause_report import cause_report


def flag_sets(run: Run, label: str) -> list[CauseFlags]:
    """The sets of flags that there is something to be told of, the widest first."""
    detectors = run.detectors(label)
    marked = any(mark.model == label and mark.flagged for mark in run.marks().values())
    sets: list[CauseFlags] = ["shifted"]
    if detectors or marked:
        sets.append("any")
    if marked:
        sets.append("marks")
    return [*sets, *detectors]


def main() -> int:
    # Whoever started it and went away wants it to end, quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        run = Run(Path(sys.argv[1]))
        labels = [label for label in run.labels if label != BASE and len(run.table("responses", label).read())]
        for label in labels:
            say({"doing": f"detectors of {label}"})
            say({"detectors": detect_document(run, [label])["models"]})
        for label in labels:
            _tell_causes(run, label)
        say({"done": True})
    except UserError as error:
        say({"problem": str(error)})
        return 1
    return 0


def _tell_causes(run: Run, label: str) -> None:
    # A run at work fills its tables itself.
    if not run.table("causes", label).closed and run.job() not in ("queued", "running"):
        say({"doing": f"causes of {label}"})
        fill_causes(label, run)
    flags = ResponseFlags(run, label)
    for name in flag_sets(run, label):
        say({"doing": f"causes of {label} by {name}"})
        report = cause_report(
            flagged_causes(run, flags, label, name),
            model=label,
            flags=name,
            rank=run.cause_rank,
            k=run.recipe.causes.k,
            thresholds=run.thresholds,
        )
        if report.responses:
            say({"report": report.to_json()})


if __name__ == "__main__":
    sys.exit(main())
