"""Proposals by a model behind an OpenAI-compatible server."""

from itaudit.data.instance import Instance
from itaudit.engine.endpoint import Endpoint
from itaudit.simplify.prompts import filled
from itaudit.simplify.proposal import Proposal, proposed
from itaudit.simplify.settings import KEY, Settings


class EndpointProposals:
    """A server that simplifies. Use it inside `async with`, in one event loop."""

    def __init__(self, settings: Settings, prompt: str) -> None:
        self.settings = settings
        self.prompt = prompt
        self.endpoint = Endpoint(settings.endpoint, f"{KEY}.endpoint")

    @property
    def label(self) -> str:
        return f"endpoint:{self.endpoint.model}"

    async def propose(self, instance: Instance, *, seed: int = 0) -> Proposal:
        """A proposal for an instance; with a seed it is sampled. Raises EndpointError where the server gives none."""
        answer = await self.endpoint.complete(
            [{"role": "user", "content": filled(self.prompt, instance)}],
            temperature=self.settings.endpoint.retry_temperature if seed else None,
            seed=seed or None,
        )
        return proposed(
            instance,
            answer.text,
            self.label,
            finish=answer.finish,
            threshold=self.settings.kept,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            seed=seed,
        )
