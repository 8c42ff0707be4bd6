"""Steps that choose instances."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from itaudit.data.dataset import Dataset
from itaudit.data.load import load
from itaudit.errors import UserError
from itaudit.steps import Ifd
from itaudit.transforms import apply, parse_steps

Make = Callable[..., Dataset]


def indices(dataset: Dataset) -> list[int]:
    return [instance.index for instance in dataset]


def chosen(dataset: Dataset, *texts: str) -> list[int]:
    return indices(apply(dataset, parse_steps(texts))[0])


def test_the_longest_keep_their_order_and_ties_go_to_the_earlier_row(alpaca: Make) -> None:
    dataset = alpaca(["one", "one two three", "a b", " ", "x  y", "q\u00a0r s"])
    assert chosen(dataset, "longest:k=3") == [1, 2, 5]
    assert chosen(dataset, "shortest:k=2") == [0, 3]
    assert chosen(dataset, "longest:k=2,unit=characters") == [1, 5]
    assert chosen(dataset, "shortest:k=3,unit=characters") == [0, 2, 3]


def test_the_first_are_the_first_that_the_steps_before_leave(alpaca: Make) -> None:
    dataset = alpaca(["one", "one two three", "a b", "x y z"])
    assert chosen(dataset, "first:k=2") == [0, 1]
    assert chosen(dataset, "words:at_least=2", "first:k=2") == [1, 2]
    with pytest.raises(UserError, match=r"first:k=4: k=4 is more than the 3 instances there are"):
        chosen(dataset, "words:at_least=2", "first:k=4")


def test_words_bound_the_responses_from_either_side(alpaca: Make) -> None:
    dataset = alpaca(["one", "one two three", "a b", "", "x  y z q"])
    assert chosen(dataset, "words:at_least=2,at_most=3") == [1, 2]
    assert chosen(dataset, "words:at_least=3") == [1, 4]
    assert chosen(dataset, "words:at_most=1") == [0, 3]
    with pytest.raises(UserError, match=r"words:at_least=9,at_most=0: leaves no instance; .* have 0 to 4 words"):
        chosen(dataset, "words:at_least=9")


def test_a_prompt_without_a_response_is_no_response_of_no_words(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b", "completion": "one"}\n')
    assert chosen(load(str(path)), "words:at_most=3") == [1]


def test_a_random_draw_depends_on_seed_and_ids_alone(alpaca: Make) -> None:
    dataset = alpaca([f"r{number}" for number in range(60)])
    drawn = chosen(dataset, "random:k=20,seed=3")
    assert drawn == sorted(drawn) and len(set(drawn)) == 20
    assert drawn != chosen(dataset, "random:k=20,seed=4")
    assert set(chosen(dataset, "random:k=5,seed=3")) < set(drawn)
    turned = dataset.select(range(59, -1, -1))
    assert sorted(chosen(turned, "random:k=20,seed=3")) == drawn
    program = (
        "import sys; from itaudit.data.load import load; from itaudit.transforms import apply, parse_steps; "
        "print([i.index for i in apply(load(sys.argv[1]), parse_steps(['random:k=20,seed=3']))[0]])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, dataset.path], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == str(drawn)


def test_a_random_draw_is_fair(alpaca: Make) -> None:
    """Over many seeds every row is drawn about as often as any other: 100 of 200 draws, six sigma allowed."""
    dataset = alpaca([f"r{number}" for number in range(20)])
    drawn = [row for seed in range(200) for row in chosen(dataset, f"random:k=10,seed={seed}")]
    assert all(60 < drawn.count(row) < 140 for row in range(20))


def test_a_score_column_chooses_by_number(alpaca: Make) -> None:
    dataset = alpaca(["a", "b", "c", "d"], rating=[4.5, "2", 5, 4.5])
    assert chosen(dataset, "score:column=rating,k=2") == [0, 2]
    assert chosen(dataset, "score:column=rating,k=2,order=lowest") == [0, 1]


def test_rows_without_a_number_are_named(alpaca: Make) -> None:
    dataset = alpaca(["a", "b", "c", "d", "e"], rating=[4.5, None, "good", True, "nan"])
    with pytest.raises(UserError, match=r"column 'rating' .* row 1: nothing, row 2: 'good', row 3: True and 1 more"):
        chosen(dataset, "score:column=rating,k=1")
    with pytest.raises(UserError, match=r"has no column 'ratng'; it has rating"):
        chosen(dataset, "score:column=ratng,k=1")


@pytest.mark.parametrize("step", ["longest:k=4", "shortest:k=4", "random:k=4", "score:column=s,k=4", "ifd:k=4"])
def test_more_than_there_are_is_an_error_with_both_numbers(alpaca: Make, step: str) -> None:
    dataset = alpaca(["a", "b", "c"], s=[1, 2, 3])
    with pytest.raises(UserError, match=r"transform .*k=4 is more than the 3 instances"):
        chosen(dataset, step)


def test_the_difficulty_leaves_out_what_the_instruction_does_not_help(alpaca: Make) -> None:
    dataset = alpaca(["a", "b", "c", "d", "e"])
    asked: list[Ifd] = []

    def difficulties(given: Dataset, step: Ifd) -> Sequence[float | None]:
        assert given is dataset
        asked.append(step)
        return [0.9, 1.2, None, 0.4, 1.0]

    steps = parse_steps(["ifd:k=2,model=some/model"])
    subset, records = apply(dataset, steps, difficulties=difficulties)
    assert indices(subset) == [0, 4]
    assert asked[0].model == "some/model"
    assert records[0].notes == ("1 left out with an IFD above 1", "1 left out without a response to measure")
    easy, _ = apply(dataset, parse_steps(["ifd:k=1,order=lowest"]), difficulties=difficulties)
    assert indices(easy) == [3]
    every, _ = apply(dataset, parse_steps(["ifd:k=2,at_most=inf"]), difficulties=difficulties)
    assert indices(every) == [1, 4]
    with pytest.raises(UserError, match=r"k=4 is more than the 3 instances with an IFD of at most 1 "):
        apply(dataset, parse_steps(["ifd:k=4"]), difficulties=difficulties)
    with pytest.raises(UserError, match=r"ifd:k=2.*needs a model"):
        apply(dataset, parse_steps(["ifd:k=2"]))


def test_steps_compose_in_order_and_each_is_recorded(alpaca: Make) -> None:
    dataset = alpaca(["a " * number for number in range(1, 11)])
    subset, records = apply(dataset, parse_steps(["longest:k=6", "shortest:k=3", "random:k=2"]))
    assert set(indices(subset)) < {4, 5, 6}
    assert [record.to_json() for record in records] == [
        {"step": "longest:k=6,unit=words", "before": 10, "after": 6, "notes": []},
        {"step": "shortest:k=3,unit=words", "before": 6, "after": 3, "notes": []},
        {"step": "random:k=2,seed=0", "before": 3, "after": 2, "notes": []},
    ]
    again, _ = apply(dataset, parse_steps([record.step for record in records]))
    assert indices(again) == indices(subset)
    assert len(dataset) == 10
