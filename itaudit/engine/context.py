"""From conversations to token ids: what the models read before a response, and what tuning learns from."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import jinja2
import jinja2.sandbox

from itaudit.data.instance import Instance
from itaudit.errors import UserError

_IGNORED = -100
"""Label of a token that the loss passes over."""

# The layout of Taori et al. 2023 (Stanford Alpaca), which Ghosh et al. 2024 tune with.
_ALPACA = """\
{%- for message in messages -%}
{%- if message.role == "system" -%}{{ message.content }}

{% elif message.role == "user" -%}
{%- if loop.first or messages[loop.index0 - 1].role == "system" -%}
Below is an instruction that describes a task{% if message.input %}, paired with an input that provides further context
{%- endif %}. Write a response that appropriately completes the request.

{% endif -%}
### Instruction:
{{ message.instruction or message.content }}

{% if message.input %}### Input:
{{ message.input }}

{% endif %}### Response:
{% else -%}{{ message.content }}

{% endif -%}
{%- endfor -%}"""

# The layout of Wang et al. 2022 (Tk-Instruct) around the instructions that the transforms of tasks compose.
_TK_INSTRUCT = """\
{%- for message in messages -%}
{%- if message.role == "user" -%}{{ message.instruction or message.content }}
{% set input = (message.input or "") | trim -%}
{% if input %}Input: {{ input }}{{ "" if input[-1] in punctuation else "." }}
{% endif %}Output: {% else -%}{{ message.content }}

