"""The detector `import`: candidates that a file holds, in place of those that a detector of ours would find."""

from itaudit.detect.ragtruth import ReadMarks
from itaudit.runs.detections import Candidate, Detection, detection_row
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run


def detect_imported(run: Run, label: str, read: ReadMarks) -> int:
    """Puts what a file says of one model's responses in place of what an earlier file said; returns the candidates.

    Spans that the file calls correct, or style, are no candidates.
    """
    by_prompt: dict[str, list[Candidate]] = {}
    for mark in read.marks:
        if mark.model == label and mark.flagged:
            by_prompt.setdefault(mark.prompt_id, []).append(_candidate(mark))
    rows = []
    for row in run.table("responses", label).read().select(["order", "prompt_id"]).to_pylist():
        prompt_id = row["prompt_id"]
        problem = "" if (label, prompt_id) in read.responses else "the file does not name the response"
        found = sorted(by_prompt.get(prompt_id, ()), key=lambda candidate: (candidate.start, candidate.end))
        rows.append(detection_row(row["order"], Detection(prompt_id, tuple(found), problem)))
    run.detections("import", label).replace(rows)
    return sum(map(len, by_prompt.values()))


def _candidate(mark: Mark) -> Candidate:
    # A span without a score is as sure as its file is.
    score = mark.score if mark.score is not None and 0 <= mark.score <= 1 else 1.0
    reason = f"{mark.label}: {mark.note}" if mark.note else mark.label
    return Candidate(mark.start, mark.end, mark.text, score, " ".join(reason.split()))
