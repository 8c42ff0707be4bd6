"""A proposal: a simpler response for one instance, by one engine, and how it goes into a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from itaudit.data.instance import Instance, Message
from itaudit.simplify.answers import answer_of
from itaudit.simplify.checks import KEPT, Checks, check
from itaudit.simplify.extractive import ENGINE as EXTRACTIVE
from itaudit.simplify.extractive import simplified


@dataclass(frozen=True, slots=True)
class Proposal:
    """What an engine made of an instance.

    `id` and `index` are the instance's. `engine` is `extractive`, `local:MODEL` or `endpoint:MODEL`. `after` is empty
    and `checks` None where there is a `problem`: one line that says why there is no proposal. `finish` is why the
    model stopped (`stop`, `length` or what the server says). Tokens are counted by the model; 0 where there is none.
    """

    id: str
    index: int
    before: str
    after: str
    engine: str
    checks: Checks | None = None
    problem: str = ""
    finish: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seed: int = 0

    @property
    def passes(self) -> bool:
        """Whether it can be accepted unseen: there is a proposal, and the checks found nothing to confirm."""
        return self.checks is not None and self.checks.passes

    @property
    def severity(self) -> float:
        """For sorting, the gravest first; proposals that failed come before all others."""
        return self.checks.severity if self.checks is not None else 2000.0

    @property
    def reasons(self) -> list[str]:
        """What has to be confirmed, or why there is no proposal, a line each."""
        return self.checks.reasons if self.checks is not None else [self.problem]

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads."""
        return asdict(self) | {"checks": self.checks.to_json() if self.checks is not None else None}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Proposal":
        """The proposal of a JSON object. Raises KeyError or TypeError where it is none."""
        told = {name: content[name] for name in cls.__dataclass_fields__}
        return cls(**told | {"checks": Checks.from_json(told["checks"]) if told["checks"] is not None else None})


def failed(instance: Instance, engine: str, problem: str) -> Proposal:
    """The record of an instance for which an engine has no proposal."""
    return Proposal(instance.id, instance.index, instance.response or "", "", engine, problem=problem)


def proposed(
    instance: Instance,
    written: str,
    engine: str,
    *,
    finish: str = "stop",
    threshold: float = KEPT,
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    seed: int = 0,
) -> Proposal:
    """The proposal that a model's text makes, checked."""
    before = instance.response or ""
    after = written if engine == EXTRACTIVE else answer_of(written, before)
    return Proposal(
        id=instance.id,
        index=instance.index,
        before=before,
        after=after,
        engine=engine,
        checks=check(instance, after, finish=finish, threshold=threshold),
        finish=finish,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        seed=seed,
    )


def extracted(instance: Instance, *, threshold: float = KEPT) -> Proposal:
    """The proposal of the engine that needs no model."""
    return proposed(instance, simplified(instance), EXTRACTIVE, threshold=threshold)


def instance_to_json(instance: Instance) -> dict[str, Any]:
    """What engines read of an instance, as a JSON object."""
    return {
        "id": instance.id,
        "index": instance.index,
        "instruction": instance.instruction,
        "input": instance.input,
        "response": instance.response,
        "history": [{"role": message.role, "content": message.content} for message in instance.history],
    }


def instance_from_json(content: Mapping[str, Any]) -> Instance:
    """The instance of a JSON object that `instance_to_json` made. Raises KeyError or TypeError where it is none."""
    return Instance(
        index=content["index"],
        id=content["id"],
        instruction=content["instruction"],
        input=content["input"],
        response=content["response"],
        history=tuple(Message(**turn) for turn in content["history"]),
    )
