"""Tracing measured beside rank-bm25, in one process, on real instances.

    python benchmarks/trace_benchmark.py DATASET... [--instances 94000] [--queries 300]

Queries are the prompt and first sentence of sampled instances. With --instances, more instances are made from those
of the files: the sentences of two, shuffled, so that the statistics of words stay real and no two are the same.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from itaudit.analysis.words import sentence_bounds, word_keys
from itaudit.data.instance import Instance
from itaudit.data.load import load
from itaudit.trace.index import TraceIndex
from itaudit.trace.trace import verbatim_spans

REFERENCE_QUERIES = 5
VERBATIM_WORDS = 5


def sentences(text: str) -> list[str]:
    bounds = sentence_bounds(text)
    return [text[start:end] for start, end in pairwise(bounds)]


def varied(instances: list[Instance], count: int, chance: random.Random) -> list[Instance]:
    """`instances`, and new ones made from pairs of them until there are `count`."""
    made = list(instances)
    while len(made) < count:
        one, two = chance.sample(instances, 2)
        parts = sentences(f"{one.response} {two.response}")
        chance.shuffle(parts)
        response = "".join(parts[: max(len(parts) // 2, 1)])
        made.append(Instance(len(made), str(len(made)), one.instruction, two.input, response))
    return made


def seconds(action: Callable[[], object]) -> float:
    """Processor seconds: tracing runs on one thread, and the machine may be busy with something else."""
    start = time.process_time()
    action()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--instances", type=int, default=0)
    parser.add_argument("--queries", type=int, default=300)
    options = parser.parse_args()
    chance = random.Random(0)
    instances = varied([i for path in options.datasets for i in load(path)], options.instances, chance)
    chosen = chance.sample(instances, min(options.queries, len(instances)))
    queries = [f"{i.prompt}\n{(sentences(i.response or '') or [''])[0]}" for i in chosen]
    mean = sum(len(word_keys(query)) for query in queries) / len(queries)
    print(f"{len(instances):,} instances; {len(queries)} queries of {mean:.0f} words; processor seconds of one thread")
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory)
        print(f"build        {seconds(lambda: TraceIndex.open(instances, cache_dir=cache)):10.2f} s")
        print(f"open cached  {seconds(lambda: TraceIndex.open(instances, cache_dir=cache)):10.2f} s")
        index = TraceIndex.open(instances, cache_dir=cache)
        reference = TraceIndex.open(instances, engine="rank-bm25", cache_dir=cache)
        for query in queries[:20]:
            index.ranking(query).best(10)
        ours = len(queries) / seconds(lambda: [index.ranking(query).best(10) for query in queries])
        few = queries[:REFERENCE_QUERIES]
        theirs = len(few) / seconds(lambda: [reference.ranking(query).best(10) for query in few])
        evidence = len(queries) / seconds(lambda: [index.sources(query, span="time", k=10) for query in queries])
        print(f"bm25s        {ours:10.1f} queries/s   {ours / theirs:8.1f} x rank-bm25 ({theirs:.2f} queries/s)")
        print(f"  + evidence {evidence:10.1f} queries/s   {evidence / theirs:8.1f} x rank-bm25")
        # Responses that share some stretches with the instances: sentences of several, in a new order.
        responses = [i.response or "" for i in varied(chosen, 2 * len(chosen), chance)[len(chosen) :]]
        length = sum(len(word_keys(text)) for text in responses) / len(responses)
        verbatim = seconds(lambda: [index.verbatim(text, min_words=VERBATIM_WORDS) for text in responses])
        spans = seconds(lambda: [verbatim_spans(index, "", text, k=10, min_words=VERBATIM_WORDS) for text in responses])
        print(f"verbatim     {1e3 * verbatim / len(responses):10.2f} ms a response of {length:.0f} words")
        print(f"  + sources  {1e3 * spans / len(responses):10.2f} ms a response")


if __name__ == "__main__":
    main()
