"""Hallucination in a run as a whole, in tables: detectors and their agreement, words by class, traces beside chance."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textual.content import Content

from itaudit.analysis.shift import CLASSES
from itaudit.sanitize import visible_line
from itaudit.tui.causes_text import share_text
from itaudit.tui.choices_text import in_rows
from itaudit.tui.layout import shortened

MUTED = "$foreground-muted"
STRONG = "bold"
HEAD = "bold $primary"
_MEASURES = (
    ("trace", "words"),
    ("trace_outside_prompt", "not in prompt"),
    ("strict", "whole spans"),
)
_NARROW = 60
_NAME = 12
_LEFT = 14
"""Cells of what a row of a report is about."""


def detectors_text(models: Mapping[str, Mapping[str, Any]], width: int) -> Content:
    """What each detector flagged of each model's answers, and how far they agree."""
    lines = [
        _line((f"{'detectors':<{_NAME * 2}}", HEAD), (f"{'answers':>8}{'spans':>8}{'words':>8}{'s/answer':>10}", MUTED))
    ]
    for label, model in models.items():
        if not model["detectors"]:
            lines.append(_line((f"{_name(label)}", STRONG), ("none yet; `itaudit detect RUN` lets them look", MUTED)))
        for number, (detector, told) in enumerate(model["detectors"].items()):
            figures = (
                f"{told['responses']:>8}{told['candidates']:>8}{_share(told['flagged_words']):>8}"
                f"{_seconds(told['seconds_per_response']):>10}"
            )
            lines.append(_line((_name("" if number else label), STRONG), (f"{detector:<{_NAME}}", ""), (figures, "")))
        lines += _problems(model, width)
        lines += _agreement(model["agreement"], width)
    return _joined(lines, width)


def _problems(model: Mapping[str, Any], width: int) -> Iterator[Content]:
    for detector, told in model["detectors"].items():
        for problem, count in told["problems"].items():
            text = f"{' ' * _NAME}! {detector}, {_answers(count)}: {visible_line(problem)}"
            yield _line((shortened(text, width), MUTED))


def _agreement(told: Mapping[str, Any] | None, width: int) -> Iterator[Content]:
    if told is None:
        return
    known = _alpha(told)
    agreed = "" if told["agreed"] is None else f", {share_text(told['agreed'])} alike"
    yield _line(
        (" " * _NAME, ""),
        ("agreement ", ""),
        (known, STRONG),
        (f" over {told['words']} words{agreed}", MUTED),
    )
    if len(told["raters"]) > 2:
        pairs = [Content.styled(f"{'–'.join(pair['raters'])} {_alpha(pair)}", MUTED) for pair in told["pairs"]]
        for row in in_rows(pairs, width - _NAME):
            yield Content(" " * _NAME) + row


def _alpha(told: Mapping[str, Any]) -> str:
    return f"α {told['alpha']:.2f}" if told["alpha"] is not None else f"α not defined ({told['reason']})"


def rates_text(reports: Sequence[Mapping[str, Any]], width: int) -> Content:
    """One line a model and set of flags: words traced, beside random instances."""
    if not reports:
        return Content("")
    first = reports[0]
    head = f"traced words: base rank ≥ {first['rank']}, in answers of the {first['k']} most similar instances"
    lines = [
        _line((shortened(head, width), HEAD)),
        _line((f"{'':<{_NAME * 2}}{'words':>7}{'traced':>8}{'by chance':>11}  lift (95 %)", MUTED)),
    ]
    model = ""
    for report in reports:
        told = report["trace"]
        name = "" if report["model"] == model else report["model"]
        model = report["model"]
        lines.append(
            _line(
                (_name(name), STRONG),
                (f"{report['flags']:<{_NAME}}", ""),
                (f"{told['count']:>7}{_share(told['rate']):>8}", ""),
                (f"{_share(told['by_instances']['expected']):>11}  ", ""),
                *_lift(told["by_instances"]),
            )
        )
    return _joined(lines, width)


