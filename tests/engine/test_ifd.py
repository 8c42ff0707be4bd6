"""Instruction-following difficulty against a plain computation."""

import math
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from itaudit.data.instance import Instance, Message
from itaudit.engine import ifd
from itaudit.engine.context import ContextBuilder
from itaudit.recipe import Context

from .conftest import loaded

INSTANCES = [
    Instance(0, "0", "Who invented the telescope?", response="A lens maker in the Netherlands."),
    Instance(1, "1", "Name a colour", input="one only", response="Red"),
    Instance(2, "2", "No answer"),
    Instance(3, "3", "An empty one", response=""),
    Instance(
        4,
        "4",
        "And of Italy?",
        response="Rome 漢字.",
        history=(Message("user", "France?"), Message("assistant", "Paris.")),
    ),
    Instance(5, "5", "Who invented the telescope?", response="A lens maker in the Netherlands."),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))


def plain_loss(model: Any, context: list[int], answer: list[int]) -> float:
    """Token by token, each after everything before it, without padding and without batches."""
    total = 0.0
    for at, token in enumerate(answer):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([context + answer[:at]])).logits[0, -1].double()
        total -= float(logits.log_softmax(-1)[token])
    return total / len(answer)


def test_it_is_the_ratio_of_the_losses_with_and_without_the_instruction(tiny_llama: Path) -> None:
    base = loaded(tiny_llama)
    found = ifd.difficulties(base, INSTANCES, Context())
    tokenize = lambda text: base.tokenizer(text, add_special_tokens=False)["input_ids"]  # noqa: E731  # one use
    contexts = {
        0: "<|user|>Who invented the telescope?<|assistant|>",
        1: "<|user|>Name a colour\n\none only<|assistant|>",
        4: "<|user|>France?<|assistant|>Paris.</s><|user|>And of Italy?<|assistant|>",
    }
    for position, context in contexts.items():
        answer = tokenize(INSTANCES[position].response)
        difficulty = found[position]
        assert difficulty is not None and difficulty.tokens == len(answer)
        assert difficulty.loss_with == pytest.approx(plain_loss(base.model, tokenize(context), answer), abs=1e-4)
        without = plain_loss(base.model, tokenize("<|assistant|>"), answer)
        assert difficulty.loss_without == pytest.approx(without, abs=1e-4)
        assert difficulty.ifd == pytest.approx(difficulty.loss_with / without, abs=1e-4)
    assert found[2] is None and found[3] is None
    assert found[5] == found[0] != found[1]


def test_an_encoder_reads_nothing_where_the_instruction_is_left_out(tiny_t5: Path) -> None:
    base = loaded(tiny_t5)
    [found] = ifd.difficulties(base, INSTANCES[:1], Context())
    assert found is not None
    answer = base.tokenizer(INSTANCES[0].response, add_special_tokens=False)["input_ids"]

    def loss(encoder: list[int]) -> float:
        with torch.no_grad():
            return float(base.model(input_ids=torch.tensor([encoder]), labels=torch.tensor([answer])).loss)

    asked = base.tokenizer(INSTANCES[0].instruction)["input_ids"]
    assert found.loss_with == pytest.approx(loss(asked), abs=1e-4)
    assert found.loss_without == pytest.approx(loss([1]), abs=1e-4)


def test_batches_change_nothing(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = loaded(tiny_llama)
    together = ifd.difficulties(base, INSTANCES, Context())
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "other"))
    monkeypatch.setitem(ifd.BATCH_TOKENS, "cpu", 1)
    monkeypatch.setattr(ifd, "PART", 2)
    for one, other in zip(together, ifd.difficulties(base, INSTANCES, Context()), strict=True):
        assert (one is None) == (other is None)
        if one and other:
            assert (one.loss_with, one.loss_without) == pytest.approx((other.loss_with, other.loss_without), abs=1e-4)


def test_long_responses_are_measured_over_their_beginning(tiny_llama: Path) -> None:
    base = loaded(tiny_llama)
    context = len(base.tokenizer("<|user|>Hi<|assistant|>", add_special_tokens=False)["input_ids"])
    long = Instance(0, "0", "Hi", response="漢字 " * 700)
    [cut] = ifd.difficulties(base, [long], Context(), max_length=context + 7)
    assert cut is not None and cut.tokens == 7
    [whole] = ifd.difficulties(base, [long], Context(), max_length=100_000)
    # The model reads 512 positions and no more.
    assert whole is not None and whole.tokens == 512 - context
    assert ifd.difficulties(base, [long], Context(), max_length=context) == [None]


def test_a_job_that_was_stopped_goes_on_from_there(tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = loaded(tiny_llama)
    monkeypatch.setitem(ifd.BATCH_TOKENS, "cpu", 1)
    asked: list[int] = []
    measure = ifd.response_logits

    def counting(model: Any, loaded: Any, batch: Any) -> Any:
        asked.append(len(batch))
        return measure(model, loaded, batch)

    monkeypatch.setattr(ifd, "response_logits", counting)

    def stop(done: int, total: int) -> None:
        assert total == 12
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ifd.difficulties(base, INSTANCES, Context(), progress=stop)
    [file] = (Path(ifd.paths.cache_dir()) / "ifd").iterdir()
    # A crash in the middle of a write tears the last line.
    torn = file.read_bytes()[:-10]
    file.write_bytes(torn)
    told: list[tuple[int, int]] = []
    found = ifd.difficulties(base, INSTANCES, Context(), progress=lambda done, total: told.append((done, total)))
    assert told == [(9, 12), (10, 12), (11, 12), (12, 12)]
    assert sum(asked) == 4 + 3
    assert found == ifd.difficulties(base, INSTANCES, Context())
    assert sum(asked) == 4 + 3
    assert all(
        math.isfinite(loss) for line in file.read_bytes().splitlines()[-3:] for loss in orjson.loads(line).values()
    )


def test_an_answer_opens_as_the_template_opens_it(tokenizer: Any) -> None:
    def opening(template: str, system: str = "") -> str:
        builder = ContextBuilder(tokenizer, "causal", template=template, system=system)
        return str(tokenizer.decode(builder.opening_ids()))

    assert opening("chat") == opening("chat", system="Be short.") == "<|assistant|>"
    assert opening("alpaca") == "### Response:\n"
    assert opening("tk-instruct") == "Output: "
    # This tokenizer has no BOS; the end of what went before is all that can stand before an answer.
    assert opening("plain") == "</s>"
