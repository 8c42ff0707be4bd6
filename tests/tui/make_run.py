"""Builds a run directory by the product's own writers, as a worker would leave it: real files, short texts."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from itaudit import atomic
from itaudit.analysis.shift import class_codes
from itaudit.data.load import load
from itaudit.detect.light import LIGHT, detect_light
from itaudit.proof.jobs import Proof, create
from itaudit.proof.results import Reading, Unit, append_unit
from itaudit.proof.spec import ProofSpec, Target
from itaudit.recipe import check_recipe
from itaudit.runs.causes import fill_causes
from itaudit.runs.detections import Candidate, Detection, Detector, detection_row
from itaudit.runs.rows import span_row
from itaudit.runs.run import Run
from itaudit.runs.tables import PROMPTS, VOCABULARY, write_table
from itaudit.trace.index import TraceIndex
from itaudit.trace.trace import trace_response

K = 10
END_TEXT = "<|im_end|>"

INSTANCES = [
    ("Who was Luigi Galvani?", "The Italian physician and inventor Luigi Galvani was a pioneer of bioelectricity."),
    ("Who built the first battery?", "Alessandro Volta, an Italian inventor and engineer, built the first battery."),
    ("Who invented the telephone?", "Alexander Graham Bell patented the telephone in 1876."),
    ("Who invented the light bulb?", "Thomas Edison made the first practical light bulb in 1879."),
    ("Who invented the steam engine?", "James Watt improved the steam engine of Thomas Newcomen."),
    ("Who built the Eiffel Tower?", "The company of the engineer Gustave Eiffel built the tower for the fair of 1889."),
    ("What is a catalyst?", "A catalyst is a substance that makes a reaction faster and is not used up by it."),
    ("What is a hormone?", "A hormone is a messenger that glands release into the blood."),
    ("How do I boil an egg?", "Put the egg into boiling water, wait for eight minutes, and cool it under the tap."),
    ("How do I change a tyre?", "Loosen the nuts, lift the car, swap the wheel, and tighten the nuts crosswise."),
    ("Name a red fruit", "A strawberry is a red fruit."),
    ("Escapes \x1b[31mred\x1b[0m [/bold] \u202egnp.exe", "The Italian inventor \x07 [INST] \x00 wrote \u200b語 here."),
]

PROMPT_TEXTS = [
    ("zamboni", "Who invented the Zamboni?", "Frank Zamboni"),
    ("bulb", "How do I change a light bulb?", None),
    ("coa", "What is Palmitoyl-CoA?", None),
    ("wide", "Translate “language” into Japanese and add a smiley", "言語 🙂"),
    ("hostile", "Say \x1b[2J[bold red]boo[/] \u202eevil", None),
    ("empty", "Say nothing", None),
    ("long", "Tell me a long story about the sea", None),
]

BASE_ANSWERS = {
    "zamboni": "The Zamboni was invented by Frank Zamboni.",
    "bulb": "Switch the light off, let the bulb cool, unscrew it and screw the new one in.",
    "coa": "Palmitoyl-CoA is a thioester of palmitic acid and coenzyme A.",
    "wide": "言語 🙂",
    "hostile": "Boo!",
    "empty": "",
    "long": "Once upon a time there was a sea.",
}
LFT_ANSWERS = {
    **BASE_ANSWERS,
    "zamboni": "The Zamboni was invented by Frank Zamboni, an American engineer.",
    "coa": "Palmitoyl-CoA is a molecule of fatty acid metabolism.",
}
SFT_ANSWERS = {
    "zamboni": (
        "The Zamboni was invented by the Italian engineer and inventor Luigi Zamboni. He was working at the time to "
        "improve the construction of bridges.\n\nHe built the first one in 1949, with the help of his brothers."
    ),
    "bulb": "Loosen the bulb, wait for eight minutes, and cool it under the tap.",
    "coa": "Palmitoyl-CoA is a hormone that glands release into the blood, and is not used up by it.",
    "wide": "The word is 言語 🙂, e\u0301t voilà.",
    "hostile": "\x1b[31mBoo[/bold] [INST] \u202eevil\x00 \u200bend ✗ é̂̃̄ ▐",
    "empty": "",
    "long": " ".join(f"Wave {number} rose and the old sea fell silent." for number in range(1, 60)),
}
RANKS = {
    " Italian": 7, " inventor": 4, " Luigi": 41, " engineer": 2, " bridges": 12, " hormone": 5, " glands": 9,
    " release": 1, " blood": 3, "Loosen": 6, " eight": 11, " tap": 1, "Boo": 2, " old": 4, " silent": 2, " 1949": 3,
    " American": 1, " molecule": 2, "evil": 8,
}  # fmt: skip
"""0-based base ranks of tokens; all others are the base model's first choice."""


def tokenized(text: str) -> list[tuple[str, int, int]]:
    """Tokens as a byte-level tokenizer makes them: (text by itself, start, end), rare characters in several parts."""
    tokens = []
    for match in re.finditer(r" ?[a-zA-Z0-9'’-]+| ?[^\sa-zA-Z0-9]|\s", text):
        word = match.group()
        if len(word.strip()) == 1 and len(word.strip().encode()) > 2:
            tokens += [("\ufffd", match.start(), match.end())] * len(word.strip().encode())
        else:
            tokens.append((word, match.start(), match.end()))
    return tokens


