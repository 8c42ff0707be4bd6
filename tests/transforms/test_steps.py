"""Steps as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itaudit.errors import UserError
from itaudit.steps import KINDS, Definition, Examples, Ifd, Longest, Random, Score, parse_step, parse_steps


def test_a_step_says_its_defaults() -> None:
    assert parse_step("longest:k=1000") == Longest(k=1000, unit="words")
    assert parse_step("longest:k=1000").text == "longest:k=1000,unit=words"
    assert parse_step(" random : k = 5 , seed = 7 ") == Random(k=5, seed=7)
    assert parse_step("ifd:k=3,at_most=inf").text == "ifd:k=3,order=highest,at_most=inf"


def test_a_value_with_a_comma_stands_in_quotes() -> None:
    step = parse_step('score:column="helpful, honest",k=3')
    assert step == Score(column="helpful, honest", k=3)
    assert parse_step(step.text) == step


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("longst:k=5", "no step 'longst'; there are longest, shortest, words"),
        ("longest", "k is required, and missing; longest has the keys k, unit ('words')"),
        ("longest:n=5", "no key 'n'; longest has the keys k"),
        ("longest:k=0", "k: Input should be greater than or equal to 1, not '0'"),
        ("longest:k=many", "k: Input should be a valid integer"),
        ("longest:5", "'5' is not key=value; longest has the keys"),
        ("longest:k=5,k=6", "k is given twice"),
        ("longest:k=5,unit=pages", "unit: Input should be 'words' or 'characters', not 'pages'"),
        ("words:", "give at_least, at_most or both"),
        ("words:at_least=5,at_most=4", "at_most=4 is below at_least=5"),
        ("definition:variant=simple", "variant: Input should be 'original', 'simplified' or 'empty'"),
        ("examples:variant=wrong", "variant: Input should be 'original', 'delusive' or 'none'"),
        ("definition:variant=empty,file=x.toml", "file brings simplified definitions, and variant=empty has no use"),
        ("score:column=,k=5", "column: String should have at least 1 character"),
        ("random:k=5,seed=-1", "seed: Input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_step_is_told_by_its_name_and_key(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_steps(["random:k=1", text])
    assert says in str(caught.value)
    assert repr(text) in str(caught.value)
    assert caught.value.code == 2


@given(
    st.one_of(
        st.builds(Longest, k=st.integers(1, 10**9), unit=st.sampled_from(["words", "characters"])),
        st.builds(Score, column=st.text('ab ,=:é"', min_size=1), k=st.integers(1, 99)),
        st.builds(Ifd, k=st.integers(1, 99), at_most=st.floats(0.01, 1e6), model=st.sampled_from(["", "a/b", "x,y"])),
        st.builds(Definition, variant=st.just("simplified"), file=st.sampled_from(["", '/a b/c,"d".toml'])),
        st.builds(Examples, variant=st.sampled_from(["original", "none"]), count=st.integers(1, 9)),
    )
)
def test_what_a_step_says_of_itself_is_the_step(step: Longest) -> None:
    assert parse_step(step.text) == step


def test_every_kind_of_step_has_a_docstring_and_its_own_name() -> None:
    assert all(kind.__doc__ and name == kind.name for name, kind in KINDS.items())
