"""`itaudit prove`: is an instance really the cause of a span? Tail patches, and retraining without the sources."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_follow import follow_job
from itaudit.cli_json import JSON_OPTION, print_json
from itaudit.cli_runs import find_run
from itaudit.errors import UserError
from itaudit.sanitize import visible_line

if TYPE_CHECKING:
    from itaudit.proof.jobs import Proof
    from itaudit.proof.spec import Kind, ProofSpec, Target
    from itaudit.runs.run import Run


@click.command("prove")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--model", help="Label of the tuned model (default: the only one).")
@click.option("--prompt", help="Id of the prompt whose response holds the span.")
@click.option("--span", "spans", multiple=True, metavar="S:E", help="Characters of the response; repeatable.")
@click.option("--flags", help="Instead of a span: all of `marks`, `any`, `shifted`, or what a detector flags.")
@click.option("--limit", type=click.IntRange(1), help="With --flags: at most so many spans, the first ones.")
@click.option("--source", "sources", multiple=True, type=click.IntRange(0), metavar="ROW", help="Suspect; repeatable.")
@click.option("-k", "k", type=click.IntRange(1, 1000), help="Suspects of a span, if none are named (default: 5).")
@click.option(
    "--method", type=click.Choice(["tail-patch", "drop-and-retrain"]), help="Default: tail-patch, which takes less."
)
@click.option("--edited", is_flag=True, help="Retrain with the sources as their workshop has them, not without them.")
@click.option("--controls", type=click.IntRange(1, 1000), help="Random controls (default: 20 instances, or 5 drops).")
@click.option("--seeds", type=click.IntRange(1, 100), help="Seeds to retrain under (default: 3).")
@click.option("--name", help="Name of the proof (default: the next free one).")
@click.option("--estimate", is_flag=True, help="Tell what it would take, and do nothing.")
@click.option("--detach", is_flag=True, help="Start the worker and return at once.")
@click.option("--list", "listing", is_flag=True, help="The proofs there are, and their verdicts.")
@click.option("--show", metavar="NAME", help="One proof and its verdicts.")
@click.option("--resume", metavar="NAME", help="Go on with a proof that stopped.")
@click.option("--cancel", metavar="NAME", help="Ask a proof's worker to stop; what is done stays.")
@JSON_OPTION
def prove_command(run: Path, as_json: bool, **options: Any) -> None:
    """Tests whether instances are the cause of a span in a tuned model's response.

    A tail patch takes one optimiser step on each suspect, from the model before tuning, beside random instances. Drop
    and retrain tunes again without the suspects, beside random drops, under several seeds. See docs/proof.md for what
    each of them shows.
    """
    from itaudit.proof.jobs import create, document, open_proof, proofs

    found = find_run(run)
    acts = [name for name in ("listing", "show", "resume", "cancel") if options[name]]
    asks = [name for name in ("prompt", "spans", "flags", "sources", "method", "name") if options[name]]
    if len(acts) > 1 or (acts and asks):
        raise UserError("--list, --show, --resume and --cancel stand alone", code=2)
    if options["listing"]:
        unread: list[str] = []
        made = proofs(found, unread.append)
        for problem in unread:
            click.echo(visible_line(problem), err=True)
        if as_json:
            print_json([document(proof) for proof in made])
        elif not made and not unread:
            click.echo("no proofs yet")
        for proof in () if as_json else made:
            _tell(proof)
        return
    if options["cancel"]:
        proof = open_proof(found, options["cancel"])
        pid = proof.cancel()
        click.echo(f"asked the worker (pid {pid}) to stop; --resume {proof.name} goes on from there", err=True)
        if as_json:
            _print(proof, as_json=True)
        return
    if options["show"]:
        _print(open_proof(found, options["show"]), as_json=as_json)
        return
    if options["resume"]:
        _work(open_proof(found, options["resume"]), detach=options["detach"], as_json=as_json)
        return
    spec = _spec(found, options)
    if options["estimate"]:
        _tell_estimate(found, spec, as_json=as_json)
        return
    _work(create(found, spec, options["name"] or ""), detach=options["detach"], as_json=as_json)


def _spec(run: "Run", options: dict[str, Any]) -> "ProofSpec":
    """What the command line asks to be proved."""
    from itaudit.proof.jobs import check_tuned
    from itaudit.proof.spec import SEEDS, ProofSpec

    if options["edited"] and options["method"] == "tail-patch":
        raise UserError("--edited is for --method drop-and-retrain", code=2)
    kind: Kind = options["method"] or ("drop-and-retrain" if options["edited"] else "tail-patch")
    if kind == "tail-patch" and options["seeds"]:
        raise UserError("--seeds is for --method drop-and-retrain; a tail patch has the run's own", code=2)
    model = options["model"] or _only_model(run)
    check_tuned(run, model)
    return ProofSpec(
        kind=kind,
        model=model,
        targets=_targets(run, model, options),
        controls=options["controls"] or 0,
        seeds=options["seeds"] or SEEDS,
        replace="edited" if options["edited"] else "drop",
    )


def _only_model(run: "Run") -> str:
    tuned = list(run.recipe.tuned_here())
    if len(tuned) == 1:
        return tuned[0]
    if not tuned:
        raise UserError(f"{run.path}: tuned no model itself, and only such can be tuned again", code=2)
    raise UserError(f"give --model, one of {', '.join(tuned)}", code=2)


def _targets(run: "Run", model: str, options: dict[str, Any]) -> "tuple[Target, ...]":
    """The spans that are asked for, with their suspects; flagged spans without any are told and left out."""
    from itaudit.proof.suspects import SUSPECTS, Suspects

    if options["sources"] and options["k"]:
        raise UserError("--source names the suspects, -k says how many to take; give one of them", code=2)
    k, sources = options["k"] or SUSPECTS, options["sources"]
    suspects = Suspects(run, model)
    if not options["flags"]:
        if not options["prompt"] or not options["spans"]:
            raise UserError("say what to prove: --prompt ID --span S:E, or --flags marks", code=2)
        if options["limit"]:
            raise UserError("--limit is for --flags", code=2)
        places = [(options["prompt"], *_offsets(span)) for span in options["spans"]]
        return tuple(suspects.target(*place, k=k, sources=sources) for place in places)
    if options["prompt"] or options["spans"] or sources:
        raise UserError("--flags takes all flagged spans; --prompt, --span and --source are for a single one", code=2)
    targets = []
    for prompt_id, start, end in _flagged(run, model, options["flags"])[: options["limit"]]:
        target = suspects.target(prompt_id, start, end, k=k)
        if target.sources:
            targets.append(target)
        else:
            click.echo(visible_line(f"prompt {prompt_id}, {start}:{end}: no source is traced; left out"), err=True)
    if not targets:
        raise UserError(f"{run.path}: no span of {model} with sources is flagged by {options['flags']}", code=2)
    return tuple(targets)


def _offsets(span: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,18}):(\d{1,18})", span, re.ASCII)
    if match is None or int(match[1]) >= int(match[2]):
        raise UserError(f"--span {span!r}: expected S:E, two character offsets of the response, such as 4:12", code=2)
    return int(match[1]), int(match[2])


def _flagged(run: "Run", model: str, flags: str) -> list[tuple[str, int, int]]:
    from itaudit.detect.spans import flagged_spans
    from itaudit.proof.suspects import shifted_spans
    from itaudit.runs.detections import DETECTORS

    known = ("marks", "any", "shifted", *DETECTORS)
    if flags not in known:
        raise UserError(f"--flags {flags}: expected one of {', '.join(known)}", code=2)
    found = []
    for prompt in run.prompts():
        if flags == "shifted":
            spans: Sequence[tuple[int, int]] = shifted_spans(run, model, prompt.id)
        else:
            spans = flagged_spans(run, model, prompt.id, flags)  # type: ignore[arg-type]  # one of them, as was checked
        found += [(prompt.id, start, end) for start, end in spans]
    return found


def _tell_estimate(run: "Run", spec: "ProofSpec", *, as_json: bool) -> None:
    from itaudit.proof.jobs import estimate, plan_of
    from itaudit.units import duration_text

    plan, seconds = plan_of(run, spec), estimate(run, spec)
    told = {"targets": len(spec.targets), "units": len(plan.units()), "seconds": seconds}
    if as_json:
        print_json(told)
        return
    what = "retrainings" if plan.arms else "steps"
    time_text = "nobody knows how long" if seconds is None else f"about {duration_text(seconds)}"
    click.echo(f"{told['targets']} spans, {told['units']} {what}, {time_text}")


def _work(proof: "Proof", *, detach: bool, as_json: bool) -> None:
    """Sees to it that a proof is done, and prints it; raises UserError where it fails or is interrupted."""
    status = proof.status()
    if status.state != "done" and not status.at_work:
        proof.start()
    again = f"`itaudit prove {proof.run_path} --resume {proof.name}` goes on"
    if detach:
        click.echo(
            visible_line(f"proof {proof.name} is at work; `itaudit prove {proof.run_path} --list` tells"), err=True
        )
        if as_json:
            _print(proof, as_json=True)
        return
    try:
        status = follow_job(proof.status, lambda status: visible_line(proof.progress(status)))
    except KeyboardInterrupt:
        raise UserError(f"proof {proof.name} goes on in the background; --cancel {proof.name} stops it") from None
    if status.state == "cancelled":
        raise UserError(f"cancelled with {status.done} of {status.total} done; {again}")
    if status.state == "failed":
        raise UserError(f"{status.error}; see {proof.log_path}; {again}")
    _print(proof, as_json=as_json)


def _print(proof: "Proof", *, as_json: bool) -> None:
    from itaudit.proof.jobs import document

    if as_json:
        print_json(document(proof))
    else:
        _tell(proof)


def _tell(proof: "Proof") -> None:
    click.echo(visible_line(f"{proof.name} · {proof.spec.kind} of {proof.spec.model} · {proof.progress()}"))
    for verdict in proof.verdicts():
        target = verdict.target
        click.echo(visible_line(f"  {target.prompt_id} {target.start}:{target.end}  {verdict.text}"))