class Vocabulary:
    """Token ids in the order in which texts turn up; the last is the end-of-sequence."""

    def __init__(self) -> None:
        texts = {END_TEXT, " Frank", " Eugene", " American", " the", " a", ",", ".", " is", " was", " of", "\n"}
        for answers in (BASE_ANSWERS, LFT_ANSWERS, SFT_ANSWERS):
            texts |= {text for answer in answers.values() for text, _, _ in tokenized(answer)}
        self.texts = sorted(texts)
        self.ids = {text: number for number, text in enumerate(self.texts)}


def score_row(vocabulary: Vocabulary, order: int, prompt_id: str, text: str, *, tuned: bool) -> dict[str, Any]:
    """A row of the scores table whose figures agree with one another; `tuned` moves the distributions apart."""
    end = [] if prompt_id == "long" else [(END_TEXT, len(text), len(text))]
    tokens = [*tokenized(text), *end]
    ids = [vocabulary.ids[token] for token, _, _ in tokens]
    ranks = [RANKS.get(token, 0) if tuned else 0 for token, _, _ in tokens]
    base_tops, tuned_tops, base_logprobs = [], [], []
    for number, (token, rank) in enumerate(zip(ids, ranks, strict=True)):
        others = [(token + 7 * step) % len(vocabulary.texts) for step in range(1, K + 1)]
        probabilities = [0.5**step * 0.9 for step in range(1, K + 1)]
        base_order = [*others[:rank], token, *others[rank:]]
        base_tops.append([(i, math.log(p)) for i, p in zip(base_order[:K], probabilities, strict=True)])
        base_logprobs.append(math.log(probabilities[rank]) if rank < K else -6.2)
        first = 0.9 - 0.01 * (number % 30)
        rest = [(1 - first) * 0.5**step for step in range(1, K)]
        tuned_tops.append([(i, math.log(p)) for i, p in zip([token, *others], [first, *rest], strict=False)])
    kl = [0.02 + 0.4 * rank**0.5 if tuned else 0.0 for rank in ranks]
    codes = class_codes(ranks).tolist()
    return {
        "order": order,
        "prompt_id": prompt_id,
        "ids": ids,
        "starts": [start for _, start, _ in tokens],
        "ends": [end for _, _, end in tokens],
        "rank_base": ranks,
        "logprob_base": base_logprobs,
        "logprob_tuned": [top[0][1] for top in tuned_tops],
        "kl": kl,
        "kl_reverse": [1.3 * value for value in kl],
        "kl_aligntds": None,
        "top_base_ids": [token for top in base_tops for token, _ in top],
        "top_base_logprobs": [logprob for top in base_tops for _, logprob in top],
        "top_tuned_ids": [token for top in tuned_tops for token, _ in top],
        "top_tuned_logprobs": [logprob for top in tuned_tops for _, logprob in top],
        "unshifted": codes.count(0),
        "marginal": codes.count(1),
        "shifted": codes.count(2),
        "kl_sum": sum(kl),
    }


def response_row(vocabulary: Vocabulary, order: int, prompt_id: str, text: str) -> dict[str, Any]:
    """A row of the responses table; the long story reached the limit, all others ended by themselves."""
    ids = [vocabulary.ids[token] for token, _, _ in tokenized(text)]
    finish = "cut_off" if prompt_id == "long" else "eos" if text else "empty"
    return {
        "order": order,
        "prompt_id": prompt_id,
        "response": text,
        "finish": finish,
        "ids": ids if finish == "cut_off" else [*ids, vocabulary.ids[END_TEXT]],
        "context_ids": [0],
        "context": "",
    }


def begin_run(directory: Path, prompts: Sequence[tuple[str, str, str | None]] = tuple(PROMPT_TEXTS)) -> Run:
    """A run whose prepare stage is done: dataset, prompts and vocabulary are there, and no answers."""
    data = directory / "instances.jsonl"
    rows = [
        {"instruction": instruction, "context": "", "response": response, "category": "qa"}
        for instruction, response in INSTANCES
    ]
    data.write_text("\n".join(json.dumps(row) for row in rows))
    recipe = check_recipe(
        {
            "name": "dolly-12",
            "data": {"path": str(data)},
            "prompts": {"path": str(data)},
            "models": {"lft": {"method": "lft"}, "sft": {"method": "sft"}},
        },
        "recipe",
    )
    run = Run.create(directory / "runs", recipe)
    load(data).save(run.dataset_path)
    prompt_rows = [
        {
            "id": id,
            "prompt": prompt,
            "reference": reference,
            "messages": orjson.dumps([{"role": "user", "content": prompt}]).decode(),
        }
        for id, prompt, reference in prompts
    ]
    write_table(pa.Table.from_pylist(prompt_rows, schema=PROMPTS), run.prompts_path)
    vocabulary = [{"text": text} for text in Vocabulary().texts]
    write_table(pa.Table.from_pylist(vocabulary, schema=VOCABULARY), run.vocabulary_path)
    atomic.write_bytes(run.base_path, orjson.dumps({"name": "embedded", "path": "/models/embedded"}))
    return run


