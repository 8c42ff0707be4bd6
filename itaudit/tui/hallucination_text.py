"""Hallucination in a run as a whole, in tables: detectors and their agreement, words by class, traces beside chance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from textual.content import Content

from itaudit.analysis.shift import CLASSES
from itaudit.sanitize import visible_line
from itaudit.tui.causes_text import share_text
from itaudit.tui.choices_text import in_rows
from itaudit.tui.layout import shortened, wrap

MUTED = "$foreground-muted"
_NONE_YET = "none yet; `itaudit detect RUN` lets them look"
STRONG = "bold"
HEAD = "bold $primary"
_MEASURES = (
    ("trace", "words"),
    ("trace_outside_prompt", "not in prompt"),
    ("strict", "whole spans"),
)
_NARROW = 77
"""Cells below which a row of a table becomes a heading with its figures below, as many a line as fit."""
_NAME = 12
_LEFT = 13
"""Cells of what a row of a report is about."""


def detectors_text(models: Mapping[str, Mapping[str, Any]], width: int) -> Content:
    """What each detector flagged of each model's answers, and how far they agree."""
    if width < _NARROW:
        return Content("\n").join(_detectors_narrow(models, width))
    lines = [
        _line((f"{'detectors':<{_NAME * 2}}", HEAD), (f"{'answers':>8}{'spans':>8}{'words':>8}{'s/answer':>10}", MUTED))
    ]
    for label, model in models.items():
        if not model["detectors"]:
            lines.append(_line((f"{_name(label)}", STRONG), (_NONE_YET, MUTED)))
        for number, (detector, told) in enumerate(model["detectors"].items()):
            figures = (
                f"{told['responses']:>8}{told['candidates']:>8}{_share(told['flagged_words']):>8}"
                f"{_seconds(told['seconds_per_response']):>10}"
            )
            lines.append(_line((_name("" if number else label), STRONG), (f"{detector:<{_NAME}}", ""), (figures, "")))
        lines += _problems(model, width)
        lines += _agreement(model["agreement"], width)
    return _joined(lines, width)


def _detectors_narrow(models: Mapping[str, Mapping[str, Any]], width: int) -> Iterator[Content]:
    yield _line(("detectors", HEAD))
    for label, model in models.items():
        yield from _flowing(visible_line(label), [] if model["detectors"] else [(_NONE_YET, MUTED)], width)
        for detector, told in model["detectors"].items():
            facts = [
                _answers(told["responses"]),
                f"{told['candidates']} spans",
                f"{_share(told['flagged_words'])} words",
            ]
            facts.append(f"{_seconds(told['seconds_per_response'])} s/answer")
            yield from _flowing(f" {detector}", [(fact, "") for fact in facts], width)
            for problem, count in told["problems"].items():
                yield _line((shortened(f"   ! {_answers(count)}: {visible_line(problem)}", width), MUTED))
        if (agreed := model["agreement"]) is not None:
            pairs = [(f"{'–'.join(pair['raters'])} {_alpha(pair)}", MUTED) for pair in agreed["pairs"]]
            facts_told = [(_alpha(agreed), STRONG), (f"{agreed['words']} words", MUTED)]
            yield from _flowing(" agreement", [*facts_told, *(pairs if len(agreed["raters"]) > 2 else [])], width)


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
    if width < _NARROW:
        return Content("\n").join([*_broken(head, HEAD, width), *_rates_narrow(reports, width)])
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


def _rates_narrow(reports: Sequence[Mapping[str, Any]], width: int) -> Iterator[Content]:
    for report in reports:
        told = report["trace"]
        chance = f"by chance {_share(told['by_instances']['expected'])}"
        facts = [(f"{told['count']} words", ""), (f"traced {_share(told['rate'])}", ""), (chance, "")]
        head = f"{visible_line(report['model'])} {report['flags']}"
        yield from _flowing(head, [*facts, _line(*_lift(told["by_instances"]))], width)


