"""Beginnings of prompts that tell them apart."""

from itaudit.runs.rows import Prompt
from itaudit.tui.prompt_starts import prompt_starts


def starts(*texts: str) -> list[str]:
    prompts = [Prompt(n, f"p{n}", text, None, ({"role": "user", "content": text},)) for n, text in enumerate(texts)]
    return list(prompt_starts(prompts).values())


def test_what_many_prompts_begin_with_is_left_out() -> None:
    definition = "Definition: answer the question with one of the labels.\n\n"
    told = starts(f"{definition}Input: is it red?", f"{definition}Input: is it round?", "Who invented the Zamboni?")
    assert told == ["… red?", "… round?", "Who invented the Zamboni?"]


def test_short_or_equal_prompts_stay_whole() -> None:
    assert starts("Who is this?\nSay.", "Who is that?", "Who is that?") == [
        "Who is this?",
        "Who is that?",
        "Who is that?",
    ]
    long = "The very same question, word by word, asked twice"
    assert starts(long, long, f"{long} or more") == [long, long, "… or more"]
    assert starts() == [] and starts("", "\x1b[2J") == ["", "␛[2J"]
