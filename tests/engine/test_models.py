"""Models that look whole and are not, and adapters that would change their base."""

from pathlib import Path
from typing import Any

import orjson
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from itaudit.engine.generate import Query, generation_config
from itaudit.engine.models import find_model, load_model, tuned_beside
from itaudit.errors import UserError
from itaudit.recipe import Generate
from tests.engine.conftest import files, loaded

ROW = torch.arange(5, 25).unsqueeze(0)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(ROW).logits  # type: ignore[no-any-return]  # transformers carries no types


def save_adapter(base: Path, path: Path, **settings: Any) -> Path:
    """A random adapter over a base model, with whatever it trains besides moved as well."""
    transformers.set_seed(5)
    model = peft.get_peft_model(
        transformers.LlamaForCausalLM.from_pretrained(base),
        peft.LoraConfig(**{"r": 2, "task_type": "CAUSAL_LM", "init_lora_weights": False, **settings}),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(path)
    return path


def test_weights_that_lack_a_tensor_are_refused(tmp_path: Path, tiny_llama: Path, tokenizer: Any) -> None:
    transformers.LlamaForCausalLM.from_pretrained(tiny_llama).save_pretrained(tmp_path / "torn")
    tokenizer.save_pretrained(tmp_path / "torn")
    weights = load_file(tmp_path / "torn" / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "torn" / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"lack 1 tensors .* model\.layers\.1\.mlp\.up_proj\.weight"):
        loaded(tmp_path / "torn")


def test_whole_modules_of_an_adapter_leave_the_base_as_it_was(tmp_path: Path, tiny_llama: Path) -> None:
    adapter = save_adapter(tiny_llama, tmp_path / "a", target_modules=["q_proj"], modules_to_save=["lm_head"])
    base = loaded(tiny_llama)
    before = logits(base.model)
    with tuned_beside(base, files(adapter), dtype=torch.float32) as tuned:
        assert not torch.allclose(before, logits(tuned.model), atol=1e-2)
        with tuned.model.disable_adapter():
            assert torch.equal(before, logits(tuned.model))
    assert torch.equal(before, logits(base.model))


def test_an_adapter_that_replaces_weights_of_the_base_is_refused(tmp_path: Path, tiny_llama: Path) -> None:
    adapter = save_adapter(tiny_llama, tmp_path / "a", target_modules=["q_proj"])
    path = adapter / "adapter_model.safetensors"
    base = loaded(tiny_llama)
    before = logits(base.model)
    embeddings = base.model.get_input_embeddings().weight.detach().clone()
    name = "base_model.model.model.embed_tokens.weight"
    # As adapters of chat models often are: the embeddings are saved along, and were not trained.
    save_file(load_file(path) | {name: embeddings}, path, {"format": "pt"})
    with tuned_beside(base, files(adapter), dtype=torch.float32):
        pass
    save_file(load_file(path) | {name: embeddings + 1}, path, {"format": "pt"})
    with (
        pytest.raises(UserError, match=r"replaces model\.embed_tokens\.weight .*merge it"),
        tuned_beside(base, files(adapter), dtype=torch.float32),
    ):
        pass
    assert torch.equal(before, logits(base.model))


def test_an_adapter_of_virtual_tokens_is_refused(tmp_path: Path, tiny_llama: Path) -> None:
    peft.get_peft_model(
        transformers.LlamaForCausalLM.from_pretrained(tiny_llama),
        peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    ).save_pretrained(tmp_path / "prompt")
    with (
        pytest.raises(UserError, match="PROMPT_TUNING adds positions"),
        tuned_beside(loaded(tiny_llama), files(tmp_path / "prompt"), dtype=torch.float32),
    ):
        pass


def test_an_adapter_without_safetensors_is_refused(tmp_path: Path, adapter: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"no \.safetensors weights"):
        find_model(str(tmp_path))


def test_a_model_s_own_generation_settings_change_nothing(tmp_path: Path, tiny_llama: Path, tokenizer: Any) -> None:
    def answer(path: Path) -> list[int]:
        model = load_model(find_model(str(path)), device=torch.device("cpu"), dtype=torch.float32)
        config = generation_config(model, Generate(max_new_tokens=12))
        query = Query(0, "a", "?", model.tokenizer("Who invented the telescope?")["input_ids"])
        return list(model.model.generate(torch.tensor([query.context_ids]), generation_config=config)[0].tolist())

    plain = answer(tiny_llama)
    transformers.LlamaForCausalLM.from_pretrained(tiny_llama).save_pretrained(tmp_path / "own")
    tokenizer.save_pretrained(tmp_path / "own")
    emitted = plain[-12:]
    own = {"eos_token_id": 1, "suppress_tokens": emitted[:3], "forced_eos_token_id": 7, "repetition_penalty": 2.0}
    (tmp_path / "own" / "generation_config.json").write_bytes(orjson.dumps(own))
    assert answer(tmp_path / "own") == plain
