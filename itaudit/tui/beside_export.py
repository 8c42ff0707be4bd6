"""Models side by side at a prompt, as a Markdown file."""

import re
from pathlib import Path

from itaudit import atomic
from itaudit.errors import UserError
from itaudit.tui.beside import Beside
from itaudit.tui.beside_text import parting_words
from itaudit.tui.exporting import fenced, inline


def write(beside: Beside) -> Path:
    """Writes `exports/PROMPT.side-by-side.md` in the first model's run and returns its path.

    Raises UserError where that can't be done, or there is no prompt.
    """
    prompt = beside.prompt
    if prompt is None:
        raise UserError("there is no prompt to export")
    name = f"{prompt.order}-{re.sub(r'[^A-Za-z0-9._-]', '_', prompt.id)[:80]}"
    path = beside.cells[0].run.path / "exports" / f"{name}.side-by-side.md"
    try:
        path.parent.mkdir(exist_ok=True)
        atomic.write_bytes(path, markdown(beside).encode("utf-8", "replace"))
    except OSError as error:
        raise UserError(f"{path}: can't write the export: {error.strerror}") from None
    return path


def markdown(beside: Beside) -> str:
    """The prompt, where the answers part, and each answer with its figures."""
    prompt = beside.prompt
    if prompt is None:
        return ""
    lines = [f"# Prompt {inline(prompt.id)}", "", *fenced(prompt.prompt), ""]
    if prompt.reference:
        lines += ["Reference:", "", *fenced(prompt.reference), ""]
    lines += [f"The answers {inline(parting_words(beside.partings, beside.names))}.", ""]
    shifts = beside.compared.shifts(prompt.id)
    for name, cell, answer, shift in zip(beside.names, beside.cells, beside.answers, shifts, strict=True):
        lines += [f"## {inline(name)} ({inline(cell.run.name)})", ""]
        if answer.response is None:
            lines += ["Not answered yet.", ""]
            continue
        lines += [*fenced(answer.text), ""]
        if shift is not None:
            kl = "" if shift.kl_mean is None else f", KL {shift.kl_mean:.3f} nats a position"
            figures = f"{shift.unshifted} unshifted, {shift.marginal} marginal, {shift.shifted} shifted"
            lines += [f"{shift.tokens} positions: {figures}{kl}.", ""]
    return "\n".join(lines).rstrip() + "\n"
