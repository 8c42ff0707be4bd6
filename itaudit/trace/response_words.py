"""Which words stand in which assistant turns of a dataset: an inverted index over the answers alone.

Everything is an array, so that it opens at once and takes little room: about 1 MB for a thousand instances of ordinary
length.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from itaudit.analysis.words import is_content, word_key, word_texts
from itaudit.atomic import replacing
from itaudit.trace.index_files import Instances
from itaudit.trace.prompt_side import response_turns

Ints = npt.NDArray[np.int64]
WordClass = Literal["number", "name", "other"]
WORD_CLASSES: tuple[WordClass, ...] = ("number", "name", "other")

VERSION = 1
_ARRAYS = ("words", "turn_starts", "instance_starts", "lengths", "classes", "content")
# A capital that no beginning of a sentence asks for.
_CAPITAL_INSIDE = re.compile(r"(?<=[a-z0-9,;] )[A-Z]\w*")


class ResponseWords:
    """The distinct words of every assistant turn, and back from a word to the turns and instances that hold it.

    `words` holds word numbers turn by turn; turn `t` has `words[turn_starts[t]:turn_starts[t + 1]]`, and instance
    `i`, by position, the turns `instance_starts[i]` to `instance_starts[i + 1]`. `lengths` [instances] is how many
    words, repeated ones too, all turns of an instance have. `classes` [vocabulary] indexes WORD_CLASSES.
    """

    def __init__(self, vocabulary: Sequence[str], arrays: dict[str, npt.NDArray[Any]], source: str) -> None:
        self.keys = vocabulary
        self.source = source
        self.words: npt.NDArray[np.int32] = arrays["words"]
        self.turn_starts: Ints = arrays["turn_starts"]
        self.instance_starts: Ints = arrays["instance_starts"]
        self.lengths: Ints = arrays["lengths"]
        self.classes: npt.NDArray[np.int8] = arrays["classes"]
        self.content: npt.NDArray[np.bool_] = arrays["content"]

    @classmethod
    def build(cls, instances: Instances, *, source: str = "") -> "ResponseWords":
        """The index of all instances; `source` says what was indexed, and comes back when it is opened."""
        vocabulary: dict[str, int] = {}
        capitals: Counter[str] = Counter()
        small: Counter[str] = Counter()
        parts: list[list[int]] = []
        instance_starts, lengths = [0], []
        for instance in instances:
            length = 0
            for text in response_turns(instance):
                raw = word_texts(text)
                length += len(raw)
                keys = [word_key(word) for word in raw]
                small.update(key for key, word in zip(keys, raw, strict=True) if key == word)
                capitals.update(word_key(word) for word in _CAPITAL_INSIDE.findall(text))
                parts.append(sorted({vocabulary.setdefault(key, len(vocabulary)) for key in keys}))
            instance_starts.append(len(parts))
            lengths.append(length)
        names = list(vocabulary)
        arrays: dict[str, npt.NDArray[Any]] = {
            "words": np.array([word for part in parts for word in part], dtype=np.int32),
            "turn_starts": np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)]).astype(
                np.int64
            ),
            "instance_starts": np.array(instance_starts, dtype=np.int64),
            "lengths": np.array(lengths, dtype=np.int64),
            "classes": np.array([_class(key, capitals[key], small[key]) for key in names], dtype=np.int8),
            "content": np.array([is_content(key) for key in names], dtype=np.bool_),
        }
        return cls(names, arrays, source)

    def save(self, path: Path) -> None:
        """Writes what `open` reads, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # A word holds no line feed.
        keys = np.frombuffer("\n".join(self.keys).encode("utf-8", "surrogatepass"), dtype=np.uint8)
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        with replacing(path) as file:
            np.savez(file, keys=keys, source=np.array(self.source), version=np.array(VERSION), **arrays)

    @classmethod
    def open(cls, path: Path, *, source: str) -> "ResponseWords | None":
        """What `save` wrote of the same source; None where there is none, or none that can be read."""
        try:
            with np.load(path) as file:
                if int(file["version"]) != VERSION or str(file["source"]) != source:
                    return None
                keys = file["keys"].tobytes().decode("utf-8", "surrogatepass")
                return cls(keys.split("\n") if keys else [], {name: file[name] for name in _ARRAYS}, source)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    @property
    def instances(self) -> int:
        return len(self.lengths)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """The number of each word key."""
        return {key: number for number, key in enumerate(self.keys)}

    @cached_property
    def turn_instances(self) -> Ints:
        """[turns]: the position of the instance that each turn belongs to."""
        return np.repeat(np.arange(self.instances), np.diff(self.instance_starts))

    @cached_property
    def _holders(self) -> tuple[Ints, Ints]:
        """The turns of all words one after the other, and where each word's begin."""
        turns = np.repeat(np.arange(len(self.turn_starts) - 1), np.diff(self.turn_starts))
        counts = np.bincount(self.words, minlength=len(self.keys))
        return turns[np.argsort(self.words, kind="stable")], np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def frequencies(self) -> Ints:
        """[vocabulary]: the number of instances that hold each word in a turn."""
        turns, starts = self._holders
        owners = self.turn_instances[turns]
        # The turns of a word ascend, so that those of one instance stand side by side.
        first = np.concatenate([[True], owners[1:] != owners[:-1]])[: len(owners)]
        first[starts[:-1][starts[:-1] < len(owners)]] = True
        words = np.repeat(np.arange(len(self.keys)), np.diff(starts))
        return np.bincount(words[first], minlength=len(self.keys)).astype(np.int64)

    def turns(self, keys: Sequence[str]) -> Ints:
        """The turns that hold all of the word keys, whatever their order, ascending; none for no keys."""
        order, starts = self._holders
        found: Ints | None = None
        # The rarest first: what is left is never longer than its list.
        numbers = [self.vocabulary.get(key, -1) for key in set(keys)]
        if not numbers or min(numbers) < 0:
            return np.empty(0, dtype=np.int64)
        for number in sorted(numbers, key=lambda number: (starts[number + 1] - starts[number], number)):
            held = order[starts[number] : starts[number + 1]]
            found = held if found is None else found[np.isin(found, held, assume_unique=True)]
        assert found is not None
        return found

    def holders(self, keys: Sequence[str]) -> Ints:
        """The positions of the instances that hold all of the word keys in one turn, ascending."""
        return np.unique(self.turn_instances[self.turns(keys)])

    def class_of(self, keys: Sequence[str]) -> int:
        """The class of a word, as an index of WORD_CLASSES; of several, number before name before other.

        A word that no turn holds is a number or other.
        """
        numbers = [self.vocabulary.get(key) for key in keys]
        return min(
            (_class(key, 0, 0) if at is None else int(self.classes[at]) for key, at in zip(keys, numbers, strict=True)),
            default=len(WORD_CLASSES) - 1,
        )


def _class(key: str, capitals: int, small: int) -> int:
    if any(map(str.isdigit, key)):
        return WORD_CLASSES.index("number")
    # Capitals where no sentence begins, more often than small letters anywhere.
    return WORD_CLASSES.index("name" if capitals > small else "other")
