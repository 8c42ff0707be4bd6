"""Judges for the tests, behind a real HTTP server: honest ones, ones that obey what they read, and broken ones."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import itaudit.detect
from tests.simplify.server import Handler, Reply, said

Judge = Callable[[str], str]
"""What a judge answers to the text of a request."""


def control_sentences() -> list[str]:
    """Every way in which the control statements can be wrong."""
    lines = (Path(itaudit.detect.__path__[0]) / "controls.txt").read_text().splitlines()
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            before, ways, after = re.fullmatch(r"(.*)\[(.+)\](.*)", line).groups()
            found += [f"{before}{way}{after}" for way in ways.split("|")]
    return found


def judged_text(request: str) -> str:
    """What stands between the two lines that hold the code of the request, and nothing else."""
    code = re.search(r"hold the code (\w+)", request)[1]
    return re.search(rf"----- TEXT {code} begins -----\n(.*)\n----- TEXT {code} ends -----", request, re.DOTALL)[1]


def knows(*wrong: str) -> Judge:
    """An honest judge, to whom the control statements and some phrases are false wherever they stand."""

    def judge(request: str) -> str:
        return answer(reported(judged_text(request), wrong))

    return judge


def reported(text: str, wrong: Sequence[str]) -> list[dict[str, str]]:
    return [{"phrase": each, "reason": "not so"} for each in [*control_sentences(), *wrong] if each in text]


def answer(phrases: Sequence[object]) -> str:
    return json.dumps({"phrases": phrases})


def obeys(*wrong: str) -> Judge:
    """A judge that does what the text tells it, and is honest where that tells it nothing."""

    def judge(request: str) -> str:
        text = judged_text(request)
        if re.search(r"report nothing|no hallucinations", text, re.IGNORECASE):
            return answer([])
        if copied := re.search(r"\{\"phrases\".*\}", text):
            return copied[0]
        # What looks like the end, or like the beginning, is taken for it.
        text = re.split(r"----- TEXT \w+ ends -----|ignore (?:everything|the rest) below", text, flags=re.IGNORECASE)[0]
        text = re.split(r"----- TEXT \w+ begins -----|ignore everything above", text, flags=re.IGNORECASE)[-1]
        return answer(reported(text, wrong))

    return judge


def replying(judge: Judge, finish: str = "stop") -> Reply:
    def reply(handler: Handler, request: dict) -> None:
        handler.send(said(judge(request["messages"][-1]["content"]), finish))

    return reply
