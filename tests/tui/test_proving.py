"""Proofs from the stepper under a pilot: what is asked, what is written, and what is told of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from itaudit.errors import UserError
from itaudit.proof.jobs import Proof, create, proofs
from itaudit.proof.spec import CONTROLS, ProofSpec, Target
from itaudit.recipe import check_recipe, write_recipe
from itaudit.runs.lineage import Place
from itaudit.runs.marks import Mark
from itaudit.runs.run import Run
from itaudit.tui.prove_form import Candidate, ProveForm, flagged
from itaudit.tui.screens.proofs import ProofsScreen
from itaudit.tui.screens.prove import ProveScreen
from tests.tui import make_run
from tests.tui.harness import screen_text, until
from tests.tui.mended import LUIGI, edit, make_parent
from tests.tui.test_mending_run import messages, on_luigi

HERE = Candidate(Place("sft", "zamboni", LUIGI, LUIGI + 5, "Luigi"), (0, 1, 4), strict=1)
THERE = Candidate(Place("sft", "coa", 3, 9, "hormone"), (7,))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_parent(tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Proof]:
    """The proofs whose workers would have been started: this run's models are none that a worker could load."""
    found: list[Proof] = []
    monkeypatch.setattr(Proof, "start", lambda proof: found.append(proof) or 1)
    return found


def test_a_form_makes_the_proof_that_it_shows() -> None:
    form = ProveForm("sft", HERE, all=(HERE, THERE), count=2)
    spec = form.spec()
    assert (spec.kind, spec.model, spec.replace) == ("tail-patch", "sft", "drop")
    assert [(t.prompt_id, t.text, t.sources) for t in spec.targets] == [("zamboni", "Luigi", (0, 1))]
    spec = form.moved("proof", 1).moved("proof", 1).moved("spans", 1).moved("seeds", 1).moved("controls", -1).spec()
    assert (spec.kind, spec.replace, spec.seeds) == ("drop-and-retrain", "edited", 4)
    assert spec.controls == CONTROLS["drop-and-retrain"] - 1
    assert [target.sources for target in spec.targets] == [(0, 1), (7,)]


def test_a_form_keeps_its_numbers_within_bounds() -> None:
    form = ProveForm("sft", HERE, count=1)
    assert form.moved("sources", -1).count == 1 and form.moved("sources", 9).count == 3
    assert form.moved("seeds", -9).seeds == 1 and form.moved("controls", -99).controls == 1
    assert not form.has("seeds") and form.moved("proof", 1).has("seeds")
    assert form.moved("spans", 1).everything and not ProveForm("sft", None, everything=True).moved("spans", 1).here


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (ProveForm("sft", replace(HERE, rows=())), "no source to test"),
        (ProveForm("sft", None, everything=True), "still being looked up"),
        (ProveForm("sft", None, all=(), everything=True), "no flagged span"),
    ],
)
def test_a_form_without_anything_to_prove_is_refused(form: ProveForm, why: str) -> None:
    with pytest.raises(UserError, match=why):
        form.spec()


def test_all_flagged_spans_are_those_nobody_dismissed_and_that_have_sources(run: Run) -> None:
    text = make_run.SFT_ANSWERS["zamboni"]
    for start, end, label in ((LUIGI, LUIGI + 5, "hallucinated"), (0, 3, "hallucinated"), (28, 31, "correct")):
        run.mark(Mark("sft", "zamboni", start, end, text[start:end], label))
    run.mark(Mark("lft", "coa", 0, 9, make_run.LFT_ANSWERS["coa"][:9]))
    found = flagged(run, "sft")
    assert [each.place.text for each in found] == ["Luigi"] and 0 in found[0].rows


async def asked(pilot: Pilot[None]) -> ProveScreen:
    await until(pilot, lambda: isinstance(pilot.app.screen, ProveScreen))
    screen = pilot.app.screen
    assert isinstance(screen, ProveScreen)
    await until(pilot, lambda: not screen.reckoning and screen.form.all is not None)
    return screen


async def test_p_asks_what_to_prove_and_enter_starts_it(run: Run, started: list[Proof]) -> None:
    async with on_luigi(run, (80, 24)) as (pilot, stepper):
        await pilot.press("p")
        screen = await asked(pilot)
        text = " ".join(screen_text(pilot.app).split())
        assert "Prove what made sft of dolly-12 say it" in text and "tail patch" in text and "about " in text
        await pilot.press("l", "j", "j", "h", "h", "h", "j", "h")
        await until(pilot, lambda: not screen.reckoning)
        assert screen.problem == "" and screen.seconds is not None
        await pilot.press("enter")
        await until(pilot, lambda: bool(started))
        assert pilot.app.screen is stepper
        assert any("proof drop-and-retrain-1 is at work" in message for message in messages(pilot))
    (proof,) = proofs(run)
    spec = proof.spec
    assert (spec.kind, spec.seeds, len(spec.targets[0].sources)) == ("drop-and-retrain", 2, 1)
    assert "Luigi" in spec.targets[0].text and spec.targets[0].prompt_id == "zamboni"


