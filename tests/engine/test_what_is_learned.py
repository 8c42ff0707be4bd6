"""What the trainer learns from, held against plain loops over instances: which tokens, in which batches, apart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from itaudit.engine.context import Example, has_loss
from itaudit.engine.examples import build_examples
from itaudit.engine.models import ModelFiles, load_weights
from itaudit.engine.prepare import prepare_run
from itaudit.engine.reporter import Reporter
from itaudit.engine.tune import context_builder, make_trainer, training_arguments
from itaudit.experiments.enhancement_tables import rows_read
from itaudit.runs.run import Run
from itaudit.tuning_settings import Sft

CPU = torch.device("cpu")
MakeRun = Callable[..., Run]
Parts = tuple[Any, Any, list[Example]]


@pytest.fixture
def parts(make_run: MakeRun, tiny_llama: Path, tokenizer: Any) -> Parts:
    """A model, its tokenizer and the instances of a run as tuning reads them."""
    run = make_run(models={"sft": {"method": "sft"}})
    with Reporter(run) as reporter:
        prepare_run(run, reporter)
    model = load_weights(ModelFiles("tiny", tiny_llama), dtype=torch.float32)
    examples = build_examples(run.dataset, context_builder(run, tokenizer, model), 400)
    return model, tokenizer, [example for example in examples if has_loss(example)]


def trainer_of(parts: Parts, settings: Sft, directory: Path) -> Any:
    model, tokenizer, examples = parts
    return make_trainer(model, tokenizer, examples, settings, CPU, training_arguments(settings, CPU, 0, directory))


@torch.no_grad()
def loss_alone(model: Any, example: Example) -> tuple[float, int]:
    """The summed loss of an instance read by itself, token by token, and of how many tokens."""
    logprobs = model(input_ids=torch.tensor([example.ids])).logits[0].log_softmax(-1)
    learned = [at for at, label in enumerate(example.labels) if label != -100]
    return -sum(float(logprobs[at - 1, example.labels[at]]) for at in learned), len(learned)


@torch.no_grad()
def loss_of_trainer(trainer: Any) -> tuple[float, int]:
    """The summed loss of an epoch as the trainer computes it, and of how many tokens."""
    trainer.model.eval()
    total, tokens = 0.0, 0
    for batch in trainer.get_train_dataloader():
        count = int((batch["labels"][:, 1:] != -100).sum())
        total += float(trainer.compute_loss(trainer.model, batch)) * count
        tokens += count
    return total, tokens


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_is_that_of_each_response_after_its_own_context(parts: Parts, tmp_path: Path, packing: bool) -> None:
    model, _, examples = parts
    alone = [loss_alone(model, example) for example in examples]
    settings = Sft(method="sft", batch_size=2, micro_batch_size=2, packing=packing, max_length=400)
    trainer = trainer_of(parts, settings, tmp_path)
    assert len(trainer.train_dataset) < len(examples) if packing else len(trainer.train_dataset) == len(examples)
    # Padding is not learned, and packed instances do not see each other.
    total, tokens = loss_of_trainer(trainer)
    assert tokens == sum(count for _, count in alone)
    assert total == pytest.approx(sum(loss for loss, _ in alone), rel=1e-5)


def test_every_learned_token_is_of_a_response_or_its_end(parts: Parts) -> None:
    _, tokenizer, examples = parts
    for example in examples:
        learned = [label for label in example.labels if label != -100]
        assert learned[-1] == tokenizer.eos_token_id and learned == example.ids[-len(learned) :]
        assert tokenizer.decode(example.ids[: -len(learned)]).endswith("<|assistant|>")


@pytest.mark.parametrize("changes", [{"steps": 5}, {"steps": 7}, {"epochs": 2.0}, {"epochs": 1.5}])
def test_rows_are_counted_as_the_trainer_reads_them(parts: Parts, tmp_path: Path, changes: dict[str, float]) -> None:
    model, tokenizer, examples = parts
    settings = Sft(method="sft", batch_size=4, micro_batch_size=2, **changes)
    trainer = trainer_of((model, tokenizer, examples[:5]), settings, tmp_path)
    seen: list[int] = []
    compute = trainer.compute_loss

    def counted(model: Any, inputs: Any, **others: Any) -> Any:
        seen.append(len(inputs["input_ids"]))
        return compute(model, inputs, **others)

    trainer.compute_loss = counted
    transformers.set_seed(0)
    trainer.train()
    assert sum(seen) == rows_read(5, settings)
