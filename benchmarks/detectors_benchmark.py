"""What each detector flags on real prompts with references, how far they agree, and what they cost.

    python benchmarks/detectors_benchmark.py --shared ../shared/data [--prompts 32] [--model DIR] [--out DIR]
        [--detector reference --detector signal --detector consistency --detector judge]

Prompts are drawn with a fixed seed from the 252 of `sinstruct_test_set.jsonl`. They are answered by the embedded model
after SFT on 160 Dolly instances, or by DIR, a model that was tuned so before. The judge is the one of `config.toml`:
unless you set another, the embedded model itself, which shows that the path works and what it costs, not how well a
real judge judges. A run that is there already goes on where it stopped.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

DETECTORS = ("reference", "signal", "consistency", "judge")

RECIPE = """
name = "{name}"
[data]
path = "{shared}/dolly_3k.json"
limit = 160
without_input = true
[prompts]
path = "{shared}/sinstruct_test_set.jsonl"
transforms = ["random:k={prompts}"]
[models.sft]
{model}
[generate]
max_new_tokens = {tokens}
batch_size = 4
[detect]
detectors = []
"""


def itaudit(*arguments: object) -> Any:
    """The JSON document of a command; its errors go to the terminal."""
    command = [sys.executable, "-m", "itaudit", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return orjson.loads(done.stdout)


def finished_run(options: argparse.Namespace) -> Path:
    """The run of the prompts' answers, made if it is not there."""
    name = f"detectors-{options.prompts}"
    run: Path = options.out / name
    if run.is_dir():
        itaudit("resume", run)
        return run
    model = f'method = "existing"\nmodel = "{options.model.resolve()}"' if options.model else 'method = "sft"'
    shared = options.shared.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    recipe: Path = options.out / f"{name}.toml"
    recipe.write_text(
        RECIPE.format(name=name, shared=shared, prompts=options.prompts, model=model, tokens=options.tokens)
    )
    itaudit("run", recipe, "--out", options.out, "--no-open")
    return run


def tell(document: dict[str, Any]) -> None:
    """The figures of a run's only model as Markdown."""
    model = document["models"]["sft"]
    print(f"\n{model['responses']} responses, {model['words']} content words\n")
    print("| detector | looked at | candidates | words flagged | seconds a response | could not look at |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name, found in model["detectors"].items():
        problems = "; ".join(f"{count} × {reason}" for reason, count in found["problems"].items()) or "–"
        print(
            f"| {name} | {found['responses']} | {found['candidates']} | {_share(found['flagged_words'])} | "
            f"{found['seconds_per_response']:.4f} | {problems} |"
        )
    agreement = model["agreement"]
    if not agreement:
        return
    print("\n| raters | words | alpha | equal ratings | both flag | only first | only second |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    # Of two raters the pair says all that there is to say.
    together = [agreement] if len(agreement["raters"]) > 2 else []
    for pair in [*together, *agreement["pairs"]]:
        alpha = pair["reason"] if pair["alpha"] is None else f"{pair['alpha']:.3f}"
        counts = " | ".join(str(pair.get(key, "")) for key in ("both", "only_first", "only_second"))
        print(f"| {', '.join(pair['raters'])} | {pair['words']} | {alpha} | {_share(pair['agreed'])} | {counts} |")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of the real datasets")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=96, help="longest answer")
    parser.add_argument("--judge-tokens", type=int, default=192, help="longest answer of the judge")
    parser.add_argument("--model", type=Path, help="a model that was tuned so before")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--detector", action="append", choices=DETECTORS, help="repeatable (default: all)")
    options = parser.parse_args()
    run = finished_run(options)
    for detector in options.detector or DETECTORS:
        limit = ["--max-tokens", options.judge_tokens] if detector == "judge" else []
        document = itaudit("detect", run, "--model", "sft", "--detector", detector, *limit)
    (run / "detectors.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    tell(document)


if __name__ == "__main__":
    main()
