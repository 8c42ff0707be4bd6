"""Each format: what it becomes, how it is detected, and what it is written back as."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from itaudit.data.instance import Message
from itaudit.data.load import load
from itaudit.data.write import formats, write
from itaudit.errors import UserError

Lines = Callable[[list[Any]], Path]

TASK = {
    "Contributors": ["A. Nonymous"],
    "Categories": ["Question Answering"],
    "Definition": ["Answer yes or no.", "Be brief."],
    "Positive Examples": [{"input": "1 < 2?", "output": "yes", "explanation": "it is"}],
    "Negative Examples": [],
    "Instances": [
        {"id": "t-1", "input": "2 < 1?", "output": ["no", "No."], "split": "test"},
        {"id": "t-2", "input": "0 < 1?", "output": ["yes"]},
    ],
    "Instance License": ["Unknown"],
}

RECORDS: dict[str, list[dict[str, Any]]] = {
    "alpaca": [{"instruction": "Add.", "input": "1, 2", "output": "3", "category": "maths", "score": 4.5}],
    "dolly": [{"instruction": "Who?", "context": "Ada wrote.", "response": "Ada", "category": "closed_qa"}],
    "sharegpt": [
        {
            "conversations": [
                {"from": "system", "value": "Be kind."},
                {"from": "human", "value": "Hi"},
                {"from": "gpt", "value": "Hello", "weight": 1},
                {"from": "user", "value": "Bye"},
                {"from": "gpt", "value": "Farewell"},
            ],
            "id": "c-1",
        }
    ],
    "messages": [
        {
            "messages": [
                {"role": "user", "content": "Hi", "name": "Bo"},
                {"role": "assistant", "content": "Hello"},
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": "Bye"},
                {"role": "assistant", "content": "Farewell"},
                {"role": "user", "content": "Still there?"},
            ],
            "tools": [{"name": "search"}],
        }
    ],
    "prompt-completion": [
        {"prompt": "2+2=", "completion": "4"},
        {
            "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
            "completion": [{"role": "assistant", "content": "Hello"}],
        },
    ],
    "superni": [TASK],
    "self-instruct": [
        {
            "id": "u-1",
            "instruction": "Translate.",
            "instances": [{"input": "chat", "output": "cat"}, {"input": "chien", "output": "dog", "n": 1}],
            "app": "x",
        }
    ],
    "prompts": [{"question_id": 7, "text": "Why?", "category": "generic"}],
}


def test_every_format_is_known() -> None:
    assert set(formats()) == set(RECORDS)


@pytest.mark.parametrize("format", RECORDS)
@pytest.mark.parametrize("out", ["again.json", "again.jsonl", "again.csv", "again.parquet", "again"])
def test_format_is_detected_and_survives_each_container(
    json_lines: Lines, tmp_path: Path, format: str, out: str
) -> None:
    dataset = load(json_lines(RECORDS[format]))
    assert dataset.format == format
    assert dataset.rejected == ()
    write(dataset, tmp_path / out, format=format)
    again = load(tmp_path / out)
    assert again.format == format
    for one, other in zip(dataset, again, strict=True):
        # Extra columns are compared below; the name of a task is that of its file.
        assert replace(one, extra={}) == replace(other, extra={})
        before, after = ({name: value for name, value in i.extra.items() if name != "task"} for i in (one, other))
        if out.endswith(".csv") and format != "superni":
            # CSV knows text alone: numbers and lists of unknown columns come back as the text of their cell.
            before = {k: v if isinstance(v, str) else orjson.dumps(v).decode() for k, v in before.items()}
        assert after == before


@pytest.mark.parametrize("format", RECORDS)
def test_json_lines_come_back_as_they_were(json_lines: Lines, tmp_path: Path, format: str) -> None:
    records = RECORDS[format]
    write(load(json_lines(records)), tmp_path / "out.jsonl", format=format)
    again = [orjson.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    if format == "superni":
        assert again[0].pop("name") == "task0"
    assert again == records


def test_the_last_answer_is_audited_and_the_rest_kept(json_lines: Lines) -> None:
    (instance,) = load(json_lines(RECORDS["messages"]))
    assert (instance.instruction, instance.response) == ("Bye", "Farewell")
    assert instance.history[0] == Message("user", "Hi")
    assert instance.history[2] == Message("system", "Be brief.")
    assert instance.later == (Message("user", "Still there?"),)
    assert instance.extra == {"tools": [{"name": "search"}]}


def test_turn_selects_the_audited_answer(json_lines: Lines, tmp_path: Path) -> None:
    path = json_lines([*RECORDS["sharegpt"], {"conversations": RECORDS["sharegpt"][0]["conversations"][:3]}])
    first = load(path, turn=0)
    assert [(i.instruction, i.response) for i in first] == [("Hi", "Hello"), ("Hi", "Hello")]
    assert first[0].later == (Message("user", "Bye"), Message("assistant", "Farewell"))
    assert first[0] == load(path)[0].at_turn(0)
    second = load(path, turn=1)
    assert [i.index for i in second] == [0]
    assert [(r.index, r.reason) for r in second.rejected] == [
        (1, "has 1 assistant turn, not the turn 1 that was asked for")
    ]
    write(first, tmp_path / "out.jsonl", format="sharegpt")
    assert orjson.loads((tmp_path / "out.jsonl").read_bytes().splitlines()[0]) == RECORDS["sharegpt"][0]


def test_single_turn_formats_have_turn_zero_alone(json_lines: Lines) -> None:
    path = json_lines(RECORDS["alpaca"])
    assert len(load(path, turn=0)) == 1
    assert load(path, turn=1).rejected[0].reason == "has 1 assistant turn, not the turn 1 that was asked for"


def test_task_is_instruction_references_and_shared_examples(tmp_path: Path) -> None:
    path = tmp_path / "task7_yes.json"
    path.write_bytes(orjson.dumps(TASK, option=orjson.OPT_INDENT_2))
    dataset = load(path)
    first = dataset[0]
    assert first.instruction == "Answer yes or no.\nBe brief."
    assert (first.input, first.response, first.references) == ("2 < 1?", "no", ("no", "No."))
    assert first.extra == {
        "id": "t-1",
        "split": "test",
        "task": "task7_yes",
        "Categories": ["Question Answering"],
    }
    assert dataset.tasks[0]["Positive Examples"] == TASK["Positive Examples"]
    assert "Positive Examples" not in dataset.table.column_names
    write(dataset, tmp_path / "copy.json", format="superni")
    assert orjson.loads((tmp_path / "copy.json").read_bytes()) == TASK


def test_folder_of_tasks_comes_back_file_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for number in (2, 1):
        instances = [{"id": f"{number}-{i}", "input": str(i), "output": ["x"]} for i in range(number)]
        (folder / f"task{number}.json").write_bytes(orjson.dumps({**TASK, "Instances": instances}))
    (folder / "README.md").write_text("tasks")
    dataset = load(folder)
    assert [i.id for i in dataset] == ["1-0", "2-0", "2-1"]
    assert [i.extra["task"] for i in dataset] == ["task1", "task2", "task2"]
    write(dataset, tmp_path / "copy", format="superni")
    for name in ("task1.json", "task2.json"):
        assert orjson.loads((tmp_path / "copy" / name).read_bytes()) == orjson.loads((folder / name).read_bytes())


def test_alpaca_becomes_one_task_for_each_instruction(json_lines: Lines, tmp_path: Path) -> None:
    rows = [{"instruction": i, "input": n, "output": n * 2} for i, n in (("A", "1"), ("B", "2"), ("A", "3"))]
    write(load(json_lines(rows)), tmp_path / "out.json", format="superni")
    tasks = orjson.loads((tmp_path / "out.json").read_bytes())
    assert [task["Definition"] for task in tasks] == [["A"], ["B"]]
    assert [item["input"] for item in tasks[0]["Instances"]] == ["1", "3"]


def test_all_answers_survive_a_format_with_one_answer(json_lines: Lines, tmp_path: Path) -> None:
    write(load(json_lines([TASK])), tmp_path / "out.json", format="alpaca")
    again = load(tmp_path / "out.json")
    assert again[0].references == ("no", "No.")
    assert again[0].extra["task"] == "task0"


def test_input_joins_the_prompt_where_the_format_has_none(json_lines: Lines, tmp_path: Path) -> None:
    write(load(json_lines(RECORDS["alpaca"])), tmp_path / "out.jsonl", format="messages")
    record = orjson.loads((tmp_path / "out.jsonl").read_bytes())
    assert record["messages"][0] == {"role": "user", "content": "Add.\n\n1, 2"}
    assert record["category"] == "maths"


def test_one_row_without_its_response_does_not_make_prompts(json_lines: Lines) -> None:
    rows = [{"instruction": "a"}, {"instruction": "b"}, {"instruction": "c", "output": "d"}]
    dataset = load(json_lines(rows))
    assert dataset.format == "alpaca"
    assert [r.index for r in dataset.rejected] == [0, 1]


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("sharegpt", "alpaca", "row 0 has more than one turn"),
        ("messages", "superni", "row 0 has more than one turn"),
        ("prompts", "dolly", "row 0 has no response"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    json_lines: Lines, tmp_path: Path, source: str, target: str, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        write(load(json_lines(RECORDS[source])), tmp_path / "out.json", format=target)
    assert not (tmp_path / "out.json").exists()


def test_a_column_named_like_a_field_of_the_target_is_refused(json_lines: Lines, tmp_path: Path) -> None:
    dataset = load(json_lines([{"instruction": "a", "response": "b", "output": 1}]), format="dolly")
    with pytest.raises(UserError, match="row 0: its column 'output' is a field"):
        write(dataset, tmp_path / "out.json", format="alpaca")
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("out", ["again.parquet", "again"])
def test_null_and_missing_keys_inside_a_field_stay_apart(json_lines: Lines, tmp_path: Path, out: str) -> None:
    question, answer = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
    rows = [
        {"messages": [{**question, "name": None}, answer]},
        {"messages": [{**question, "name": "Bo"}, answer]},
    ]
    write(load(json_lines(rows)), tmp_path / out, format="messages")
    write(load(tmp_path / out), tmp_path / "last.jsonl", format="messages")
    assert [orjson.loads(line) for line in (tmp_path / "last.jsonl").read_bytes().splitlines()] == rows