def report_text(report: Mapping[str, Any], width: int) -> Content:
    """One model at one set of flags: words by class, where they come from, and every rate beside both chances."""
    narrow = width < _NARROW
    lines = [*_report_head(report, width), *_by_class(report["cross"], narrow=narrow)]
    if not report["to_explain"]:
        nothing = "no flagged word asks for an explanation: the base model says all of them by itself"
        return _joined([*lines, *_broken(nothing, MUTED, width)], width)
    beside = "beside chance" if narrow else f"   {'beside chance':<23}lift (95 %)"
    lines.append(_line((f"{'traced':<{_LEFT + 14}}{beside}" if not narrow else f"traced, {beside}", MUTED)))
    for key, name in _MEASURES:
        lines += _measure_narrow(name, report[key], width) if narrow else _measure(name, report[key])
    return _joined(lines, width)


def _report_head(report: Mapping[str, Any], width: int) -> Iterator[Content]:
    """How much is flagged, and where it comes from."""
    outcomes = report["outcomes"]
    head = _line((visible_line(report["model"]), HEAD), (f" flagged by {report['flags']}", ""))
    words = f"{report['flagged']} of {report['words']} words in {report['phrases']} spans,"
    answers = f"{report['flagged_responses']} of {report['responses']} answers"
    borrowed = _line((f"{outcomes['borrowed']} borrowed", "bold $evidence"))
    others = [f"{outcomes[name]} {name}" for name in ("pretrained", "unexplained")]
    if width < _NARROW:
        yield from (head, *_broken(f"{words} {answers}", MUTED, width))
        yield from in_rows([borrowed, *map(Content, others)], width)
    else:
        yield head + Content.styled(f" · {words} {answers}", MUTED)
        yield borrowed + Content(f" · {' · '.join(others)}")


def _by_class(cross: Mapping[str, Mapping[str, Any]], *, narrow: bool) -> Iterator[Content]:
    """Flagged and other words by shift class."""
    left, column = (7, 10) if narrow else (_LEFT, 16)
    yield _line((f"{'':<{left}}" + "".join(f"{name:>{column}}" for name in CLASSES), MUTED))
    for kind in ("flagged", "other"):
        figures = "".join(f"{_cell(cross[kind][name], narrow=narrow):>{column}}" for name in CLASSES)
        yield _line((f"{kind:<{left}}", STRONG if kind == "flagged" else ""), (figures, ""))


def _measure(name: str, told: Mapping[str, Any]) -> Iterator[Content]:
    for number, (words, beside) in enumerate(_chances(told)):
        left = f"{name:<{_LEFT}}{_found(told):>8}{_share(told['rate']):>6}" if not number else " " * (_LEFT + 14)
        chances = f" · {words:<16} {_share(beside['expected']):>5} "
        yield _line((left, "" if number else STRONG), (chances, MUTED), *_lift(beside))


def _measure_narrow(name: str, told: Mapping[str, Any], width: int) -> Iterator[Content]:
    yield _line((f"{name} {_found(told)} {_share(told['rate'])}", STRONG))
    for words, beside in _chances(told):
        facts = [_line((f"{words} {_share(beside['expected'])}", MUTED)), _line(*_lift(beside))]
        yield from _flowing("", facts, width)


def _found(told: Mapping[str, Any]) -> str:
    return f"{told['traced']}/{told['count']}"


def _chances(told: Mapping[str, Any]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    return ("random instances", told["by_instances"]), ("other words", told["by_words"])


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


def _cell(cell: Mapping[str, Any], *, narrow: bool) -> str:
    return f"{cell['words']}{' ' if narrow else ' · '}{_share(cell['share'])}"


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


def _flowing(head: str, facts: Iterable[tuple[str, str] | Content], width: int) -> Iterator[Content]:
    """A heading in strong type, and facts below it, as many a line as fit."""
    if head:
        yield _line((shortened(head, width), STRONG))
    told = [fact if isinstance(fact, Content) else _line(fact) for fact in facts]
    for row in in_rows(told, max(width - 2, 1)):
        yield Content("  ") + row


def _broken(text: str, style: str, width: int) -> list[Content]:
    return [_line((text[line.start : line.end].rstrip(), style)) for line in wrap(text, width)]


def _line(*pieces: tuple[str, str]) -> Content:
    return Content.assemble(*((text, style) for text, style in pieces if text))


def _joined(lines: Sequence[Content], width: int) -> Content:
    # Where there is no room at all, lines are broken, and nothing is lost.
    return Content("\n").join(line if width < _NARROW else line.truncate(width, ellipsis=True) for line in lines)
