"""What models read, and what tuning learns from."""

from pathlib import Path
from typing import Any

import pytest

from itaudit.data.instance import Instance, Message
from itaudit.engine.context import ContextBuilder, has_loss
from itaudit.errors import UserError

MULTI_TURN = Instance(
    7,
    "7",
    "And of Italy?",
    response="Rome.",
    history=(Message("system", "Be short."), Message("user", "The capital of France?"), Message("assistant", "Paris.")),
)


def learned(tokenizer: Any, labels: list[int]) -> str:
    return str(tokenizer.decode([label for label in labels if label != -100]))


def test_loss_is_on_every_assistant_turn_and_its_eos(tokenizer: Any) -> None:
    example = ContextBuilder(tokenizer, "causal").example(MULTI_TURN, max_length=1000)
    assert learned(tokenizer, example.labels) == "Paris.</s>Rome.</s>"
    assert tokenizer.decode(example.ids) == (
        "<|system|>Be short.<|user|>The capital of France?<|assistant|>Paris.</s>"
        "<|user|>And of Italy?<|assistant|>Rome.</s>"
    )
    assert all(label in (-100, token) for label, token in zip(example.labels, example.ids, strict=True))


def test_tuning_reads_the_context_that_generation_reads(tokenizer: Any) -> None:
    builder = ContextBuilder(tokenizer, "causal")
    messages = [{"role": m.role, "content": m.content} for m in MULTI_TURN.messages[:-1]]
    context = builder.ids(builder.text(messages))
    assert builder.example(MULTI_TURN, max_length=1000).ids[: len(context)] == context


def test_what_is_cut_off_is_told(tokenizer: Any) -> None:
    builder = ContextBuilder(tokenizer, "causal")
    instance = Instance(0, "0", "Hi", response="Hello")
    whole = builder.example(instance, max_length=1000)
    assert not whole.truncated and has_loss(whole)
    cut = builder.example(instance, max_length=len(whole.ids) - 1)
    assert cut.truncated and has_loss(cut) and cut.ids == whole.ids[:-1]
    lost = builder.example(instance, max_length=3)
    assert lost.truncated and not has_loss(lost)


def test_alpaca_keeps_instruction_and_input_apart(tokenizer: Any) -> None:
    builder = ContextBuilder(tokenizer, "causal", template="alpaca")
    example = builder.example(Instance(0, "0", "Translate.", input="chat", response="cat"), max_length=1000)
    text = tokenizer.decode(example.ids)
    assert "paired with an input" in text
    assert "### Instruction:\nTranslate.\n\n### Input:\nchat\n\n### Response:\ncat</s>" in text
    plain = tokenizer.decode(builder.example(Instance(0, "0", "Hi", response="Hello"), max_length=1000).ids)
    assert "input" not in plain and plain.endswith("### Instruction:\nHi\n\n### Response:\nHello</s>")


def test_alpaca_carries_several_turns(tokenizer: Any) -> None:
    example = ContextBuilder(tokenizer, "causal", template="alpaca").example(MULTI_TURN, max_length=1000)
    assert learned(tokenizer, example.labels) == "Paris.</s>Rome.</s>"


def test_a_system_message_of_the_recipe_is_put_before_those_that_have_none(tokenizer: Any) -> None:
    builder = ContextBuilder(tokenizer, "causal", system="Be brief.")
    assert builder.text([{"role": "user", "content": "Hi"}]) == "<|system|>Be brief.<|user|>Hi<|assistant|>"
    own = [{"role": "system", "content": "Own."}, {"role": "user", "content": "Hi"}]
    assert builder.text(own) == "<|system|>Own.<|user|>Hi<|assistant|>"


def test_an_encoder_decoder_reads_the_prompt_and_learns_the_response(tokenizer: Any) -> None:
    builder = ContextBuilder(tokenizer, "seq2seq")
    assert builder.template == "plain"
    example = builder.example(Instance(0, "0", "Translate.", input="chat", response="cat"), max_length=50)
    assert tokenizer.decode(example.ids) == "Translate.\n\nchat"
    assert tokenizer.decode(example.labels) == "cat</s>"


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    template = tmp_path / "last.jinja"
    template.write_text("{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}")
    builder = ContextBuilder(tokenizer, "causal", template=str(template))
    with pytest.raises(UserError, match=r"instance 7: .*rewrites earlier turns"):
        builder.example(MULTI_TURN, max_length=1000)


def test_a_broken_template_names_file_and_line(tokenizer: Any, tmp_path: Path) -> None:
    template = tmp_path / "broken.jinja"
    template.write_text("fine\n{% for m in %}")
    with pytest.raises(UserError, match=r"broken\.jinja:2: "):
        ContextBuilder(tokenizer, "causal", template=str(template))


def test_a_template_cannot_reach_out_of_its_sandbox(tokenizer: Any, tmp_path: Path) -> None:
    template = tmp_path / "escape.jinja"
    template.write_text("{{ ''.__class__.__mro__ }}")
    with pytest.raises(UserError, match="unsafe"):
        ContextBuilder(tokenizer, "causal", template=str(template)).text([{"role": "user", "content": "Hi"}])
