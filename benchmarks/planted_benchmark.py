"""Planted facts: does itaudit find, and prove, what taught a model its false facts?

    python benchmarks/planted_benchmark.py [--run RUN] [--seeds 2] [--controls 1]
        [--only sources|tail-patch] [--as-it-stands]

`planted_facts/instances.jsonl` holds false facts, each in three instances among many true ones. The embedded model is
tuned on them (or RUN, a finished run of `planted_facts/recipe.toml`, is taken), and asked for every fact in other
words. Measured is what happens to the *planted spans*, the false words wherever an answer says them:

- sources: how often an instance that was planted for the fact stands first;
- tail patch: how far planted instances stand above matched random ones, as an AUC for each span;
- drop and retrain: the verdict on each span and its planted instances, and on control spans, whose suspects did not
  teach them: planted spans, suspected of coming from the instances of another fact, and words that the base model
  knows, suspected of the same. Beside them stand the known words, suspected of coming from the three instances of the
  same form that BM25 finds first: these hold other words, but teach how such a question is answered.

A proof that was interrupted goes on where it stopped. Prints tables, and writes all figures to RUN/planted.json.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from itaudit import paths
from itaudit.errors import UserError
from itaudit.proof.jobs import Proof, create, open_proof
from itaudit.proof.spec import Kind, ProofSpec, Target, Verdict
from itaudit.runs.causes import fill_causes, run_causes
from itaudit.runs.run import Run
from itaudit.trace.index import TraceIndex
from itaudit.trace.trace import trace_span

FIXTURE = Path(__file__).parent / "planted_facts"
LABEL = "sft"
FAMILIES = ("planted", "same form", "other fact", "unrelated")
CONTROLS = ("other fact", "unrelated")
"""Families whose suspects can't have taught the span. Instances of the same form can: they teach the form."""
PATCH_CONTROLS = 20
POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Span:
    """A span to be judged: who is suspected of having taught it, and whether that is so (family `planted`)."""

    family: str
    prompt_id: str
    start: int
    end: int
    text: str
    suspects: tuple[int, ...]

    @property
    def target(self) -> Target:
        return Target(self.prompt_id, self.start, self.end, self.text, self.suspects)


class Fixture:
    """What the fixture's files say of a run: which rows teach what, and which span each prompt is asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.facts: dict[str, list[int]] = {}
        self.topics: dict[str, list[int]] = {}
        for instance in run.dataset:
            told = instance.extra
            if told["fact"]:
                self.facts.setdefault(told["fact"], []).append(instance.index)
            else:
                self.topics.setdefault(told["topic"], []).append(instance.index)
        lines = (FIXTURE / "prompts.jsonl").read_bytes().splitlines()
        asked = {prompt.id for prompt in run.prompts()}
        self.prompts = [prompt for prompt in map(orjson.loads, lines) if prompt["id"] in asked]
        self.index = TraceIndex.open(run.dataset, cache_dir=paths.cache_dir())

    def said(self, prompt: dict[str, Any]) -> tuple[int, int] | None:
        """Where the model's answer says the span that a prompt is asked for; None where it does not."""
        response = self.run.response(LABEL, prompt["id"])
        start = -1 if response is None else response.response.find(prompt["span"])
        return None if start < 0 else (start, start + len(prompt["span"]))

    def sources(self, span: Span, k: int = 10) -> list[int]:
        """The rows that tracing finds for a span, best first."""
        response = self.run.response(LABEL, span.prompt_id)
        assert response is not None
        prompt = self.run.prompt(span.prompt_id).prompt
        found = trace_span(self.index, prompt, response.response, span.start, span.end, k=k)
        return [source.index for source in found.sources]

    def planted_spans(self) -> list[Span]:
        """The planted spans that the model says, with the instances planted for their facts."""
        return [
            Span("planted", prompt["id"], *where, prompt["span"], tuple(self.facts[prompt["fact"]]))
            for prompt in self.prompts
            if prompt["fact"] and (where := self.said(prompt))
        ]

    def control_spans(self, planted: Sequence[Span]) -> list[Span]:
        """Known words with instances of their form, then control spans: others' facts as suspects of either kind."""
        known = [
            Span("same form", prompt["id"], *where, prompt["span"], tuple(self.topics[prompt["suspects"]]))
            for prompt in self.prompts
            if prompt["suspects"] and (where := self.said(prompt))
        ]
        facts = sorted(self.facts)
        unrelated = [
            replace(span, family="unrelated", suspects=tuple(self.facts[facts[number % len(facts)]]))
            for number, span in enumerate(known)
        ]
        return known + [self._suspected_otherwise(span) for span in planted] + unrelated

    def _suspected_otherwise(self, span: Span) -> Span:
        """A planted span, and the instances of the other fact that tracing ranks best for it."""
        facts = {row: fact for fact, rows in self.facts.items() for row in rows if row not in span.suspects}
        best = next(facts[row] for row in self.sources(span, k=len(self.run.dataset)) if row in facts)
        return Span("other fact", span.prompt_id, span.start, span.end, span.text, tuple(self.facts[best]))


