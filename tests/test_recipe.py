"""Recipes: complete defaults, and errors that name the key before anything loads."""

import re
import tomllib
from pathlib import Path

import pytest

from itaudit.errors import UserError
from itaudit.experiments.spec import is_experiment_table, spec_of
from itaudit.paths import samples_dir
from itaudit.recipe import Recipe, check_recipe, read_recipe, write_recipe
from itaudit.tuning_settings import Lft, Sft

MINIMAL = """
[data]
path = "data.jsonl"
[prompts]
path = "prompts.jsonl"
[models.lft]
method = "lft"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n')
    return tmp_path


def recipe_of(folder: Path, text: str, *overrides: str) -> Recipe:
    path = folder / "recipe.toml"
    path.write_text(text)
    return read_recipe(path, overrides)


def test_the_papers_settings_are_the_defaults(folder: Path) -> None:
    recipe = recipe_of(folder, MINIMAL)
    lft = recipe.models["lft"]
    assert isinstance(lft, Lft)
    assert (lft.rank, lft.learning_rate, lft.batch_size, lft.epochs) == (8, 5e-5, 32, 3)
    assert recipe.base.model == "embedded"
    assert (recipe.score.marginal, recipe.score.shifted) == (1, 3)


def test_the_written_recipe_is_complete_and_reads_back_equal(folder: Path) -> None:
    recipe = recipe_of(folder, MINIMAL)
    written = folder / "written.toml"
    written.write_bytes(write_recipe(recipe))
    assert read_recipe(written) == recipe
    assert "neftune_alpha" in written.read_text() and str(folder / "data.jsonl") in written.read_text()


def test_a_judge_is_written_only_where_the_recipe_has_one(folder: Path) -> None:
    plain = recipe_of(folder, MINIMAL)
    assert plain.detect.judge is None and b"[detect.judge" not in write_recipe(plain)
    (folder / "judge-model").mkdir()
    text = MINIMAL + '[detect.judge.local]\nmodel = "./judge-model"\n[detect.judge.endpoint]\nextra = {a = [1, "b"]}\n'
    recipe = recipe_of(folder, text)
    assert recipe.detect.judge is not None and recipe.detect.judge.local.model == str(folder / "judge-model")
    written = folder / "written.toml"
    written.write_bytes(write_recipe(recipe))
    assert read_recipe(written) == recipe


def test_overrides_are_typed_as_toml(folder: Path) -> None:
    recipe = recipe_of(
        folder, MINIMAL, "generate.max_new_tokens=7", "models.lft.learning_rate=1e-3", "name=other", 'device="cpu"'
    )
    assert (recipe.generate.max_new_tokens, recipe.name, recipe.device) == (7, "other", "cpu")
    assert isinstance(recipe.models["lft"], Lft) and recipe.models["lft"].learning_rate == 1e-3


def test_a_model_can_be_added_by_override(folder: Path) -> None:
    recipe = recipe_of(folder, MINIMAL, "models.sft.method=sft")
    assert isinstance(recipe.models["sft"], Sft)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("[generate]\nmax_tokens = 3", "generate.max_tokens: no such key"),
        ("[trane]\nk = 3", "trane: no such key"),
        ("[detect.consistency]\nsamples = 1", "detect.consistency.samples: Input should be greater than or equal to 2"),
        ("[detect.judge.endpoint]\nbase_url = 'localhost'", "detect.judge.endpoint: base_url: expected http://"),
        ("[detect.judge.endpoint]\napi_key_env = 'sk-1-2'", "the name of an environment variable, and not the key"),
        ("[detect.judge.local]\ntemperature = 1.0", "detect.judge.local.temperature: no such key"),
        ('[generate]\nmax_new_tokens = "many"', "generate.max_new_tokens: Input should be a valid integer, not 'many'"),
        ("[generate]\nmax_new_tokens = 0", "generate.max_new_tokens: Input should be greater than or equal to 1"),
        ("[generate]\nsample = 1", "generate.sample: Input should be a valid boolean"),
        ("[generate]\ntemperature = 0.7", "generate: temperature, top_p and top_k need sample = true"),
        ("[score]\nmarginal = 3", "score: shifted must be above marginal"),
        ('[models.sft]\nmethod = "dpo"', "models.sft.method: 'dpo' is not one of lft, sft, existing, imported"),
        ("[models.sft]\nepochs = 1.0", "models.sft.method: required"),
        ('[models.sft]\nmethod = "sft"\nrank = 8', "models.sft.rank: no such key"),
        ('[models.sft]\nmethod = "sft"\nbatch_size = 6', "models.sft.batch_size: 6 is no multiple"),
        ('[models.sft]\nmethod = "sft"\nepochs = inf', "models.sft.epochs: Input should be a finite number"),
        ('[models.base]\nmethod = "sft"', "'base' can't be a label"),
        ('[models."A b"]\nmethod = "sft"', "'A b' can't be a label"),
        ('[models.x]\nmethod = "imported"', "models.x.responses: required, and missing"),
        ('[models.x]\nmethod = "imported"\nresponses = "none.jsonl"', "models.x.responses: "),
        ('[models.x]\nmethod = "existing"\nmodel = "./nowhere"', "models.x.model: "),
        ('[base]\nmodel = "./nowhere"', "base.model: "),
        (
            '[context]\ntemplate = "fancy"',
            "context.template: 'fancy' is not chat, alpaca, plain, tk-instruct, auto or a",
        ),
        ('[context]\ntemplate = "none.jinja"', "context.template: "),
    ],
)
def test_mistakes_are_refused_in_one_line_that_names_the_key(folder: Path, change: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        recipe_of(folder, MINIMAL + change)
    assert told in str(error.value)
    assert str(folder / "recipe.toml") in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[data]\npath = 'data.jsonl'\n[models.lft]\nmethod = 'lft'", "prompts: required, and missing"),
        ("[data]\npath = 'gone.jsonl'\n[prompts]\npath='prompts.jsonl'\n[models.lft]\nmethod = 'lft'", "data.path: "),
        ("[data]\npath = 'data.jsonl'\n[prompts]\npath='prompts.jsonl'\n[models]", "models: nothing to audit"),
        ("name = [", "not a TOML file"),
    ],
)
def test_incomplete_recipes_are_refused(folder: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=r"recipe\.toml") as error:
        recipe_of(folder, text)
    assert told in str(error.value)


@pytest.mark.parametrize("override", ["generate", "=3", "generate..k=1", "data.path.x=1"])
def test_bad_overrides_are_refused(folder: Path, override: str) -> None:
    with pytest.raises(UserError, match="--set"):
        recipe_of(folder, MINIMAL, override)


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.toml: can't read the recipe"):
        read_recipe(tmp_path / "gone.toml")


def test_hub_names_stay_as_they_are(folder: Path) -> None:
    text = MINIMAL.replace("data.jsonl", "tatsu-lab/alpaca") + '[base]\nmodel = "meta-llama/Llama-2-7b-hf"'
    recipe = recipe_of(folder, text)
    assert (recipe.data.path, recipe.base.model) == ("tatsu-lab/alpaca", "meta-llama/Llama-2-7b-hf")


@pytest.mark.parametrize("path", sorted((samples_dir() / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_every_sample_recipe_is_valid(path: Path, tmp_path: Path) -> None:
    import tomllib

    table = tomllib.loads(path.read_text())
    # Paths of files that a user downloads first are not there; everything else must be right.
    if not is_experiment_table(table):
        assert check_recipe(table, str(path)).name == path.stem
        return
    for file in re.findall(r"file=([\w/.-]+)", path.read_text()):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("task1\n")
    spec = spec_of(table, tmp_path / path.name)
    assert spec.name == path.stem and spec.runs


def test_transforms_are_kept_whole_and_their_files_found(folder: Path) -> None:
    (folder / "own.toml").write_text('task1 = "Yes or no."')
    steps = '["longest:k=3", "definition:variant=simplified,file=own.toml", "ifd:k=2,model=owner/name"]'
    recipe = recipe_of(folder, MINIMAL, f"data.transforms={steps}")
    assert recipe.data.transforms == [
        "longest:k=3,unit=words",
        f"definition:variant=simplified,file={folder / 'own.toml'}",
        "ifd:k=2,order=highest,at_most=1.0,model=owner/name",
    ]
    written = folder / "written.toml"
    written.write_bytes(write_recipe(recipe))
    assert read_recipe(written) == recipe
    assert recipe.prompts.transforms == []


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ('["longst:k=3"]', "data.transforms: transform 'longst:k=3': no step 'longst'; there are longest"),
        ('["longest:n=3"]', "data.transforms: transform 'longest:n=3': no key 'n'"),
        ('["longest:k=3", "random:k=4"]', "k=4 is more than the 3 that the steps before it leave"),
        ('["definition:variant=simplified,file=none.toml"]', "none.toml is not a file"),
        ('["ifd:k=2,model=./none"]', "none does not exist"),
        ('"longest:k=3"', "data.transforms: Input should be a valid list"),
    ],
)
def test_a_wrong_transform_is_named_by_its_key(folder: Path, steps: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe_of(folder, MINIMAL, f"data.transforms={steps}")
    assert says in str(caught.value) and "recipe.toml" in str(caught.value)
    assert caught.value.code == 2


@pytest.mark.parametrize("version", ["edited", "12", "short-answers"])
def test_a_version_of_a_dataset_is_found_by_its_file(folder: Path, version: str) -> None:
    recipe = recipe_of(folder, MINIMAL, f"data.path=data.jsonl@{version}")
    assert recipe.data.path == f"{folder / 'data.jsonl'}@{version}"
    hub = recipe_of(folder, MINIMAL, f"data.path=owner/name@{version}")
    assert hub.data.path == f"owner/name@{version}"
    with pytest.raises(UserError, match=r"data\.path: .*none\.jsonl does not exist"):
        recipe_of(folder, MINIMAL, f"data.path=none.jsonl@{version}")


def test_a_file_whose_own_name_holds_an_at_wins(folder: Path) -> None:
    (folder / "data.jsonl@edited").write_text('{"instruction": "a", "output": "b"}\n')
    assert recipe_of(folder, MINIMAL, "data.path=data.jsonl@edited").data.path == str(folder / "data.jsonl@edited")


def test_a_judge_of_quality_is_asked_only_where_a_recipe_names_one() -> None:
    table = {
        "data": {"path": "d.jsonl"},
        "prompts": {"path": "p.jsonl"},
        "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
    }
    plain = check_recipe(table, "recipe")
    assert plain.evaluate.judge is None and b"[evaluate.judge" not in write_recipe(plain)
    asked = check_recipe(table | {"evaluate": {"judge": {}, "pairs": ["base:sft"]}}, "recipe")
    assert asked.evaluate.judge is not None and asked.evaluate.questions == ["aspects", "pairs"]
    assert check_recipe(tomllib.loads(write_recipe(asked).decode()), "recipe") == asked
    for pair, told in (("lft:gpt", "no model 'gpt'"), ("lft:lft", "two different labels"), ("lft", "pattern")):
        with pytest.raises(UserError, match=rf"evaluate\.pairs.*{told}"):
            check_recipe(table | {"evaluate": {"pairs": [pair]}}, "recipe")
