"""Prompts for models: text files with `{instruction}`, `{input}`, `{response}` and `{history}` in them."""

import re
from collections.abc import Sequence
from pathlib import Path

from itaudit import atomic, paths
from itaudit.data.instance import Instance
from itaudit.errors import UserError

PLACES = ("instruction", "input", "response", "history")

_PLACE = re.compile(r"\{(instruction|input|response|history)\}")
_OWN = Path(__file__).parent / "prompts"


def prompt_path(name: str, ours: Path = _OWN) -> Path:
    """The file of a prompt: the user's where there is one, else the one that comes along in the folder `ours`.

    Raises UserError where there is neither.
    """
    own = paths.config_dir() / "prompts" / f"{name}.txt"
    if own.is_file():
        return own
    path = ours / f"{name}.txt"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in ours.glob("*.txt")))
        raise UserError(f"{own}: there is no prompt {name!r}; write that file, or use one of {known}", code=2)
    return path


def editable_prompt(name: str, ours: Path = _OWN) -> Path:
    """The user's copy of a prompt, made of the one that comes along where there is none yet."""
    own, current = paths.config_dir() / "prompts" / f"{name}.txt", prompt_path(name, ours)
    if current != own:
        try:
            own.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_bytes(own, current.read_bytes())
        except OSError as error:
            raise UserError(f"{own}: can't write the prompt: {error.strerror}") from None
    return own


def read_prompt(name: str, ours: Path = _OWN, needs: Sequence[str] = ("response",)) -> str:
    """The text of a prompt. Raises UserError where it can't be read, or lacks a place that it `needs`."""
    path = prompt_path(name, ours)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: can't read the prompt as UTF-8 text: {error}") from None
    for place in needs:
        if f"{{{place}}}" not in text:
            raise UserError(f"{path}: has no {{{place}}} in it, where the {place} would stand", code=2)
    return text


def filled(prompt: str, instance: Instance) -> str:
    """The prompt with an instance in its places; braces in the instance's own text mean nothing.

    A place that stays empty leaves no blank lines behind.
    """
    texts = {
        "instruction": instance.instruction,
        "input": instance.input,
        "response": instance.response or "",
        "history": "\n".join(f"{message.role}: {message.content}" for message in instance.history),
    }
    for place, text in texts.items():
        if not text:
            prompt = re.sub(rf"^[ \t]*\{{{place}\}}[ \t]*\n(?:[ \t]*\n)?", "", prompt, flags=re.MULTILINE)
    return _PLACE.sub(lambda match: texts[match[1]], prompt).strip("\n")