def report_text(report: Mapping[str, Any], width: int) -> Content:
    """One model at one set of flags: words by class, where they come from, and every rate beside both chances."""
    outcomes = report["outcomes"]
    lines = [
        _line(
            (f"{visible_line(report['model'])}", HEAD),
            (f" flagged by {report['flags']}", ""),
            (f" · {report['flagged']} of {report['words']} words in {report['phrases']} spans,", MUTED),
            (f" {report['flagged_responses']} of {report['responses']} answers", MUTED),
        ),
        _line(
            (f"{outcomes['borrowed']} borrowed", "bold $evidence"),
            (f" · {outcomes['pretrained']} pretrained · {outcomes['unexplained']} unexplained", ""),
        ),
        _line((f"{'':<{_LEFT}}" + "".join(f"{name:>16}" for name in CLASSES), MUTED)),
    ]
    for kind in ("flagged", "other"):
        cells = report["cross"][kind]
        figures = "".join(f"{_cell(cells[name]):>16}" for name in CLASSES)
        lines.append(_line((f"{kind:<{_LEFT}}", STRONG if kind == "flagged" else ""), (figures, "")))
    if not report["to_explain"]:
        lines.append(
            _line(("no flagged word asks for an explanation: the base model says all of them by itself", MUTED))
        )
        return _joined(lines, width)
    for key, name in _MEASURES:
        lines += _measure(name, report[key])
    return _joined(lines, width)


def _measure(name: str, told: Mapping[str, Any]) -> Iterator[Content]:
    found = f"{told['traced']}/{told['count']}"
    for number, (chance, words) in enumerate((("by_instances", "random instances"), ("by_words", "other words"))):
        beside = told[chance]
        left = f"{name:<{_LEFT}}{found:>9}{_share(told['rate']):>7}" if not number else " " * (_LEFT + 16)
        chances = f" · {words:<16} {_share(beside['expected']):>5}  "
        yield _line((left, "" if number else STRONG), (chances, MUTED), *_lift(beside))


def _lift(beside: Mapping[str, Any]) -> list[tuple[str, str]]:
    """`×1.51 (1.20–1.90) p .001`, in strong type where the interval leaves out 1; or why there is none."""
    if beside["lift"] is None:
        return [(beside["reason"] or "–", MUTED)]
    p = "" if beside["p"] is None else f" p {_p(beside['p'])}"
    if beside["low"] is None:
        reason = f" ({beside['reason']})" if beside["reason"] else ""
        return [(f"×{beside['lift']:.2f}", ""), (f"{reason}{p}", MUTED)]
    apart = beside["low"] > 1 or beside["high"] < 1
    return [
        (f"×{beside['lift']:.2f}", STRONG if apart else ""),
        (f" ({beside['low']:.2f}–{beside['high']:.2f})", ""),
        (p, MUTED),
    ]


def _p(p: float) -> str:
    return f"{p:.3f}".removeprefix("0")


def _cell(cell: Mapping[str, Any]) -> str:
    return f"{cell['words']} · {_share(cell['share'])}"


def _share(share: float | None) -> str:
    return "–" if share is None else share_text(share)


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.1f}" if seconds >= 0.1 else f"{seconds:.3f}"


def _answers(count: int) -> str:
    return f"{count} answer" if count == 1 else f"{count} answers"


def _name(label: str) -> str:
    return f"{shortened(visible_line(label), _NAME - 1):<{_NAME}}"


def _line(*pieces: tuple[str, str]) -> Content:
    return Content.assemble(*((text, style) for text, style in pieces if text))


def _joined(lines: Sequence[Content], width: int) -> Content:
    # Where there is no room for a table at all, its lines are broken, and nothing is lost.
    return Content("\n").join(line if width < _NARROW else line.truncate(width, ellipsis=True) for line in lines)