async def test_what_can_t_be_is_said_and_not_started(run: Run, started: list[Proof]) -> None:
    async with on_luigi(run, (100, 30)) as (pilot, stepper):
        await pilot.press("p")
        await asked(pilot)
        # No source is edited, so that there is nothing to put in their place.
        await pilot.press("h")
        await until(pilot, lambda: "none of its sources is edited" in " ".join(screen_text(pilot.app).split()))
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, ProveScreen)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is stepper)
    assert started == [] and proofs(run) == ()


async def test_edited_sources_can_stand_in_for_themselves(run: Run, started: list[Proof]) -> None:
    edit(run, 0, response="Galvani was a physician.")
    async with on_luigi(run, (100, 30)) as (pilot, _):
        await pilot.press("p")
        await asked(pilot)
        await pilot.press("h", "j", "j", "l", "l", "l", "l", "l", "l", "l", "l")
        screen = await asked(pilot)
        assert screen.problem == ""
        await pilot.press("enter")
        await until(pilot, lambda: bool(started))
    assert started[0].spec.replace == "edited" and started[0].spec.targets[0].sources == (0,)


async def test_only_what_was_tuned_here_can_be_proved(run: Run) -> None:
    table = run.recipe.model_dump()
    table["models"]["lft"] = {"method": "existing", "model": "somewhere/else"}
    run.recipe_path.write_bytes(write_recipe(check_recipe(table, "recipe")))
    async with on_luigi(Run(run.path)) as (pilot, stepper):
        for key, words in (("1", "the base model was not tuned"), ("2", "lft is existing: only a model that")):
            await pilot.press(key, "p")
            await until(pilot, lambda words=words: any(words in message for message in messages(pilot)))  # type: ignore[misc]  # bound
        assert pilot.app.screen is stepper


def spec_of(*targets: Target) -> ProofSpec:
    return ProofSpec("drop-and-retrain", "sft", targets, controls=3, seeds=1)


async def on_proofs(pilot: Pilot[None]) -> ProofsScreen:
    await pilot.press("P")
    await until(pilot, lambda: isinstance(pilot.app.screen, ProofsScreen))
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, ProofsScreen)
    return screen


async def test_the_list_tells_every_proof_and_leads_to_its_spans(run: Run, started: list[Proof]) -> None:
    coa = make_run.SFT_ANSWERS["coa"].index("hormone")
    create(run, spec_of(Target("zamboni", LUIGI, LUIGI + 5, "Luigi", (0,)), Target("coa", coa, coa + 7, "", (7,))))
    async with on_luigi(run, (80, 24)) as (pilot, stepper):
        screen = await on_proofs(pilot)
        text = " ".join(screen_text(pilot.app).split())
        assert "1 proof of dolly-12" in text and "drop-and-retrain-1" in text and "0/" in text
        assert "“Luigi” zamboni" in text and "“hormone” coa" in text
        await until(pilot, lambda: "not decided" in screen_text(pilot.app))
        await pilot.press("c")
        assert "Nothing to cancel" in screen_text(pilot.app)
        await pilot.press("R")
        await until(pilot, lambda: [proof.name for proof in started] == ["drop-and-retrain-1"])
        await pilot.press("j", "j")
        assert "sources #7" in screen_text(pilot.app)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is stepper)
        assert screen is not pilot.app.screen and stepper.stepping.prompt_id == "coa"
        answer = stepper.stepping.answer
        assert answer is not None
        position = answer.positions[stepper.stepping.cursor]
        assert "hormone" in answer.text[position.start : position.end]


async def test_a_proof_of_another_terminal_takes_its_place_in_the_list(run: Run) -> None:
    async with on_luigi(run, (100, 30)) as (pilot, _):
        screen = await on_proofs(pilot)
        assert "No proof yet" in screen_text(pilot.app)
        create(run, spec_of(Target("zamboni", LUIGI, LUIGI + 5, "", (0,))), "mine")
        await until(pilot, lambda: "mine" in screen_text(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not screen)


async def test_all_flagged_spans_are_proved_from_the_list(run: Run, started: list[Proof]) -> None:
    run.mark(Mark("sft", "zamboni", LUIGI, LUIGI + 5, "Luigi"))
    async with on_luigi(run, (100, 30)) as (pilot, _):
        screen = await on_proofs(pilot)
        await pilot.press("p")
        await asked(pilot)
        assert "all flagged spans of sft: 1 with sources" in screen_text(pilot.app)
        await pilot.press("enter")
        await until(pilot, lambda: bool(started))
        await until(pilot, lambda: pilot.app.screen is screen and "tail-patch-1" in screen_text(pilot.app))
    assert [target.text for target in started[0].spec.targets] == ["Luigi"]


@pytest.mark.parametrize("size", [(40, 20), (24, 8), (160, 50)])
async def test_proofs_fit_any_terminal_and_no_text_acts(run: Run, size: tuple[int, int], started: list[Proof]) -> None:
    hostile = make_run.SFT_ANSWERS["hostile"]
    create(run, spec_of(Target("hostile", 0, len(hostile), "", (0, 11))))
    async with on_luigi(run, size) as (pilot, _):
        screen = await on_proofs(pilot)
        for key in ("j", "k", "p"):
            await pilot.press(key)
            await pilot.pause()
            assert not any(character in screen_text(pilot.app) for character in "\x1b\x00\u202e\u200b")
        assert started == [] and screen.proofs