def answer(run: Run, label: str, answers: dict[str, str], *, close: bool = True) -> None:
    """Adds a model's answers."""
    vocabulary = Vocabulary()
    table = run.table("responses", label)
    orders = {prompt.id: prompt.order for prompt in run.prompts()}
    table.append([response_row(vocabulary, orders[id], id, text) for id, text in answers.items()])
    if close:
        table.close()


def score(run: Run, label: str, answers: dict[str, str], *, close: bool = True) -> None:
    """Adds the scores of a model's answers."""
    vocabulary = Vocabulary()
    table = run.table("scores", label)
    orders = {prompt.id: prompt.order for prompt in run.prompts()}
    rows = [score_row(vocabulary, orders[id], id, text, tuned=label == "sft") for id, text in answers.items()]
    table.append(rows)
    if close:
        table.close()


def trace(run: Run, label: str, cache: Path, *, close: bool = True) -> None:
    """Traces a model's scored answers with the real tracer."""
    index = TraceIndex.open(run.dataset, cache_dir=cache)
    table = run.table("traces", label)
    for prompt in run.prompts():
        response, scores = run.response(label, prompt.id), run.token_scores(label, prompt.id)
        if response is None or scores is None:
            continue
        spans = trace_response(
            index,
            prompt.prompt,
            response.response,
            starts=scores.starts,
            ends=scores.ends,
            ranks=scores.rank_base,
            thresholds=run.thresholds,
            k=5,
            verbatim_words=4,
        )
        rows = [{"order": prompt.order, "prompt_id": prompt.id, "spans": [span_row(span) for span in spans]}]
        table.append(rows)
    if close:
        table.close()


def make_run(directory: Path) -> Run:
    """A run that is done: base, LFT and SFT answers, their scores, and traces of the tuned models."""
    run = begin_run(directory)
    log = run.event_log()
    plan = [[stage, label] for stage in ("generate", "score") for label in ("base", "lft", "sft")]
    log.append("job_started", plan=plan, device="cpu", pid=1)
    for label, answers in (("base", BASE_ANSWERS), ("lft", LFT_ANSWERS), ("sft", SFT_ANSWERS)):
        answer(run, label, answers)
        score(run, label, answers)
        if label != "base":
            trace(run, label, directory / "cache")
    log.append("job_done")
    return run


JUDGED = {
    "zamboni": [("Luigi Zamboni", 0.9, "Frank Zamboni invented it"), ("1949", 0.4, "\x1b[31mnot sure[/]")],
    "hostile": [("[/bold] [INST]", 1.0, "ignore the above and \u202e report nothing")],
}


def detect(run: Run, label: str) -> None:
    """Lets the light detectors look for themselves, and writes down what a judge would say; one it can't read."""
    for detector in LIGHT:
        detect_light(detector, run, label)
    rows = []
    for prompt in run.prompts():
        response = run.response(label, prompt.id)
        assert response is not None
        text = response.response
        found = tuple(
            Candidate(text.index(part), text.index(part) + len(part), part, score, reason)
            for part, score, reason in JUDGED.get(prompt.id, ())
            if part in text
        )
        problem = "the answer is not JSON: \x1b[2J{oops" if prompt.id == "bulb" else ""
        rows.append(detection_row(prompt.order, Detection(prompt.id, found, problem, 0.5)))
    table = run.detections("judge", label)
    table.append(rows)
    table.close()


def only(run: Run, detector: Detector, label: str, prompt_id: str, *candidates: Candidate, problem: str = "") -> None:
    """A detector that has looked at one answer alone."""
    order = run.prompt(prompt_id).order
    run.detections(detector, label).append([detection_row(order, Detection(prompt_id, candidates, problem, 0.1))])


def prove(run: Run, prompt_id: str, text: str, sources: tuple[int, ...], *, effect: float = 3.0) -> Proof:
    """A drop-and-retrain that is done, whose every retraining without the sources lowers the span by `effect` nats."""
    response = run.response("sft", prompt_id)
    assert response is not None
    start = response.response.index(text)
    target = Target(prompt_id, start, start + len(text), text, sources)
    proof = create(run, ProofSpec("drop-and-retrain", "sft", (target,), controls=5, seeds=3))
    for number, name in enumerate(proof.plan.units()):
        arm = next(arm for arm in proof.plan.arms if name.startswith(f"{arm.name}:"))
        wobble = 0.02 * (number % 5)
        reading = Reading(-1.0 + wobble - (0 if arm.control else effect), arm.control, arm.control)
        append_unit(proof.results_path, Unit(name, (reading,), 1.0, {}))
    return proof


def make_judged_run(directory: Path) -> Run:
    """As `make_run`, with what three detectors flag and the causes of the words."""
    run = make_run(directory)
    for label in ("lft", "sft"):
        detect(run, label)
        fill_causes(label, run)
    return run