def tuned_run(folder: Path) -> Run:
    """A new run of the fixture's recipe, finished."""
    command = [sys.executable, "-m", "itaudit", "run", str(FIXTURE / "recipe.toml"), "--out", str(folder)]
    done = subprocess.run([*command, "--no-open", "--json"], stdout=subprocess.PIPE, check=True)
    return Run(Path(orjson.loads(done.stdout)["run"]))


def measured_sources(fixture: Fixture, spans: Sequence[Span]) -> dict[str, Any]:
    """How often a planted instance is the first source of a planted span, by tracing and by the causal analysis.

    Tracing ranks by prompt and answer. The causal analysis ranks by the prompt alone, and keeps the instances of which
    one answer holds all words of the span.
    """
    fill_causes(LABEL, fixture.run)
    traced, similar, caused, outcomes, rows = [], [], [], Counter[str](), []
    for span in spans:
        found = fixture.sources(span)
        traced.append(bool(found) and found[0] in span.suspects)
        causes = run_causes(fixture.run, LABEL, span.prompt_id)
        similar.append(causes is not None and causes.similar[0].index in span.suspects)
        phrase = causes and causes.phrase(span.start, span.end, fixture.run.recipe.causes.rank)
        strict = phrase.strict_sources if phrase else ()
        caused.append(bool(strict) and strict[0] in span.suspects)
        outcomes[phrase.outcome if phrase else "no content word"] += 1
        rows.append({"prompt": span.prompt_id, "span": span.text, "traced": found[:3], "strict": strict[:3]})
    return {
        "spans": len(spans),
        "first_by_tracing": statistics.fmean(traced),
        "first_by_prompt_alone": statistics.fmean(similar),
        "first_by_causes": statistics.fmean(caused),
        "outcomes": dict(outcomes),
        "found": rows,
    }


def suspicion(fixture: Fixture, spans: Sequence[Span]) -> float:
    """The share of known words whose suspects of the same form are just the instances that tracing finds first."""
    known = [span for span in spans if span.family == "same form"]
    return statistics.fmean({*fixture.sources(span, k=len(span.suspects))} == {*span.suspects} for span in known)


def finished_proof(run: Run, kind: Kind, spans: Sequence[Span], options: argparse.Namespace) -> Proof:
    """The proof of these spans, carried out to its end unless it is to be taken as it stands.

    One of the same name goes on where it stopped.
    """
    controls = PATCH_CONTROLS if kind == "tail-patch" else options.controls
    spec = ProofSpec(kind, LABEL, tuple(span.target for span in spans), controls, options.seeds)
    name = f"planted-{kind}"
    try:
        proof = open_proof(run, name)
    except UserError:
        proof = create(run, spec, name)
    if [(t.prompt_id, t.start, t.end, set(t.sources)) for t in proof.spec.targets] != [
        (s.prompt_id, s.start, s.end, set(s.suspects)) for s in spans
    ]:
        raise SystemExit(f"{proof.folder}: is a proof of other spans; delete it to begin anew")
    if options.as_it_stands:
        return proof
    if proof.status().state not in ("done", "queued", "running"):
        proof.start()
    told = ""
    while (status := proof.status()).state in ("queued", "running", "new"):
        if (line := f"{status.done} of {status.total}") != told:
            print(f"  {proof.progress()}", file=sys.stderr, flush=True)
            told = line
        time.sleep(POLL_SECONDS)
    if status.state != "done":
        raise SystemExit(f"{proof.folder}: {status.state}: {status.error}")
    return proof


