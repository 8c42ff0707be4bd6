"""A whole audit of the embedded model through the command line, checked from outside."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

pytestmark = pytest.mark.slow

RECIPE = """
name = "small"
[data]
path = "data.jsonl"
[prompts]
path = "prompts.jsonl"
[models.lft]
method = "lft"
batch_size = 4
epochs = 1.0
learning_rate = 5e-4
[models.sft]
method = "sft"
batch_size = 4
epochs = 1.0
[generate]
max_new_tokens = 24
[score]
aligntds = true
"""


def itaudit(folder: Path, *arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "itaudit", *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        check=False,
        env={**os.environ, "ITAUDIT_STATE_DIR": str(folder / "state")},
    )
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of 12 sample instances and 4 sample prompts."""
    from itaudit.paths import samples_dir

    folder = tmp_path_factory.mktemp("embedded")
    for name, source, count in [("data", "inventions_and_facts", 12), ("prompts", "prompts", 4)]:
        lines = (samples_dir() / f"{source}.jsonl").read_text().splitlines()[:count]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    (folder / "recipe.toml").write_text(RECIPE)
    itaudit(folder, "run", "recipe.toml", "--no-open", "--json")
    return folder


def full_logits(model: Any, context_ids: list[int], ids: list[int]) -> "np.ndarray[Any, Any]":
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([context_ids + ids])).logits[0]
    found: np.ndarray[Any, Any] = logits[len(context_ids) - 1 : -1].double().numpy()
    return found


def log_softmax(logits: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    shifted = logits - logits.max(1, keepdims=True)
    found: np.ndarray[Any, Any] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return found


@pytest.mark.parametrize("label", ["lft", "sft"])
def test_ranks_logprobs_and_kl_equal_a_plain_computation(folder: Path, label: str) -> None:
    import peft
    import transformers

    shown = itaudit(folder, "show", "runs/small", "--json")
    base_path = shown["base"]["path"]
    base = transformers.AutoModelForCausalLM.from_pretrained(base_path).eval()
    saved = folder / "runs" / "small" / "models" / label
    if label == "lft":
        again = transformers.AutoModelForCausalLM.from_pretrained(base_path)
        tuned = peft.PeftModel.from_pretrained(again, saved).eval()
    else:
        tuned = transformers.AutoModelForCausalLM.from_pretrained(saved).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(base_path)
    tokens_seen, kl_sum = 0, 0.0
    for prompt in itaudit(folder, "prompts", "runs/small", "--json"):
        answer = itaudit(folder, "tokens", "runs/small", "--model", label, "--prompt", prompt["id"], "--json")
        chat = [{"role": "user", "content": prompt["prompt"]}]
        context = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert context == answer["context_ids"]
        tokens = answer["tokens"]
        ids = [token["id"] for token in tokens]
        assert tokenizer.decode(ids, skip_special_tokens=True) == answer["response"]
        base_logits, tuned_logits = full_logits(base, context, ids), full_logits(tuned, context, ids)
        b, t, rows = log_softmax(base_logits), log_softmax(tuned_logits), np.arange(len(ids))
        # Greedy answers are the tuned model's own first choices.
        assert tuned_logits.argmax(1).tolist() == ids
        ranks = (base_logits > base_logits[rows, ids][:, None]).sum(1)
        assert [token["rank_base"] for token in tokens] == ranks.tolist()
        kl = (np.exp(t) * (t - b)).sum(1)
        for name, expected in [("logprob_base", b[rows, ids]), ("logprob_tuned", t[rows, ids]), ("kl", kl)]:
            np.testing.assert_allclose([token[name] for token in tokens], expected, atol=1e-4, err_msg=name)
        best = np.argsort(-b, axis=1)[:, :10]
        assert [[entry[0] for entry in token["top_base"]] for token in tokens] == best.tolist()
        tokens_seen += len(ids)
        kl_sum += float(kl.sum())
    model = shown["models"][label]
    assert (model["responses"], model["tokens"]) == (4, tokens_seen)
    assert model["kl_mean"] == pytest.approx(kl_sum / tokens_seen, abs=1e-4)


def test_full_tuning_moves_further_than_lora(folder: Path) -> None:
    models = itaudit(folder, "show", "runs/small", "--json")["models"]
    assert models["sft"]["kl_mean"] > models["lft"]["kl_mean"] > models["base"]["kl_mean"] == 0


def test_one_response_alone_has_the_classes_that_it_has_in_a_batch(folder: Path) -> None:
    import torch

    from itaudit.analysis.shift import class_codes
    from itaudit.engine.models import ModelFiles, find_model, load_model, tuned_beside
    from itaudit.engine.score import ScoredSequence, score_batch
    from itaudit.recipe import Score
    from itaudit.runs.run import Run

    run = Run(folder / "runs" / "small")
    base = load_model(find_model("embedded"), device=torch.device("cpu"), dtype=torch.float32)
    with tuned_beside(base, ModelFiles("sft", run.model_dir("sft")), dtype=torch.float32) as tuned:
        for row in run.table("responses", "sft").read().to_pylist():
            (alone,) = score_batch(base, tuned, [ScoredSequence(row["context_ids"], row["ids"])], Score())
            scored = run.token_scores("sft", row["prompt_id"])
            assert scored is not None
            assert class_codes(alone["rank_base"]).tolist() == class_codes(scored.rank_base).tolist()


def test_the_gguf_file_itself_is_a_base_model() -> None:
    """A GGUF file given by path is converted like the embedded one, and is the same model."""
    import torch

    from itaudit.engine.embedded import embedded_gguf
    from itaudit.engine.models import find_model, load_weights

    one = load_weights(find_model(str(embedded_gguf())), dtype=torch.float32)
    other = load_weights(find_model("embedded"), dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
