"""Scores against a plain computation over full logits, written here without any of the product's code."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.analysis.shift import class_codes
from itaudit.engine.models import Float32Linear, check_same_vocabulary, load_model, tuned_beside
from itaudit.engine.score import ScoredSequence, aligntds_kl, compare_logits, kl_divergence, score_batch
from itaudit.errors import UserError
from itaudit.recipe import Score
from tests.engine.conftest import files, loaded

CONTEXTS = [
    "<|user|>Who invented the telescope?<|assistant|>",
    "<|user|>Hi<|assistant|>",
    "<|user|>漢字 🙂<|assistant|>",
]
ANSWERS = ["The telescope was invented by a lens maker</s>", "red, green and blue 🙂</s>", "Paris"]


def sequences(tokenizer: Any) -> list[ScoredSequence]:
    return [
        ScoredSequence(tokenizer(c)["input_ids"], tokenizer(a)["input_ids"])
        for c, a in zip(CONTEXTS, ANSWERS, strict=True)
    ]


def plain_scores(base: torch.Tensor, tuned: torch.Tensor, ids: list[int]) -> dict[str, np.ndarray[Any, Any]]:
    """Ranks, log-probabilities and KL from full logits `[T, V]`, in float64 NumPy."""
    b, t = base.double().numpy(), tuned.double().numpy()
    log_b = b - np.log(np.exp(b - b.max(1, keepdims=True)).sum(1, keepdims=True)) - b.max(1, keepdims=True)
    log_t = t - np.log(np.exp(t - t.max(1, keepdims=True)).sum(1, keepdims=True)) - t.max(1, keepdims=True)
    rows = np.arange(len(ids))
    return {
        "rank_base": (b > b[rows, ids][:, None]).sum(1),
        "logprob_base": log_b[rows, ids],
        "logprob_tuned": log_t[rows, ids],
        "kl": (np.exp(log_t) * (log_t - log_b)).sum(1),
        "kl_reverse": (np.exp(log_b) * (log_b - log_t)).sum(1),
    }


def causal_logits(model: Any, sequence: ScoredSequence) -> torch.Tensor:
    with torch.no_grad():
        logits = model(torch.tensor([sequence.context_ids + sequence.ids])).logits[0]
    return logits[len(sequence.context_ids) - 1 : -1]


def assert_scores(found: dict[str, Any], expected: dict[str, Any]) -> None:
    np.testing.assert_array_equal(found["rank_base"], expected["rank_base"])
    for name in ("logprob_base", "logprob_tuned", "kl", "kl_reverse"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("chunk", [3, 256])
def test_lora_scores_equal_a_plain_computation(tiny_llama: Path, adapter: Path, tokenizer: Any, chunk: int) -> None:
    plain_base = transformers.LlamaForCausalLM.from_pretrained(tiny_llama).eval()
    plain_tuned = peft.PeftModel.from_pretrained(
        transformers.LlamaForCausalLM.from_pretrained(tiny_llama), adapter
    ).eval()
    batch = sequences(tokenizer)
    base = loaded(tiny_llama)
    with tuned_beside(base, files(adapter), dtype=torch.float32) as tuned:
        scores = score_batch(base, tuned, batch, Score(chunk=chunk))
    for sequence, score in zip(batch, scores, strict=True):
        expected = plain_scores(causal_logits(plain_base, sequence), causal_logits(plain_tuned, sequence), sequence.ids)
        assert expected["kl"].mean() > 0.01
        assert_scores(score, expected)


def test_full_tuning_scores_equal_a_plain_computation(tiny_llama: Path, other_llama: Path, tokenizer: Any) -> None:
    plain_base = transformers.LlamaForCausalLM.from_pretrained(tiny_llama).eval()
    plain_tuned = transformers.LlamaForCausalLM.from_pretrained(other_llama).eval()
    batch = sequences(tokenizer)
    base = loaded(tiny_llama)
    with tuned_beside(base, files(other_llama), dtype=torch.float32) as tuned:
        scores = score_batch(base, tuned, batch, Score())
    for sequence, score in zip(batch, scores, strict=True):
        expected = plain_scores(causal_logits(plain_base, sequence), causal_logits(plain_tuned, sequence), sequence.ids)
        assert expected["kl"].mean() > 0.01
        assert_scores(score, expected)


def test_t5_scores_equal_a_plain_computation(tiny_t5: Path, other_t5: Path, tokenizer: Any) -> None:
    def logits(path: Path, sequence: ScoredSequence) -> torch.Tensor:
        model = transformers.T5ForConditionalGeneration.from_pretrained(path).eval()
        with torch.no_grad():
            return model(input_ids=torch.tensor([sequence.context_ids]), labels=torch.tensor([sequence.ids])).logits[0]

    batch = sequences(tokenizer)
    base = loaded(tiny_t5)
    assert base.kind == "seq2seq"
    with tuned_beside(base, files(other_t5), dtype=torch.float32) as tuned:
        scores = score_batch(base, tuned, batch, Score())
    for sequence, score in zip(batch, scores, strict=True):
        assert_scores(score, plain_scores(logits(tiny_t5, sequence), logits(other_t5, sequence), sequence.ids))


def test_batching_changes_no_class(tiny_llama: Path, other_llama: Path, tokenizer: Any) -> None:
    batch = sequences(tokenizer)
    base = loaded(tiny_llama)
    with tuned_beside(base, files(other_llama), dtype=torch.float32) as tuned:
        together = score_batch(base, tuned, batch, Score())
        alone = [score_batch(base, tuned, [sequence], Score())[0] for sequence in batch]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(class_codes(one["rank_base"]), class_codes(other["rank_base"]))


def test_top_alternatives_are_the_most_likely_tokens(tiny_llama: Path, other_llama: Path, tokenizer: Any) -> None:
    sequence = sequences(tokenizer)[0]
    base = loaded(tiny_llama)
    with tuned_beside(base, files(other_llama), dtype=torch.float32) as tuned:
        score = score_batch(base, tuned, [sequence], Score(k=7))[0]
        logprobs = causal_logits(tuned.model, sequence).log_softmax(-1)
    expected = torch.sort(logprobs, dim=-1, descending=True)
    np.testing.assert_array_equal(score["top_tuned_ids"], expected.indices[:, :7].numpy())
    np.testing.assert_allclose(score["top_tuned_logprobs"], expected.values[:, :7].numpy(), atol=1e-5)


def test_of_equal_logits_the_lower_id_ranks_first() -> None:
    logits = torch.tensor([[1.0, 2.0, 2.0, 2.0, 0.0]])
    ranks = [int(compare_logits(logits, None, [token], Score(k=2))["rank_base"][0]) for token in range(5)]
    assert ranks == [3, 0, 1, 2, 4]


def test_scoring_takes_the_adapter_off_again(tiny_llama: Path, adapter: Path, tokenizer: Any) -> None:
    base = loaded(tiny_llama)
    before = causal_logits(base.model, sequences(tokenizer)[0])
    with tuned_beside(base, files(adapter), dtype=torch.float32) as tuned:
        assert not torch.equal(before, causal_logits(tuned.model, sequences(tokenizer)[0]))
    assert torch.equal(before, causal_logits(base.model, sequences(tokenizer)[0]))


finite = st.floats(-20, 20, width=32)
# Far enough apart that no two logits round to one log-probability, which would leave the order open.
distinct = st.integers(-2000, 2000).map(lambda hundredths: hundredths / 100)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(finite, min_size=40, max_size=40), min_size=2, max_size=2))
def test_kl_is_never_negative_and_0_against_itself(rows: list[list[float]]) -> None:
    p, q = (torch.tensor([row]).log_softmax(-1) for row in rows)
    assert float(kl_divergence(p, q)) >= 0
    assert float(kl_divergence(p, p)) == 0


def test_kl_passes_over_what_both_models_rule_out() -> None:
    p = torch.tensor([[0.0, 0.0, -torch.inf]]).log_softmax(-1)
    q = torch.tensor([[0.0, 1.0, -torch.inf]]).log_softmax(-1)
    expected = sum(0.5 * math.log(0.5 / w) for w in (1 / (1 + math.e), math.e / (1 + math.e)))
    assert float(kl_divergence(p, q)) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(distinct, min_size=60, max_size=60, unique=True), min_size=2, max_size=2))
def test_aligntds_kl_equals_its_definition(rows: list[list[float]]) -> None:
    def top30(row: list[float]) -> dict[int, float]:
        best = sorted(range(len(row)), key=lambda token: -row[token])[:30]
        total = sum(math.exp(row[token] - row[best[0]]) for token in best)
        return {token: math.exp(row[token] - row[best[0]]) / total for token in best}

    base, tuned = top30(rows[0]), top30(rows[1])
    expected = sum(base[token] * math.log(base[token] / tuned[token]) for token in base if token in tuned)
    p, q = (torch.tensor([row], dtype=torch.float64).log_softmax(-1) for row in rows)
    assert float(aligntds_kl(p, q)) == pytest.approx(expected, abs=1e-6)


def test_half_precision_weights_give_float32_logits(tiny_llama: Path, tokenizer: Any) -> None:
    half = load_model(files(tiny_llama), device=torch.device("cpu"), dtype=torch.bfloat16)
    assert isinstance(half.model.get_output_embeddings(), Float32Linear)
    logits = causal_logits(half.model, sequences(tokenizer)[0])
    assert logits.dtype == torch.float32
    # Logits that had been rounded to bfloat16 would survive the round trip.
    assert not torch.equal(logits, logits.bfloat16().float())


def test_other_tokens_are_refused_with_the_first_difference(tmp_path: Path, tiny_llama: Path, tokenizer: Any) -> None:
    model = transformers.LlamaForCausalLM.from_pretrained(tiny_llama)
    tokenizer = type(tokenizer).from_pretrained(tiny_llama)
    tokenizer.add_tokens(["<extra>"])
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path / "resized")
    tokenizer.save_pretrained(tmp_path / "resized")
    with pytest.raises(UserError, match=r"vocabularies differ in 1 tokens, first '<extra>'"):
        check_same_vocabulary(loaded(tiny_llama), loaded(tmp_path / "resized"))


def test_padded_embeddings_are_refused(tmp_path: Path, tiny_llama: Path, tokenizer: Any) -> None:
    model = transformers.LlamaForCausalLM.from_pretrained(tiny_llama)
    model.resize_token_embeddings(416)
    model.save_pretrained(tmp_path / "padded")
    tokenizer.save_pretrained(tmp_path / "padded")
    with pytest.raises(UserError, match="logits over 372 and 416 tokens"):
        check_same_vocabulary(loaded(tiny_llama), loaded(tmp_path / "padded"))


def test_causal_and_encoder_decoder_models_are_not_compared(tiny_llama: Path, tiny_t5: Path) -> None:
    with pytest.raises(UserError, match="can't be compared"):
        check_same_vocabulary(loaded(tiny_llama), loaded(tiny_t5))


def test_a_model_that_cannot_choose_positions_is_scored_all_the_same(tiny_llama: Path, tokenizer: Any) -> None:
    class Plain(transformers.LlamaForCausalLM):
        def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool) -> Any:
            return super().forward(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    base = loaded(tiny_llama)
    expected = score_batch(base, None, sequences(tokenizer), Score())
    plain = replace(base, model=Plain.from_pretrained(tiny_llama).eval())
    for ours, theirs in zip(score_batch(plain, None, sequences(tokenizer), Score()), expected, strict=True):
        np.testing.assert_array_equal(ours["rank_base"], theirs["rank_base"])
        np.testing.assert_allclose(ours["logprob_base"], theirs["logprob_base"], atol=1e-5)


def test_kl_is_a_number_where_a_probability_is_too_small_for_one() -> None:
    p, q = torch.tensor([[0.0, -200.0]]), torch.tensor([[0.0, -torch.inf]])
    assert float(kl_divergence(p, q)) == 0


@pytest.mark.parametrize(("base", "tuned", "told"), [(math.nan, 0.0, "the base model"), (0.0, math.nan, "the tuned")])
def test_logits_that_are_no_numbers_are_an_error_and_no_shift(base: float, tuned: float, told: str) -> None:
    logits = [torch.tensor([[0.0, 1.0, value]]) for value in (base, tuned)]
    with pytest.raises(UserError, match=told):
        compare_logits(logits[0], logits[1], [0], Score(k=2))
