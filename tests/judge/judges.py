"""Judges of quality for the tests, behind a real HTTP server: honest, biased, obedient and broken ones."""

import json
import re
from collections.abc import Callable

from itaudit.evaluation.aspects import ASPECTS
from tests.simplify.server import Handler, Reply, said

Judge = Callable[[str], str]
"""What a judge answers to the text of a request."""


def code_of(request: str) -> str:
    return re.search(r"hold the code (\w+)", request)[1]


def piece(request: str, name: str) -> str:
    """What stands between the two lines of a fence that hold the code of the request."""
    code = code_of(request)
    found = re.search(rf"----- {name} {code} begins -----\n(.*?)\n----- {name} {code} ends -----", request, re.DOTALL)
    return found[1]


def asks_for_pair(request: str) -> bool:
    return "The first answer" in request


def rating(code: str, score: int, **others: object) -> str:
    told = {aspect: {"reason": "as it is", "score": score} for aspect in ASPECTS}
    return json.dumps({"code": code, **told, **others})


def verdict(code: str, better: str) -> str:
    return json.dumps({"code": code, "reason": "it says more", "better": better})


def by_length(request: str) -> str:
    """An honest judge to whom more words are better: a score for each ten words, the longer of two."""
    code = code_of(request)
    if asks_for_pair(request):
        first, second = (len(piece(request, name).split()) for name in ("FIRST", "SECOND"))
        return verdict(code, "first" if first > second else "second" if second > first else "tie")
    return rating(code, min(5, 1 + len(piece(request, "RESPONSE").split()) // 10))


def prefers_the_first(request: str) -> str:
    """A judge that sees nothing but places."""
    return verdict(code_of(request), "first") if asks_for_pair(request) else rating(code_of(request), 3)


def copies(request: str) -> str:
    """A judge that copies a rating or a verdict that stands in what it judges, and is honest otherwise."""
    found = re.search(r"\{\"code\".*\}", "\n".join(piece(request, n) for n in pieces(request)))
    return found[0] if found else by_length(request)


def pieces(request: str) -> tuple[str, ...]:
    return ("FIRST", "SECOND") if asks_for_pair(request) else ("RESPONSE",)


def replying(judge: Judge, finish: str = "stop") -> Reply:
    def reply(handler: Handler, request: dict) -> None:
        handler.send(said(judge(request["messages"][-1]["content"]), finish))

    return reply
