"""Datasets and plain loops that the causal analysis is tested on."""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from itaudit.analysis.words import content_words, word_keys
from itaudit.data.instance import Instance, Message
from itaudit.trace.response_words import ResponseWords

TOPICS = 8


def topical(count: int, seed: int = 0) -> list[Instance]:
    """Instances of eight topics: a prompt and a response of words of its topic, frequent words, numbers and names."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        topic = number % TOPICS
        made.append(Instance(100 + number, str(number), question(rng, topic), "", answer(rng, topic)))
    return made


def question(rng: np.random.Generator, topic: int) -> str:
    return " ".join(f"ask{topic}x{word}" for word in rng.integers(0, 12, 5))


def answer(rng: np.random.Generator, topic: int) -> str:
    length = int(rng.integers(4, 40))
    said = [
        *(f"topic{'abcdefgh'[topic]}{'abcdefghijklmnopqrst'[at]}" for at in rng.zipf(1.6, length) % 20),
        *(f"common{'abcdefghijklmnopqrstuvwxyzabcd'[at]}" for at in rng.zipf(1.4, length) % 30),
        *(f"the Name{'abcdefghij'[at]}" for at in rng.integers(0, 10, 2)),
        *(str(1900 + 2 * topic + at) for at in rng.integers(0, 20, 1)),
    ]
    return " ".join(said[at] for at in rng.permutation(len(said))) + "."


def multi_turn(seed: int = 0, count: int = 60) -> list[Instance]:
    """Instances with assistant turns before and after the audited one, some without any answer."""
    rng = np.random.default_rng(seed)
    made = []
    for number, instance in enumerate(topical(count, seed)):
        history: tuple[Message, ...] = ()
        later: tuple[Message, ...] = ()
        if number % 3 == 0:
            history = (Message("user", "hello"), Message("assistant", answer(rng, number % TOPICS)))
        if number % 4 == 0:
            later = (Message("user", "and then?"), Message("assistant", answer(rng, number % TOPICS)))
        response = None if number % 7 == 0 else instance.response
        made.append(
            Instance(instance.index, instance.id, instance.instruction, "", response, history=history, later=later)
        )
    return made


def turns_of(instance: Instance) -> list[str]:
    """The assistant turns, as anybody would list them."""
    return [message.content for message in instance.messages if message.role == "assistant"]


@cache
def _keys_of(text: str) -> frozenset[str]:
    return frozenset(word_keys(text))


def holds(instance: Instance, keys: Sequence[str]) -> bool:
    """Whether one turn holds all keys, by looking."""
    return any(set(keys) <= _keys_of(turn) for turn in turns_of(instance))


def any_holds(instances: Sequence[Instance], positions: Iterable[int], keys: Sequence[str]) -> bool:
    return any(holds(instances[position], keys) for position in positions)


def response_keys(text: str) -> list[str]:
    return [word.key for word in content_words(text)]


def index_words(instances: Sequence[Instance]) -> ResponseWords:
    return ResponseWords.build(list(instances))
