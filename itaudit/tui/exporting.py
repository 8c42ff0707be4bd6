"""What the stepper shows of a prompt, as a Markdown file."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.runs.marks import Mark
from itaudit.runs.rows import Prompt
from itaudit.runs.run import BASE, Run
from itaudit.sanitize import visible, visible_line
from itaudit.trace.types import Span
from itaudit.tui.answer import Answer, token_label
from itaudit.tui.labels import CANDIDATE_MARKS, label_mark


def write_prompt(run: Run, prompt: Prompt, answers: Sequence[Answer]) -> Path:
    """Writes `exports/PROMPT.md` in the run and returns its path; raises UserError where that can't be done."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", prompt.id)[:80]
    if name != prompt.id or name.startswith("."):
        # Ids that had to be changed could meet under one name.
        name = f"{prompt.order}-{name}"
    path = run.path / "exports" / f"{name}.md"
    try:
        path.parent.mkdir(exist_ok=True)
        atomic.write_bytes(path, prompt_markdown(run, prompt, answers).encode("utf-8", "replace"))
    except OSError as error:
        raise UserError(f"{path}: can't write the export: {error.strerror}") from None
    return path


def prompt_markdown(run: Run, prompt: Prompt, answers: Sequence[Answer]) -> str:
    """A prompt with every model's answer: its tokens with class and KL, and the sources of its spans."""
    lines = [f"# {inline(run.name)}: prompt {inline(prompt.id)}", "", *fenced(prompt.prompt), ""]
    if prompt.reference:
        lines += ["Reference:", "", *fenced(prompt.reference), ""]
    for answer in answers:
        lines += [f"## {answer.label}", ""]
        if answer.response is None:
            lines += ["Not answered yet.", ""]
            continue
        lines += [*fenced(answer.text), "", f"Finished: {answer.response.finish}.", ""]
        lines += [*_tokens(run, answer), *_marks(answer), *_spans(answer)]
    return "\n".join(lines).rstrip() + "\n"


def _tokens(run: Run, answer: Answer) -> Iterator[str]:
    scores = answer.scores
    if scores is None:
        yield from ("Not scored yet.", "")
        return
    tuned = scores.logprob_tuned if answer.label != BASE else None
    yield "| position | token | class | base rank | log p base | log p tuned | KL (nats) | marked |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for number, position in enumerate(answer.positions):
        text = answer.text[position.start : position.end] or run.token_text(scores.ids[number])
        figures = (
            str(number + 1),
            _code(token_label(text)),
            str(position.shift),
            str(scores.rank_base[number]),
            f"{scores.logprob_base[number]:.4f}",
            "" if tuned is None else f"{tuned[number]:.4f}",
            "" if scores.kl is None else f"{scores.kl[number]:.4f}",
            "".join(
                dict.fromkeys(label_mark(mark.label) for mark in answer.marks_within(position.start, position.end))
            ),
        )
        yield f"| {' | '.join(figures)} |"
    yield ""


def _marks(answer: Answer) -> Iterator[str]:
    for mark in answer.marks:
        text = _code(visible_line(mark.text))
        yield f"- {label_mark(mark.label)} {inline(mark.label)} {mark.start}–{mark.end}: {text}, {_whose(mark)}"
    for flag in answer.flags:
        if flag.mark is None:
            scores = ", ".join(f"{name} {score:.2f}" for name, score in flag.scores.items())
            text = _code(visible_line(flag.text))
            yield f"- {''.join(CANDIDATE_MARKS)} candidate {flag.start}–{flag.end}: {text}, by {scores}"
    if answer.marks or answer.flags:
        yield ""


def _whose(mark: Mark) -> str:
    whose = f"by {inline(mark.by)}"
    if mark.detector:
        whose += f", on what {inline(mark.detector)} flagged"
    return f"{whose}: {inline(mark.note)}" if mark.note else whose


def _spans(answer: Answer) -> Iterator[str]:
    for span in answer.spans or ():
        yield f"### {_code(visible_line(span.text))}: {span.kind}, in {span.frequency} instances"
        yield ""
        yield from _sources(span)
        yield ""


def _sources(span: Span) -> Iterator[str]:
    for rank, source in enumerate(span.sources, 1):
        words = ", ".join(f"{visible_line(word)} {score:.2f}" for word, score in source.words)
        yield f"{rank}. #{source.index} {inline(source.instruction)} (BM25 {source.score:.2f}: {inline(words)})"
        for evidence in source.evidence:
            text = _code(visible_line(evidence.text))
            yield f"   - {inline(evidence.field)} {evidence.start}–{evidence.end}: {text}"
    if not span.sources:
        yield "No sources."


def fenced(text: str) -> list[str]:
    """A block of text that no backticks inside can end."""
    shown = visible(text)
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", shown, fence]


def _code(text: str) -> str:
    """Inline code that no backticks inside can end, and that may stand in a table."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}".replace("|", "\\|")


def inline(text: str) -> str:
    """Text on one line that Markdown takes for text."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", visible_line(text))