{% endif -%}
{%- endfor -%}"""

_PLAIN = "{% for message in messages %}{{ message.content }}{% if not loop.last %}\n\n{% endif %}{% endfor %}"
_LAYOUTS = {"alpaca": _ALPACA, "plain": _PLAIN, "tk-instruct": _TK_INSTRUCT}


@dataclass(frozen=True, slots=True)
class Example:
    """One instance as tuning reads it: ids and, position by position, the labels of the loss.

    For an encoder-decoder model `ids` are the encoder's and `labels` the decoder's.
    """

    ids: list[int]
    labels: list[int]
    truncated: bool


class ContextBuilder:
    """Turns prompts and instances into token ids by one template and one tokenizer."""

    def __init__(
        self, tokenizer: Any, kind: Literal["causal", "seq2seq"], *, template: str = "auto", system: str = ""
    ) -> None:
        self.tokenizer = tokenizer
        self.kind = kind
        self.system = system
        if template == "auto":
            template = "plain" if kind == "seq2seq" else "chat" if tokenizer.chat_template else "alpaca"
        if template == "chat" and not tokenizer.chat_template:
            raise UserError(
                "context.template: the tokenizer has no chat template; use alpaca, plain, tk-instruct or a Jinja file"
            )
        self.template = template
        self._joins = kind == "causal" and self._following("x") != self._alone("x")
        if template == "chat":
            self._jinja = None
        else:
            source = _LAYOUTS.get(template) or _read_template(template)
            environment = jinja2.sandbox.ImmutableSandboxedEnvironment(keep_trailing_newline=True)
            environment.globals["punctuation"] = string.punctuation
            try:
                self._jinja = environment.from_string(source)
            except jinja2.TemplateSyntaxError as error:
                raise UserError(f"{template}:{error.lineno}: {error.message}") from None

    def text(self, messages: Sequence[dict[str, str]]) -> str:
        """What the models read before the answer to the last message."""
        if self.system and not any(message["role"] == "system" for message in messages):
            messages = [{"role": "system", "content": self.system}, *messages]
        try:
            if self._jinja is None:
                return str(
                    self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
                )
            return self._jinja.render(
                messages=messages, bos_token=self.tokenizer.bos_token or "", eos_token=self.tokenizer.eos_token or ""
            )
        except (jinja2.TemplateError, TypeError) as error:
            raise UserError(f"context.template: {self.template}: {error}") from None

    def ids(self, text: str, *, first: bool = True) -> list[int]:
        """Token ids of context text. Where the template writes no BOS of its own, the tokenizer adds it."""
        if not first:
            return self._following(text) if self._joins else self._alone(text)
        bos = self.tokenizer.bos_token
        if self.template == "chat" or (bos and text.startswith(bos)):
            return self._alone(text)
        ids = list(self.tokenizer(text, add_special_tokens=True)["input_ids"])
        # A tokenizer that closes every text with EOS would have a causal model answer after the end.
        ended = self.kind == "causal" and len(ids) > 1 and ids[-1] == self.tokenizer.eos_token_id
        return ids[:-1] if ended and not text.endswith(self.tokenizer.eos_token) else ids

    def response_ids(self, response: str) -> list[int]:
        """Token ids of a response as a model emits them after its context, without EOS."""
        return self._following(response) if self._joins and not self._spaced else self._alone(response)

    @cached_property
    def _spaced(self) -> bool:
        """Whether the chat template writes a space before an answer, as that of Llama-2 does."""
        if self.template != "chat":
            return False
        asked = [{"role": "user", "content": "a"}]
        answered = [*asked, {"role": "assistant", "content": "b"}]
        try:
            whole = str(self.tokenizer.apply_chat_template(answered, tokenize=False))
        except (jinja2.TemplateError, TypeError):
            return False
        context = self.text(asked)
        return whole.startswith(context) and whole[len(context) :].startswith(" b")

    def opening_ids(self) -> list[int]:
        """What stands before an answer to no prompt at all: BOS, if contexts begin with it, and what the template
        writes to open an answer (`<|im_start|>assistant`, `### Response:`). Never empty; an encoder reads nothing.
        """
        if self.kind == "seq2seq":
            return self.ids("") or [self.tokenizer.eos_token_id]
        asked = "\u2042"
        messages = [{"role": "system", "content": self.system}] if self.system else []
        messages.append({"role": "user", "content": asked, "instruction": asked})
        context = self.text(messages)
        if self._jinja is None:
            bare = str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False))
            header = context[len(bare) :] if context.startswith(bare) else ""
        else:
            header = context.rpartition(asked)[2].lstrip()
        bos = self.tokenizer.bos_token_id
        leads = bos is not None and self.ids(context)[:1] == [bos] and not header.startswith(self.tokenizer.bos_token)
        opening = [bos] if leads else []
        opening += self.ids(header, first=False) if header else []
        return opening or [self.tokenizer.eos_token_id if bos is None else bos]

    def _alone(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _following(self, text: str) -> list[int]:
        """Token ids of text that stands behind other text: SentencePiece tokenizers put a space before a text that
        they read alone, and models answer without it."""
        line = self._alone("\n")
        both = self._alone(f"\n{text}")
        return both[len(line) :] if both[: len(line)] == line else self._alone(text)

    def example(self, instance: Instance, *, max_length: int) -> Example:
        """An instance with loss on every assistant turn and the EOS after it, cut off at `max_length` tokens.

        Raises UserError where the template rewrites earlier turns, so that ids and labels could not agree.
        """
        if self.kind == "seq2seq":
            context = self.ids(self.text(prompt_messages(instance)))
            answer = [*self.response_ids(instance.response or ""), self.tokenizer.eos_token_id]
            cut = len(context) > max_length or len(answer) > max_length
            return Example(context[:max_length], answer[:max_length], cut)
        ids: list[int] = []
        labels: list[int] = []
        read, eos = "", self.tokenizer.eos_token or ""
        messages = conversation(instance)
        for turn, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            context_text = self.text(messages[:turn])
            if not context_text.startswith(read):
                raise UserError(
                    f"instance {instance.index}: the {self.template} template rewrites earlier turns of a "
                    "conversation; give another context.template"
                )
            # The EOS token after the previous answer is in the ids already, with its label.
            between = context_text[len(read) :].removeprefix(eos) if read else context_text
            between_ids = self.ids(between, first=not ids)
            answer = [*self.response_ids(message["content"]), self.tokenizer.eos_token_id]
            ids += between_ids + answer
            labels += [_IGNORED] * len(between_ids) + answer
            read = context_text + message["content"]
        return Example(ids[:max_length], labels[:max_length], len(ids) > max_length)


def _read_template(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(("auto", "chat", *_LAYOUTS))
        raise UserError(f"context.template: {name!r} is none of {known} and no Jinja file: {error}", code=2) from None


def conversation(instance: Instance) -> list[dict[str, str]]:
    """All messages of an instance; the audited prompt also with its instruction and input apart."""
    messages = [{"role": message.role, "content": message.content} for message in instance.messages]
    prompt = messages[len(instance.history)]
    prompt |= {"instruction": instance.instruction, "input": instance.input}
    return messages


def prompt_messages(instance: Instance) -> list[dict[str, str]]:
    """The messages up to and with the audited prompt."""
    return conversation(instance)[: len(instance.history) + 1]


def has_loss(example: Example) -> bool:
    """Whether anything is left to learn from after truncation."""
    return any(label != _IGNORED for label in example.labels)
