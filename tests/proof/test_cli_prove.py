"""`itaudit prove` on a run that is there: what it asks for, lists and refuses."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from itaudit.cli import cli
from itaudit.errors import UserError
from itaudit.proof.jobs import create, estimate, open_proof, proofs
from itaudit.proof.results import Reading, Unit, append_unit
from itaudit.proof.spec import ProofSpec
from itaudit.proof.suspects import Suspects
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run
from tests.tui.make_run import make_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ITAUDIT_CACHE_DIR", str(tmp_path / "cache"))
    return make_run(tmp_path)


def prove(run: Run, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["prove", str(run.path), *arguments])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "sft"], "say what to prove: --prompt ID --span S:E, or --flags marks"),
        (["--prompt", "zamboni", "--span", "0:3"], "give --model, one of lft, sft"),
        (["--model", "base", "--flags", "marks"], "the base model was not tuned"),
        (["--model", "sft", "--prompt", "zamboni", "--span", "9:3"], "--span '9:3': expected S:E"),
        (["--model", "sft", "--prompt", "zamboni", "--span", "0:999"], "span 0:999: the response of sft has"),
        (["--model", "sft", "--prompt", "nobody", "--span", "0:3"], "no prompt 'nobody'"),
        (["--model", "sft", "--prompt", "zamboni", "--span", "0:3", "--source", "99"], "row 99 is not among"),
        (["--model", "sft", "--flags", "moods"], "--flags moods: expected one of marks, any, shifted, reference"),
        (["--model", "sft", "--flags", "marks"], "no span of sft with sources is flagged by marks"),
        (["--model", "sft", "--flags", "marks", "--span", "0:3"], "--flags takes all flagged spans"),
        (["--model", "sft", "--flags", "marks", "--source", "3"], "--flags takes all flagged spans"),
        (["--model", "sft", "--prompt", "a", "--span", "0:3", "--limit", "3"], "--limit is for --flags"),
        (["--model", "sft", "--prompt", "a", "--span", "0:3", "--source", "3", "-k", "2"], "give one of them"),
        (["--model", "sft", "--prompt", "a", "--span", "0:3", "--seeds", "2"], "--seeds is for --method drop"),
        (["--edited", "--method", "tail-patch", "--model", "sft"], "--edited is for --method drop-and-retrain"),
        (["--list", "--show", "x"], "stand alone"),
        (["--show", "../../x"], "no proof '../../x'"),
        (["--cancel", "nothing"], "no proof 'nothing'"),
    ],
)
def test_wrong_use_is_told_in_one_line(run: Run, arguments: list[str], told: str) -> None:
    result = prove(run, *arguments)
    assert isinstance(result.exception, UserError) and result.exception.code == 2, result.output
    assert told in str(result.exception) and "\n" not in str(result.exception)
    assert not (run.path / "proofs").exists()


def test_an_estimate_counts_units_and_makes_nothing(run: Run) -> None:
    asked = ["--model", "sft", "--prompt", "zamboni", "--span", "62:67", "-k", "1", "--estimate"]
    result = prove(run, *asked, "--controls", "6", "--json")
    assert orjson.loads(result.stdout) == {"targets": 1, "units": 8, "seconds": None}
    result = prove(run, *asked, "--method", "drop-and-retrain", "--controls", "3", "--seeds", "2")
    assert result.stdout == "1 spans, 8 retrainings, nobody knows how long\n"
    assert proofs(run) == ()


def test_flagged_spans_are_proved_with_the_sources_of_their_traces(run: Run) -> None:
    text = run.response("sft", "zamboni").response  # type: ignore[union-attr]  # it is there
    start = text.index("Luigi")
    run.mark(Mark("sft", "zamboni", start, start + 5, "Luigi"))
    suspects = Suspects(run, "sft")
    target = suspects.target("zamboni", start, start + 5, k=3)
    # Row 0 speaks of Luigi Galvani, the Italian physician and inventor.
    assert target.text == "Luigi" and target.sources[0] == 0 and len(target.sources) == 3
    assert suspects.target("zamboni", start, start + 5, sources=[7]).sources == (7,)
    result = prove(run, "--model", "sft", "--flags", "marks", "--estimate", "--json", "--controls", "3", "-k", "2")
    assert orjson.loads(result.stdout)["units"] == 1 + 2 + 3
    shifted = prove(run, "--model", "sft", "--flags", "shifted", "--limit", "2", "--estimate", "--json", "-k", "1")
    assert orjson.loads(shifted.stdout)["targets"] == 2


def test_proofs_are_listed_newest_first_with_their_verdicts(run: Run) -> None:
    target = Suspects(run, "sft").target("zamboni", 0, 3, sources=[0])
    for name in ("older", "newer"):
        create(run, ProofSpec("tail-patch", "sft", (target,), controls=3), name)
    proof = open_proof(run, "older")
    for number, unit in enumerate(proof.plan.units()):
        append_unit(proof.results_path, Unit(unit, (Reading(-float(number), False),), 0.5, {}))
    listed = orjson.loads(prove(run, "--list", "--json").stdout)
    assert [one["name"] for one in listed] == ["newer", "older"]
    assert [one["status"]["state"] for one in listed] == ["new", "done"]
    assert listed[1]["verdicts"][0]["sources"] == [{"row": 0, "effect": -1.0, "rank": 1, "p": 0.25}]
    shown = prove(run, "--show", "older")
    assert shown.stdout.splitlines()[0] == "older · tail-patch of sft · done · 5 of 5 steps"
    assert "zamboni 0:3" in shown.stdout and "rank 1 of 4" in shown.stdout
    assert prove(run, "--resume", "older").stdout == shown.stdout
    with pytest.raises(UserError, match="there is such a proof"):
        create(run, ProofSpec("tail-patch", "sft", (target,)), "older")
    assert estimate(run, ProofSpec("tail-patch", "sft", (target,), controls=3)) == pytest.approx(0.5 * 5)
