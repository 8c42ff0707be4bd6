"""The engines that a screen can ask for one proposal: one of them chosen, the models in child processes."""

import asyncio
from collections.abc import Callable, Sequence

from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.simplify.proposal import Proposal, extracted, instance_to_json
from itaudit.simplify.settings import ENGINES, EngineName, Settings, read_settings, with_changes
from itaudit.tui.proposing import Proposer, proposer_command


class Engines:
    """Makes proposals by the chosen engine; each model's process starts on first use and stays until `end`.

    Raises UserError where the user's settings can't be used.
    """

    names = ENGINES

    def __init__(self, command: Callable[[str], Sequence[str]] = proposer_command) -> None:
        self._read = read_settings()
        self.name: EngineName = self._read.engine
        self._command = command
        self._children: dict[str, Proposer] = {}

    @property
    def settings(self) -> Settings:
        """The user's settings with the engine that is chosen here."""
        return with_changes(self._read, {"engine": self.name}, "config.toml")

    def label(self, name: EngineName) -> str:
        """An engine with its model, as proposals name it."""
        return with_changes(self._read, {"engine": name}, "config.toml").engine_label

    @property
    def samples(self) -> bool:
        """Whether another try may bring another proposal."""
        return self.name != "extractive"

    @property
    def doing(self) -> str:
        """What goes on while a proposal is awaited."""
        child = self._children.get(self.name)
        if child is not None and child.state == "loading":
            return f"{self.name}: loading the model" if self.name == "local" else f"{self.name}: starting"
        return f"{self.name}: simplifying"

    def choose(self, name: EngineName) -> None:
        """Takes another engine for what is asked next."""
        self.name = name

    async def propose(self, instance: Instance, seed: int = 0) -> Proposal:
        """A proposal with its checks, or with the problem that an engine had with this instance.

        Another seed samples another answer. Raises UserError where the engine can't be used.
        """
        if self.name == "extractive":
            # The first check loads a pronouncing dictionary, for which the screen should not wait.
            return await asyncio.to_thread(extracted, instance, threshold=self._read.kept)
        self.settings.require_engine("config.toml")
        child = self._children.get(self.name)
        if child is None:
            child = self._children[self.name] = Proposer(self._command(self.name))
        answer = await child.ask({"instance": instance_to_json(instance), "seed": seed})
        try:
            return Proposal.from_json(answer)
        except (KeyError, TypeError):
            raise UserError(str(answer.get("problem") or f"{self.name}: the answer was no proposal")) from None

    async def cancel(self) -> None:
        """Gives up what is being made; a model that was being used has to be loaded again."""
        child = self._children.get(self.name)
        if child is not None:
            await child.end()

    async def end(self) -> None:
        """Ends every process."""
        for child in self._children.values():
            await child.end()
