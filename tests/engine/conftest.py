"""Tiny random models that are built, saved and loaded exactly as real ones are."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import peft
import pytest
import tokenizers
import torch
import transformers

from itaudit.engine.models import LoadedModel, ModelFiles, find_model, load_model
from itaudit.engine.reporter import Reporter
from itaudit.recipe import Recipe, check_recipe
from itaudit.runs.run import Run

# Threads cost more than they gain on matrices this small, and other tests may want the cores.
torch.set_num_threads(1)

TEXT = (
    "Who invented the telescope? The telescope was invented by a lens maker in the Netherlands. "
    "What is the capital of France? The capital of France is Paris. Name three colours: red, green and blue. "
    "naïve café 漢字 🙂"
)
CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_tokenizer() -> Any:
    """A byte-level BPE tokenizer of 372 tokens; characters beyond its merges span several tokens."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    inner.train_from_iterator([TEXT] * 3, trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = CHAT
    return tokenizer


def _llama(seed: int, vocabulary: int, **changes: int) -> Any:
    transformers.set_seed(seed)
    config = transformers.LlamaConfig(
        **{
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "eos_token_id": 1,
            "pad_token_id": 0,
            # Wide weights make sharp, well separated distributions out of random ones.
            "initializer_range": 0.4,
            **changes,
        }
    )
    return transformers.LlamaForCausalLM(config)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A random two-layer Llama with 372 tokens."""
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    _llama(0, len(tokenizer)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def other_llama(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, tokenizer: Any) -> Path:
    """The tiny Llama with other weights: stands for its full-parameter tuning."""
    path = tmp_path_factory.mktemp("models") / "other-llama"
    model = transformers.LlamaForCausalLM.from_pretrained(tiny_llama)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A LoRA adapter over the tiny Llama that changes what it says."""
    path = tmp_path_factory.mktemp("models") / "adapter"
    transformers.set_seed(2)
    model = peft.get_peft_model(
        transformers.LlamaForCausalLM.from_pretrained(tiny_llama),
        peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False),
    )
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A random two-layer T5 with the same 372 tokens."""
    transformers.set_seed(3)
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        eos_token_id=1,
        pad_token_id=0,
        decoder_start_token_id=0,
        initializer_factor=3.0,
    )
    path = tmp_path_factory.mktemp("models") / "tiny-t5"
    transformers.T5ForConditionalGeneration(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def other_t5(tmp_path_factory: pytest.TempPathFactory, tiny_t5: Path, tokenizer: Any) -> Path:
    """The tiny T5 with other weights."""
    path = tmp_path_factory.mktemp("models") / "other-t5"
    model = transformers.T5ForConditionalGeneration.from_pretrained(tiny_t5)
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def loaded(path: Path) -> LoadedModel:
    """A model directory on the CPU in float32."""
    return load_model(find_model(str(path)), device=torch.device("cpu"), dtype=torch.float32)


def files(path: Path) -> ModelFiles:
    return find_model(str(path))


INSTANCES = [
    {"instruction": f"Who invented the {thing}?", "output": f"The {thing} was invented by a {maker} in {place}."}
    for thing, maker, place in [
        ("telescope", "lens maker", "the Netherlands"),
        ("battery", "physicist", "Italy"),
        ("printing press", "goldsmith", "Germany"),
        ("telephone", "teacher", "Scotland"),
        ("dynamite", "chemist", "Sweden"),
        ("sewing machine", "tailor", "France"),
        ("thermometer", "physicist", "Poland"),
        ("barometer", "mathematician", "Italy"),
    ]
]
PROMPTS = [
    {"id": "a", "prompt": "Who invented the microscope?", "reference": "A spectacle maker."},
    {"id": "b", "prompt": "What is the capital of France?", "reference": "Paris"},
    {"id": "c", "prompt": "Name three colours"},
    {"id": "d", "prompt": "Who invented the bicycle, and in which country did its inventor live?"},
    {"id": "e", "prompt": "漢字 🙂?"},
]


@pytest.fixture
def make_recipe(tmp_path: Path, tiny_llama: Path) -> Callable[..., Recipe]:
    """A recipe on the tiny Llama and eight instances, with tables replaced by keyword."""
    data, prompts = tmp_path / "data.jsonl", tmp_path / "prompts.jsonl"
    data.write_bytes(b"\n".join(orjson.dumps(row) for row in INSTANCES))
    prompts.write_bytes(b"\n".join(orjson.dumps(row) for row in PROMPTS))

    def make(**tables: Any) -> Recipe:
        table = {
            "name": "tiny",
            "device": "cpu",
            "base": {"model": str(tiny_llama)},
            "data": {"path": str(data)},
            "prompts": {"path": str(prompts)},
            "generate": {"max_new_tokens": 12, "batch_size": 2},
            "score": {"k": 5, "batch_size": 2},
            "models": {
                "lft": {"method": "lft", "batch_size": 4, "micro_batch_size": 2, "learning_rate": 0.01},
                "sft": {"method": "sft", "batch_size": 4, "micro_batch_size": 2, "learning_rate": 0.01},
            },
            **tables,
        }
        return check_recipe(table, "recipe")

    return make


@pytest.fixture
def make_run(tmp_path: Path, make_recipe: Callable[..., Recipe]) -> Callable[..., Run]:
    """A new run of `make_recipe`'s recipe."""
    return lambda **tables: Run.create(tmp_path / "runs", make_recipe(**tables))


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Sends SIGTERM to this process when the tuning reaches a step."""

    def stop_at(step: int) -> None:
        progress = Reporter.progress

        def progress_and_stop(reporter: Reporter, stage: str, model: str, done: int) -> None:
            progress(reporter, stage, model, done)
            if done == step:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(Reporter, "progress", progress_and_stop)

    handler = signal.getsignal(signal.SIGTERM)
    yield stop_at
    signal.signal(signal.SIGTERM, handler)
