"""The engines that a screen can ask for one proposal: one of them chosen, the models in child processes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict

from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.simplify.proposal import Proposal
from itaudit.tui.proposing import Proposer, proposer_command

EXTRACTIVE = "extractive"
NAMES = (EXTRACTIVE, "local", "endpoint")


class Engines:
    """Makes proposals by the chosen engine; each model's process starts on first use and stays until `end`."""

    def __init__(self, name: str = EXTRACTIVE, command: Callable[[str], Sequence[str]] = proposer_command) -> None:
        self.names = NAMES
        self.name = name
        self._command = command
        self._children: dict[str, Proposer] = {}

    @property
    def samples(self) -> bool:
        """Whether another try may bring another proposal."""
        return self.name != EXTRACTIVE

    @property
    def doing(self) -> str:
        """What goes on while a proposal is awaited."""
        child = self._children.get(self.name)
        if child is not None and child.state == "loading":
            return f"{self.name}: loading the model" if self.name == "local" else f"{self.name}: starting"
        return f"{self.name}: simplifying"

    def choose(self, name: str) -> None:
        """Takes another engine for what is asked next."""
        self.name = name

    async def propose(self, instance: Instance, seed: int = 0) -> Proposal:
        """A proposal with its checks, or with the problem that an engine had with this instance.

        Another seed samples another answer. Raises UserError where the engine can't be used.
        """
        if self.name == EXTRACTIVE:
            return await asyncio.to_thread(_extracted, instance)
        child = self._children.get(self.name)
        if child is None:
            child = self._children[self.name] = Proposer(self._command(self.name))
        answer = await child.ask({"instance": asdict(instance), "seed": seed})
        try:
            return Proposal.from_json(answer["proposal"])
        except (KeyError, TypeError):
            problem = answer.get("problem")
            raise UserError(str(problem or f"{self.name}: the answer was no proposal")) from None

    async def cancel(self) -> None:
        """Gives up what is being made; a model that was being used has to be loaded again."""
        child = self._children.get(self.name)
        if child is not None:
            await child.end()

    async def end(self) -> None:
        """Ends every process."""
        for child in self._children.values():
            await child.end()


def _extracted(instance: Instance) -> Proposal:
    from itaudit.simplify.checks import check
    from itaudit.simplify.extractive import simplified

    after = simplified(instance)
    checks = check(instance, after)
    return Proposal(instance.id, instance.index, instance.response or "", after, EXTRACTIVE, checks)
