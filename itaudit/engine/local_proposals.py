"""Proposals by a model in this process."""

from collections.abc import Sequence

from itaudit.data.instance import Instance
from itaudit.engine.local_model import LocalModel
from itaudit.simplify.prompts import filled
from itaudit.simplify.proposal import Proposal, failed, proposed
from itaudit.simplify.settings import KEY, Settings


class LocalProposals:
    """A model that simplifies; it stays loaded."""

    def __init__(self, settings: Settings, prompt: str) -> None:
        """Loads the model, a LoRA adapter over the base that it names. Raises UserError where it can't be had."""
        self.settings = settings
        self.prompt = prompt
        self._model = LocalModel(settings.local, f"{KEY}.local")

    def propose(self, instances: Sequence[Instance], *, seed: int = 0) -> list[Proposal]:
        """A proposal for each instance, generated together; with a seed they are sampled, without it most likely."""
        label = self.settings.engine_label
        texts = [filled(self.prompt, instance) for instance in instances]
        answers = self._model.answers(texts, temperature=self.settings.local.temperature if seed else 0.0, seed=seed)
        return [
            failed(instance, label, answer.problem)
            if answer.problem
            else proposed(
                instance,
                answer.text,
                label,
                finish=answer.finish,
                threshold=self.settings.kept,
                prompt_tokens=answer.prompt_tokens,
                completion_tokens=answer.completion_tokens,
                seed=seed,
            )
            for instance, answer in zip(instances, answers, strict=True)
        ]
