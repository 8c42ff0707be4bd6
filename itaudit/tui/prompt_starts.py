"""Beginnings of prompts that tell them apart: many share a long definition, of which a list would show nothing else."""

from collections.abc import Sequence
from itertools import pairwise

from itaudit.runs.rows import Prompt
from itaudit.sanitize import visible_line

SHARED = 30
"""Characters that a beginning has to share with another prompt's to be left out."""


def prompt_starts(prompts: Sequence[Prompt]) -> dict[str, str]:
    """By prompt id, a line of visible text: the prompt's first, or where it begins to differ from all others."""
    texts = {prompt.id: " ".join(prompt.prompt.split()) for prompt in prompts}
    shared = dict.fromkeys(texts, 0)
    # Whoever shares most with a text stands beside it in their order.
    for one, other in pairwise(sorted(texts, key=lambda prompt_id: texts[prompt_id])):
        length = _shared(texts[one], texts[other])
        shared[one], shared[other] = max(shared[one], length), max(shared[other], length)
    return {prompt.id: _start(prompt, texts[prompt.id], shared[prompt.id]) for prompt in prompts}


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike: by halves, since texts may be long and lists too."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _start(prompt: Prompt, text: str, shared: int) -> str:
    # Back to where the word begins.
    place = text.rfind(" ", 0, shared + 1) + 1 if shared < len(text) else 0
    if place < SHARED:
        return visible_line((prompt.prompt.strip().splitlines() or [""])[0])
    return f"… {visible_line(text[place:])}"
