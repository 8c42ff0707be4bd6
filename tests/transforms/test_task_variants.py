"""Definition and example variants of Super-NaturalInstructions tasks."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itaudit.analysis.output_space import SEPARATORS, normalised, output_space
from itaudit.data.dataset import Dataset
from itaudit.data.load import load
from itaudit.data.write import write
from itaudit.errors import UserError
from itaudit.steps import Examples
from itaudit.transforms import apply, parse_steps
from itaudit.transforms.task_variants import delusive_examples

from .conftest import TASK

Make = Callable[..., Dataset]


def transformed(dataset: Dataset, *texts: str) -> Dataset:
    return apply(dataset, parse_steps(texts))[0]


@pytest.fixture(scope="module")
def task_files(shared_data: Path) -> Dataset:
    return load(shared_data / "superni")


def raw_tasks(folder: Path) -> Iterator[tuple[str, Any]]:
    """The task files as JSON, read without itaudit."""
    for path in sorted(folder.glob("*.json")):
        yield path.stem, json.loads(path.read_text())


def accepted_outputs(task: Any, input: str) -> set[str]:
    """Every output that the file accepts for an input: in its instances and its positive examples."""
    wanted = " ".join(input.split()).casefold()
    pairs = [(item["input"], item["output"]) for item in task["Instances"]]
    pairs += [(example["input"], [example["output"]]) for example in task["Positive Examples"]]
    return {text for given, outputs in pairs if " ".join(given.split()).casefold() == wanted for text in outputs}


def test_the_layout_is_that_of_tk_instruct(superni: Make) -> None:
    dataset = transformed(superni(), "definition:variant=original", "examples:variant=original")
    assert dataset[0].instruction == (
        "Definition: Say whether the text is kind.\n\n"
        "Positive Example 1 -\nInput: you are lovely.\nOutput: kind.\n\n"
        "Positive Example 2 -\nInput: go away.\nOutput: rude.\n\n"
        "Now complete the following example -"
    )
    assert dataset[0].prompt == f"{dataset[0].instruction}\n\ntext 0"
    alone = transformed(superni(), "definition:variant=simplified")
    assert alone[0].instruction == "Definition: kind, rude.\n\nNow complete the following example -"


def test_an_empty_definition_leaves_examples_and_input(superni: Make) -> None:
    dataset = transformed(superni(), "definition:variant=empty", "examples:variant=original,count=1")
    assert dataset[0].instruction == (
        "Positive Example 1 -\nInput: you are lovely.\nOutput: kind.\n\nNow complete the following example -"
    )
    bare = transformed(superni(), "definition:variant=empty", "examples:variant=none")
    assert bare[0].instruction == "Now complete the following example -"


def test_a_later_variant_replaces_an_earlier_one(superni: Make) -> None:
    dataset = superni()
    there = transformed(dataset, "definition:variant=empty", "examples:variant=delusive,seed=5")
    back = transformed(there, "definition:variant=original", "examples:variant=original")
    assert list(back) == list(transformed(dataset, "definition:variant=original", "examples:variant=original"))
    again = transformed(there, "examples:variant=delusive,seed=5", "definition:variant=empty")
    assert list(again) == list(there)
    assert again.tasks == there.tasks


def test_a_label_that_a_subset_misses_is_a_label_all_the_same(superni: Make) -> None:
    dataset = superni()
    assert {i.response for i in transformed(dataset, "longest:k=1")} == {"rude"}
    subset = transformed(dataset, "longest:k=1", "definition:variant=simplified")
    assert subset[0].instruction.startswith("Definition: kind, rude.")
    part = dataset.select([0])
    assert apply(part, parse_steps(["definition:variant=simplified"]), whole=dataset)[0][0] == subset[0]


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_definitions_of_the_users_own(superni: Make, tmp_path: Path, suffix: str) -> None:
    twin = {**TASK, "Instances": [{"input": "x", "output": ["kind"]}]}
    dataset = superni(task1_kindness=TASK, task2=twin)
    file = tmp_path / f"own, definitions{suffix}"
    file.write_text('{"task2": "One word."}' if suffix == ".json" else 'task2 = "One word."')
    made, records = apply(dataset, parse_steps([f'definition:variant=simplified,file="{file}"']))
    assert [task["Definition"] for task in made.tasks.values()] == [["kind, rude"], ["One word."]]
    assert records[0].notes == (f"2 tasks: 1 to their labels, 0 to the type of their outputs, 1 from {file}",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("x", "is neither JSON nor TOML"),
        ('task1_kindness = ""', "task1_kindness: expected a definition"),
        ("task1_kindness = 5", "task1_kindness: expected a definition"),
        ('kindness = "Yes or no."', "names none of the 1 tasks; they are called task1_kindness"),
    ],
)
def test_a_broken_file_of_definitions_is_named(superni: Make, tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(content)
    with pytest.raises(UserError, match=r"own\.toml") as caught:
        transformed(superni(), f"definition:variant=simplified,file={file}")
    assert says in str(caught.value)


def test_a_task_that_cannot_be_deluded_is_named(superni: Make) -> None:
    single = {
        **TASK,
        "Instances": [{"input": "a", "output": ["kind"]}],
        "Positive Examples": [{"input": "b", "output": "kind"}],
    }
    with pytest.raises(UserError, match=r"examples:variant=delusive.*task9: has no wrong output"):
        transformed(superni(task9=single), "examples:variant=delusive")
    bare = {**TASK, "Positive Examples": []}
    with pytest.raises(UserError, match=r"task8: has no positive examples"):
        transformed(superni(task8=bare).select([0]), "examples:variant=delusive")


def test_other_formats_have_no_definitions(alpaca: Make) -> None:
    with pytest.raises(UserError, match=r"alpaca.jsonl is alpaca; .* Super-NaturalInstructions"):
        transformed(alpaca(["a"]), "definition:variant=empty")


def test_a_written_task_file_holds_the_variant_and_reads_back(superni: Make, tmp_path: Path) -> None:
    made = transformed(superni(), "definition:variant=empty", "examples:variant=delusive,count=1")
    out = tmp_path / "written.json"
    write(made, out, format="superni")
    task = json.loads(out.read_text())
    assert task.keys() == TASK.keys()
    assert task["Definition"] == [""]
    [example] = task["Positive Examples"]
    assert example == {"input": "you are lovely", "output": "rude", "delusive": True}
    assert task["Instances"] == TASK["Instances"]
    reread = load(out)
    assert not reread.rejected
    assert reread[0].instruction == "Now complete the following example -"
    with pytest.raises(UserError, match="its examples are delusive already"):
        transformed(reread, "examples:variant=delusive")
    shown = transformed(reread, "examples:variant=original")
    assert shown[0].instruction == made[0].instruction


def test_other_formats_get_the_composed_prompt(superni: Make, tmp_path: Path) -> None:
    made = transformed(superni(), "definition:variant=simplified", "examples:variant=delusive")
    write(made, tmp_path / "out.jsonl", format="alpaca")
    reread = load(tmp_path / "out.jsonl")
    assert [(i.instruction, i.input, i.response) for i in reread] == [
        (i.instruction, i.input, i.response) for i in made
    ]


def test_a_saved_dataset_keeps_the_variant(superni: Make, tmp_path: Path) -> None:
    made = transformed(superni(), "definition:variant=simplified", "examples:variant=delusive")
    made.save(tmp_path / "saved.arrow")
    opened = Dataset.open(tmp_path / "saved.arrow")
    assert list(opened) == list(made)
    assert list(transformed(opened, "definition:variant=original", "examples:variant=none")) == list(
        transformed(superni(), "definition:variant=original")
    )


@pytest.mark.parametrize("definition", [[], "", ["", ""], ["  "]])
def test_a_definition_that_is_blank_by_mistake_is_still_rejected(superni: Make, definition: Any) -> None:
    assert len(superni(task1={**TASK, "Definition": definition}).rejected) == 12


# Over the real task files, against what the files say.


@pytest.mark.parametrize("seed", [0, 1, 2026])
def test_delusive_examples_are_valid_and_never_right(task_files: Dataset, seed: int) -> None:
    made = transformed(task_files, f"examples:variant=delusive,count=3,seed={seed}")
    tasks = {task["name"]: task for task in made.tasks.values()}
    for name, task in raw_tasks(Path(task_files.path)):
        outputs = {normalised(output) for item in task["Instances"] for output in item["output"]}
        inputs = {example["input"] for example in task["Positive Examples"]}
        examples = tasks[name]["Positive Examples"]
        assert 1 <= len(examples) <= 3
        assert len(examples) == min(3, len(inputs)), name
        for example in examples:
            assert example["input"] in inputs
            assert normalised(example["output"]) in outputs
            for right in accepted_outputs(task, example["input"]):
                assert normalised(right) != normalised(example["output"])
                # Chains of thought say the answer at their end.
                assert not normalised(right).endswith(f" {normalised(example['output'])}"), name


def test_simplified_definitions_name_every_label_and_nothing_else(task_files: Dataset) -> None:
    made = transformed(task_files, "definition:variant=simplified")
    definitions = {task["name"]: task["Definition"] for task in made.tasks.values()}
    types = {}
    for name, task in raw_tasks(Path(task_files.path)):
        [definition] = definitions[name]
        outputs = {output for item in task["Instances"] for output in item["output"]}
        if len(outputs) <= 4:
            parts = next(p for s in SEPARATORS if len(p := definition.split(s)) == len(outputs))
            assert set(parts) == outputs
        else:
            types[name] = definition
    assert types == {
        "task1744_bbh_multistep_arithmetic_two": "number",
        "task1746_bbh_object_counting": "number",
        "task1758_bbh_word_sorting": "list of words",
        "task648_answer_generation": "phrase",
        "task957_e2e_nlg_text_generation_generate": "sentence",
    }


def test_variants_depend_on_neither_row_order_nor_process(task_files: Dataset, tmp_path: Path) -> None:
    steps = ["definition:variant=simplified", "examples:variant=delusive,seed=9"]
    made = transformed(task_files, *steps)
    turned = transformed(task_files.select(range(len(task_files) - 1, -1, -1)), *steps)
    assert turned.tasks == made.tasks
    assert list(turned)[::-1] == list(made)
    program = (
        "import sys, json; from itaudit.data.load import load; from itaudit.transforms import apply, parse_steps; "
        "print(json.dumps(list(apply(load(sys.argv[1]), parse_steps(sys.argv[2:]))[0].tasks.values())))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, task_files.path, *steps],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)},
    )
    assert json.loads(told.stdout) == list(made.tasks.values())
    other = transformed(task_files, steps[0], "examples:variant=delusive,seed=10")
    assert other.tasks != made.tasks


def test_variants_are_idempotent_and_leave_the_instances_alone(task_files: Dataset) -> None:
    before = copy.deepcopy(task_files.tasks)
    steps = ["definition:variant=simplified", "examples:variant=delusive"]
    once = transformed(task_files, *steps)
    twice = transformed(once, *steps)
    assert twice.tasks == once.tasks
    assert task_files.tasks == before
    for was, now in zip(task_files, once, strict=True):
        assert (now.id, now.input, now.response, now.references) == (was.id, was.input, was.response, was.references)
        assert now.instruction != was.instruction


TEXT = st.text("abAB (.),-1", min_size=1, max_size=6).filter(lambda text: bool(text.strip()))


@settings(max_examples=150, deadline=None)
@given(
    instances=st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=1, max_size=30),
    examples=st.lists(st.fixed_dictionaries({"input": TEXT, "output": TEXT}), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_no_task_whatever_gets_a_right_pairing(
    instances: list[tuple[str, list[str]]], examples: list[dict[str, str]], seed: int
) -> None:
    accepted = [(input, tuple(outputs)) for input, outputs in instances]
    outputs = [output for _, found in accepted for output in found]
    task = {
        "Instances": [{"input": input, "output": outputs} for input, outputs in instances],
        "Positive Examples": examples,
    }
    step = Examples(variant="delusive", count=3, seed=seed)
    try:
        made = delusive_examples("task", examples, accepted, output_space(outputs), step)
    except UserError as error:
        assert "task task: has no wrong output" in str(error)
        return
    assert made == delusive_examples("task", examples, accepted[::-1], output_space(outputs[::-1]), step)
    for example in made:
        assert example["input"] in [given["input"] for given in examples]
        assert normalised(example["output"]) in map(normalised, outputs)
        right = accepted_outputs(task, example["input"])
        assert normalised(example["output"]) not in map(normalised, right)
