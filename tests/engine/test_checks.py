"""Mistakes that are told before any model answers."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from itaudit.engine.checks import check_models
from itaudit.engine.worker import work_on
from itaudit.errors import UserError
from itaudit.recipe import Recipe
from itaudit.runs.run import BASE, Run
from tests.engine.conftest import files

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            {"method": "lft", "target_modules": ["q_proj", "v_prj"]},
            r"models\.m\.target_modules: .* no module 'v_prj'; it has .*v_proj",
        ),
        ({"method": "existing", "model": "."}, r"models\.m\.model: .*not a model directory"),
    ],
)
def test_a_mistake_is_told_before_the_base_model_answers(
    make_run: Callable[..., Run], model: dict[str, Any], told: str
) -> None:
    run = make_run(models={"m": model})
    assert work_on(run) == 1
    with pytest.raises(UserError, match=told):
        raise UserError(run.state().error)
    assert not len(run.table("responses", BASE).read())


def test_names_of_modules_that_are_there_pass(make_recipe: Callable[..., Recipe], tiny_llama: Path) -> None:
    targets = ["q_proj", "mlp.up_proj", "model.layers.0.self_attn.k_proj"]
    recipe = make_recipe(models={"m": {"method": "lft", "target_modules": targets}})
    assert check_models(recipe, files(tiny_llama), CPU, ["m"]) == {}


def test_packing_is_refused_for_an_encoder_decoder(make_recipe: Callable[..., Recipe], tiny_t5: Path) -> None:
    recipe = make_recipe(models={"m": {"method": "sft", "packing": True}})
    with pytest.raises(UserError, match=r"models\.m\.packing: encoder-decoder"):
        check_models(recipe, files(tiny_t5), CPU, ["m"])


def test_more_processes_than_gpus_are_refused(
    make_recipe: Callable[..., Recipe], tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    recipe = make_recipe(models={"m": {"method": "sft", "processes": 2}})
    with pytest.raises(UserError, match=r"models\.m\.processes: 2 want as many GPUs; torch sees 1"):
        check_models(recipe, files(tiny_llama), torch.device("cuda", 0), ["m"])
    assert check_models(recipe, files(tiny_llama), CPU, ["m"]) == {}


def test_a_finished_model_is_not_asked_for_again(make_run: Callable[..., Run], tmp_path: Path) -> None:
    responses = tmp_path / "responses.jsonl"
    responses.write_text('{"id": "a", "response": "A lens maker"}')
    run = make_run(models={"theirs": {"method": "imported", "responses": str(responses)}})
    assert work_on(run) == 0
    responses.unlink()
    assert work_on(run) == 0


def test_an_adapter_over_another_base_is_told(make_run: Callable[..., Run], tmp_path: Path, adapter: Path) -> None:
    shutil.copytree(adapter, tmp_path / "theirs")
    config = tmp_path / "theirs" / "adapter_config.json"
    config.write_bytes(orjson.dumps({**orjson.loads(config.read_bytes()), "base_model_name_or_path": "some/Llama"}))
    run = make_run(
        models={
            "theirs": {"method": "existing", "model": str(tmp_path / "theirs")},
            "ours": {"method": "existing", "model": str(adapter)},
        }
    )
    assert work_on(run) == 0
    assert run.state().notes == ("theirs: the adapter was tuned over some/Llama, and is read over tiny-llama",)