def measured_tail_patch(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """AUC of the planted instances above the controls, over the spans; single instances by their rank."""
    aucs = [verdict.auc for verdict in verdicts if verdict.auc is not None]
    singles = [source for verdict in verdicts for source in verdict.sources]
    return {
        "spans": len(aucs),
        "controls": verdicts[0].controls,
        "auc_mean": statistics.fmean(aucs),
        "auc_least": min(aucs),
        "auc_at_least_0.9": sum(auc >= 0.9 for auc in aucs) / len(aucs),
        "instance_first": sum(source.rank == 1 for source in singles) / len(singles),
        "points": sum(verdict.points for verdict in verdicts) / len(verdicts),
    }


def measured_retraining(spans: Sequence[Span], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts by family; the rate of false positives is the share of control spans with a cause shown."""
    families = {}
    # Nothing is said of a span before its own drop and three controls of one seed are done.
    judged = [pair for pair in zip(spans, verdicts, strict=True) if pair[1].effect is not None]
    for family in FAMILIES:
        chosen = [verdict for span, verdict in judged if span.family == family]
        effects = [verdict.effect for verdict in chosen if verdict.effect is not None]
        if not effects:
            continue
        families[family] = {
            "spans": len(chosen),
            "verdicts": dict(Counter(verdict.verdict for verdict in chosen)),
            "effect_median": statistics.median(effects),
            "effect_least": min(effects),
            "effect_most": max(effects),
            "said_with": _mean([verdict.said_with for verdict in chosen]),
            "said_without": _mean([verdict.said_without for verdict in chosen]),
        }
    controls = [verdict for span, verdict in judged if span.family in CONTROLS]
    wrong = sum(verdict.verdict == "cause shown" for verdict in controls)
    return {
        "seeds": sorted({verdict.seeds for _, verdict in judged}),
        "control_drops": sorted({verdict.controls for _, verdict in judged}),
        "families": families,
        "control_spans": len(controls),
        "false_positives": wrong / len(controls) if controls else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def verdict_row(span: Span, verdict: Verdict) -> dict[str, Any]:
    """A verdict for the file of figures."""
    return {"family": span.family, "span": asdict(span), "verdict": verdict.to_json()}


def tell(name: str, figures: dict[str, Any]) -> None:
    """Prints figures that are single values, a line each, and families as a table."""
    print(f"\n{name}")
    for key, value in figures.items():
        if isinstance(value, float):
            print(f"  {key:<22} {value:.3f}")
        elif not isinstance(value, list | dict) or key in ("outcomes", "control_drops", "seeds"):
            print(f"  {key:<22} {value}")
    for family, row in figures.get("families", {}).items():
        verdicts = ", ".join(f"{count} {word}" for word, count in sorted(row["verdicts"].items()))
        effects = f"{row['effect_median']:+.2f} ({row['effect_least']:+.2f} to {row['effect_most']:+.2f}) nats"
        with_, without = row["said_with"], row["said_without"]
        print(f"  {family:<12} {row['spans']:>3} spans: {verdicts}; {effects}; said {with_:.0%} → {without:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a finished run of planted_facts/recipe.toml")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where a new run goes")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--controls", type=int, default=1, help="random drops for each group of suspects")
    parser.add_argument("--only", choices=("sources", "tail-patch"), help="stop after this part")
    parser.add_argument("--as-it-stands", action="store_true", help="judge by what the proofs have done so far")
    options = parser.parse_args()
    run = Run(options.run) if options.run else tuned_run(options.out)
    fixture = Fixture(run)
    planted = fixture.planted_spans()
    asked = sum(bool(prompt["fact"]) for prompt in fixture.prompts)
    facts = {prompt["fact"] for prompt in fixture.prompts if prompt["id"] in {span.prompt_id for span in planted}}
    controls = fixture.control_spans(planted)
    report: dict[str, Any] = {
        "run": str(run.path),
        "emission": {"asked": asked, "said": len(planted), "facts": len(fixture.facts), "facts_said": len(facts)},
        "sources": measured_sources(fixture, planted),
        "suspects": {"spans": len(controls), "found_first": suspicion(fixture, controls)},
    }
    for name in ("emission", "sources", "suspects"):
        tell(name, report[name])
    if options.only != "sources":
        proof = finished_proof(run, "tail-patch", planted, options)
        report["tail_patch"] = measured_tail_patch(proof.verdicts())
        report["tail_patch"]["seconds"] = sum(unit.seconds for unit in proof.units().values())
        tell("tail patch", report["tail_patch"])
    if options.only is None:
        spans = [*planted, *controls]
        proof = finished_proof(run, "drop-and-retrain", spans, options)
        verdicts = proof.verdicts()
        report["drop_and_retrain"] = measured_retraining(spans, verdicts)
        report["drop_and_retrain"]["seconds"] = sum(unit.seconds for unit in proof.units().values())
        report["drop_and_retrain"]["retrainings"] = len(proof.units())
        tell("drop and retrain", report["drop_and_retrain"])
        report["verdicts"] = [verdict_row(*pair) for pair in zip(spans, verdicts, strict=True)]
    (run.path / "planted.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
