"""What models read, and what tuning learns from."""

from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers

from itaudit.data.instance import Instance, Message
from itaudit.engine.context import ContextBuilder, has_loss, prompt_messages
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


LLAMA_2_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def sentencepiece() -> Any:
    """A tokenizer of Llama-2's kind: it begins every text with a space, and with BOS."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    inner.decoder = tokenizers.decoders.Sequence(
        [
            tokenizers.decoders.Replace("▁", " "),
            tokenizers.decoders.ByteFallback(),
            tokenizers.decoders.Fuse(),
            tokenizers.decoders.Strip(" ", 1),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))],
        initial_alphabet=[chr(code) for code in range(33, 127)],
    )
    inner.train_from_iterator(["The capital of France is Paris. Rome. The Hello Hi ### Response:"] * 3, trainer)
    inner.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.mark.parametrize("template", ["alpaca", "plain"])
def test_a_response_is_learned_as_it_continues_its_context(sentencepiece: Any, template: str) -> None:
    builder = ContextBuilder(sentencepiece, "causal", template=template)
    messages = [{"role": "user", "content": "Hi\n"}]
    example = builder.example(Instance(0, "0", "Hi\n", response="Paris."), max_length=1000)
    whole = sentencepiece(builder.text(messages) + "Paris.")["input_ids"]
    assert example.ids == [*whole, 2]
    assert [token for token in example.labels if token != -100] == [*builder.response_ids("Paris."), 2]
    assert sentencepiece.convert_ids_to_tokens(builder.response_ids("Paris."))[0][0] == "P"
    assert sentencepiece.decode(builder.response_ids("Paris.")) == "Paris."


def test_later_turns_continue_earlier_ones(sentencepiece: Any) -> None:
    example = ContextBuilder(sentencepiece, "causal", template="alpaca").example(MULTI_TURN, max_length=1000)
    learned = [token for token, label in zip(example.ids, example.labels, strict=True) if label != -100]
    between = sentencepiece.decode(example.ids).split("</s>")
    assert sentencepiece.decode(learned) == "Paris.</s>Rome.</s>"
    assert between[1].startswith("\n\n### Instruction")


def test_a_space_that_the_chat_template_writes_before_answers_is_kept(sentencepiece: Any) -> None:
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=sentencepiece.backend_tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = LLAMA_2_CHAT
    builder = ContextBuilder(tokenizer, "causal")
    assert tokenizer.convert_ids_to_tokens(builder.response_ids("Paris."))[0].startswith("▁")
    context = builder.ids(builder.text([{"role": "user", "content": "Hi"}]))
    assert context.count(1) == 1


def test_a_template_that_writes_bos_gets_no_second_one(sentencepiece: Any, tmp_path: Path) -> None:
    template = tmp_path / "own.jinja"
    template.write_text("{{ bos_token }}{{ messages[-1].content }}\n")
    builder = ContextBuilder(sentencepiece, "causal", template=str(template))
    assert builder.ids(builder.text([{"role": "user", "content": "Hi"}])).count(1) == 1


def test_a_context_never_ends_with_eos(sentencepiece: Any) -> None:
    inner = tokenizers.Tokenizer.from_str(sentencepiece.backend_tokenizer.to_str())
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    closing = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    assert ContextBuilder(closing, "causal", template="plain").ids("Hi")[-1] != 2
    # An encoder wants it.
    assert ContextBuilder(closing, "seq2seq").ids("Hi")[-1] == 2


def test_tk_instruct_lays_out_the_input(tokenizer: Any) -> None:
    builder = ContextBuilder(tokenizer, "causal", template="tk-instruct")

    def context(**fields: str) -> str:
        return builder.text(
            prompt_messages(Instance(0, "0", "Definition: D.\n\nNow complete -", response="A", **fields))
        )

    assert context(input=" who? ") == "Definition: D.\n\nNow complete -\nInput: who?\nOutput: "
    assert context(input="a cat") == "Definition: D.\n\nNow complete -\nInput: a cat.\nOutput: "
    assert context() == "Definition: D.\n\nNow complete -\nOutput: "
    assert builder.text([{"role": "user", "content": "Hi"}]) == "Hi\nOutput: "
    example = builder.example(Instance(0, "0", "Hi", input="x", response="A"), max_length=100)
    assert tokenizer.decode(example.ids) == "Hi\nInput: x.\nOutput: A</s>"


def test_a_template_that_is_no_file_is_named(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of auto, chat, alpaca, plain, tk-instruct and no Jinja file"):
        ContextBuilder(tokenizer, "causal", template=str(tmp_path / "none.jinja"))
