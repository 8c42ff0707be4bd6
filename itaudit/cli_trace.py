"""`itaudit trace`: the sources of a text in a dataset, without a run."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from itaudit.cli_json import JSON_OPTION
from itaudit.errors import UserError

if TYPE_CHECKING:
    from itaudit.data.dataset import Dataset
    from itaudit.trace.types import Evidence, Span

CONTEXT_SHOWN = 40
"""Characters of a field shown on either side of a piece of evidence."""
WORDS_SHOWN = 6
"""Contributions shown of one source."""


@click.command("trace")
@click.argument("dataset")
@click.option("--prompt", required=True, help="What the model was asked.")
@click.option("--response", required=True, help="What it answered.")
@click.option("--span", "spans", multiple=True, metavar="S:E", help="Characters of the response to trace; repeatable.")
@click.option("-k", "k", type=click.IntRange(1, 1000), default=10, show_default=True, help="Sources of each span.")
@click.option("--verbatim-words", type=click.IntRange(1), default=5, show_default=True, help="Shortest verbatim span.")
@click.option("--engine", type=click.Choice(["bm25s", "rank-bm25"]), default="bm25s", show_default=True)
@click.option("--format", "format_", default="auto", show_default=True, help="Dataset format.")
@JSON_OPTION
def trace_command(
    dataset: str,
    prompt: str,
    response: str,
    spans: Sequence[str],
    k: int,
    verbatim_words: int,
    engine: str,
    format_: str,
    as_json: bool,
) -> None:
    """Show the instances of DATASET that a response may come from.

    Without --span, the stretches of the response that stand verbatim in an instance are looked up.
    """
    wanted = [parse_span(span, response) for span in spans]
    # Reading data costs start-up time that the other commands need not pay.
    from itaudit import paths
    from itaudit.data.versions import load_version
    from itaudit.trace.index import TraceIndex
    from itaudit.trace.trace import trace_span, verbatim_spans

    loaded = load_version(dataset, format=format_)
    index = TraceIndex.open(loaded, engine=engine, cache_dir=paths.cache_dir())
    found = (
        tuple(trace_span(index, prompt, response, start, end, k=k) for start, end in wanted)
        if wanted
        else verbatim_spans(index, prompt, response, k=k, min_words=verbatim_words)
    )
    if as_json:
        # Escaped to ASCII, so that no text and no locale can break the document.
        click.echo(json.dumps({"spans": [span_document(span) for span in found]}))
    elif found:
        _print(found, loaded)
    else:
        click.echo(
            f"No {verbatim_words} words in a row stand in an instance; --span S:E traces a stretch of your choice."
        )


def parse_span(text: str, response: str) -> tuple[int, int]:
    """The offsets in `S:E`. Raises UserError where they are no stretch of the response."""
    match = re.fullmatch(r"(\d{1,18}):(\d{1,18})", text, re.ASCII)
    if match is None:
        raise UserError(f"--span {text!r}: expected S:E, two character offsets of the response, such as 4:12", code=2)
    start, end = int(match[1]), int(match[2])
    if not start < end <= len(response):
        raise UserError(
            f"--span {text}: expected S < E and E at most {len(response)}, the length of the response", code=2
        )
    return start, end


def span_document(span: "Span") -> dict[str, Any]:
    """A span as the command line's JSON shows it."""
    return {
        "start": span.start,
        "end": span.end,
        "text": span.text,
        "kind": span.kind,
        "frequency": span.frequency,
        "sources": [
            {
                "index": source.index,
                "score": source.score,
                "instruction": source.instruction,
                "evidence": [
                    {"field": one.field, "start": one.start, "end": one.end, "text": one.text}
                    for one in source.evidence
                ],
                "words": [{"word": word, "score": score} for word, score in source.words],
            }
            for source in span.sources
        ],
    }


def _print(spans: Sequence["Span"], dataset: "Dataset") -> None:
    from rich.console import Console
    from rich.text import Text

    from itaudit.sanitize import visible_line
    from itaudit.trace.evidence import fields

    console = Console(markup=False, highlight=False, soft_wrap=True)
    for number, span in enumerate(spans):
        holders = "1 instance" if span.frequency == 1 else f"{span.frequency} instances"
        head = Text.assemble((visible_line(span.text), "bold"), f"  {span.start}:{span.end} {span.kind}, in {holders}")
        console.print(Text("\n") + head if number else head)
        for source in span.sources:
            console.print(Text(f"  #{source.index}  {source.score:.2f}  {visible_line(source.instruction)}"))
            texts = dict(fields(dataset[dataset.position(source.index)]))
            for evidence in source.evidence:
                console.print(_in_context(evidence, texts))
            weights = "  ".join(f"{visible_line(word)} {score:.2f}" for word, score in source.words[:WORDS_SHOWN])
            if weights:
                console.print(Text(f"      BM25: {weights}", style="dim"))


def _in_context(evidence: "Evidence", texts: Mapping[str, str]) -> Any:
    from rich.text import Text

    from itaudit.sanitize import visible_line

    text = texts[evidence.field]
    before = text[max(evidence.start - CONTEXT_SHOWN, 0) : evidence.start]
    after = text[evidence.end : evidence.end + CONTEXT_SHOWN]
    return Text.assemble(
        f"      {evidence.field} {evidence.start}:{evidence.end}  ",
        "…" if evidence.start > CONTEXT_SHOWN else "",
        visible_line(before),
        (f"[{visible_line(evidence.text)}]", "bold"),
        visible_line(after),
        "…" if evidence.end + CONTEXT_SHOWN < len(text) else "",
    )
