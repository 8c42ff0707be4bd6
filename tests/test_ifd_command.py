"""`itaudit data ifd`, as people call it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from itaudit.data.load import load
from itaudit.engine.embedded import embedded_model_dir

pytestmark = pytest.mark.slow

ROWS = [
    {"instruction": "Say the word banana.", "output": "banana", "score": 1.5, "ifd": "old"},
    {"instruction": "What is the capital of France?", "output": "The capital of France is Paris.", "score": 2},
    {"instruction": "Summarise.", "input": "It rained all day.", "output": "Rain.", "score": None},
    {"instruction": "Say nothing.", "output": "", "score": 3},
]


def itaudit(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "itaudit", "data", "ifd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The converted model is shared; losses of an earlier test would hide what is measured now.
    models = embedded_model_dir().parent
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models").symlink_to(models)
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, ROWS)))
    return path


def plain_loss(model: Any, tokenizer: Any, context: str, answer: str) -> float:
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    before = tokenizer(context, add_special_tokens=False)["input_ids"]
    labels = torch.tensor([[-100] * len(before) + ids])
    with torch.no_grad():
        return float(model(input_ids=torch.tensor([before + ids]), labels=labels).loss)


def test_the_embedded_model_measures_and_nothing_is_lost(source: Path, tmp_path: Path) -> None:
    import transformers

    out = tmp_path / "with-ifd.jsonl"
    done = itaudit(source, "--out", out, "--json", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["instances"], document["measured"], document["model"]) == (4, 3, "SmolLM2-135M-Instruct")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    tokenizer = transformers.AutoTokenizer.from_pretrained(embedded_model_dir())
    model = transformers.AutoModelForCausalLM.from_pretrained(embedded_model_dir(), dtype=torch.float32)
    for row, was in zip(rows[:3], ROWS, strict=False):
        prompt = "\n\n".join(filter(None, [was["instruction"], was.get("input")]))
        messages = [{"role": "user", "content": prompt}]
        context = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        loss_with = plain_loss(model, tokenizer, context, was["output"])
        without = plain_loss(model, tokenizer, "<|im_start|>assistant\n", was["output"])
        assert row["ifd_loss_with"] == pytest.approx(loss_with, abs=1e-3)
        assert row["ifd_loss_without"] == pytest.approx(without, abs=1e-3)
        assert row["ifd"] == pytest.approx(loss_with / without, abs=1e-3)
        assert {key: row[key] for key in was if key != "ifd"} == {k: v for k, v in was.items() if k != "ifd"}
    # Each of these instructions helps.
    assert all(0 < row["ifd"] < 1 for row in rows[:3])
    assert rows[3]["ifd"] is None
    assert [instance.extra["score"] for instance in load(out)] == [1.5, 2, None, 3]


def test_mistakes_are_told_before_the_model_is_loaded(source: Path, tmp_path: Path) -> None:
    for arguments, says in [
        (("--out", source), "is the source itself"),
        (("--out", tmp_path / "none" / "x.json"), "there is no folder"),
        (("--out", tmp_path / "x.json", "--device", "tpu"), "device: 'tpu' is none of auto, cpu"),
        (("--out", tmp_path / "x.json", "--model", "./none"), "none"),
    ]:
        done = itaudit(source, *arguments)
        assert done.returncode in (1, 2) and says in done.stderr and "Traceback" not in done.stderr, done.stderr
