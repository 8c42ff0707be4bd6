"""A simpler response without a model: fillers dropped, decoration flattened, and the sentences that answer kept.

The rule. Code and tables stay as they are, and lists keep their items. In prose, sentences go that only announce the
answer, repeat the question, speak of the model, sum up what was said, praise the subject or talk to the reader;
openers such as `It is important to note that` are cut. Then, unless the response is short (`SHORT_SENTENCES`,
`SHORT_WORDS`) or was asked for as one piece (`phrases/wanted_whole.txt`), as a number of things or as the answer to
several questions, the sentences that score best are kept until they hold `KEPT_WORDS` of the words of the prose. A
sentence scores the share of the instruction's content words that it has, the share of its own that the instruction or
other sentences have, more the earlier it stands, and less if it gives an example. One that leans on the sentence
before it brings that along. Nothing is added, so that no fact can be new, and what is left is never empty.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import regex

from itaudit.analysis.words import content_words, sentence_bounds, word_keys
from itaudit.data.instance import Instance
from itaudit.simplify.blocks import Block, blocks, joined
from itaudit.simplify.names import stem
from itaudit.simplify.numbers import numbers
from itaudit.simplify.phrase_lists import has_phrase, listed_words, opening_end, phrases
from itaudit.simplify.plain import undecorated

SHORT_SENTENCES = 2
SHORT_WORDS = 25
KEPT_WORDS = 0.75
"""Share of the words of prose that selected sentences hold at least."""
REPEATED = 0.6
"""Share of a summary's content words that the rest has to hold for the summary to go."""

ENGINE = "extractive"

_COUNTED = 20
"""Things that a request may ask for; a larger number in it is of something else."""

_COUNTING = regex.compile(r"\s+\p{L}")
# Where a question begins: at the start of a sentence, or after `and`.
_ASKING = regex.compile(
    r"(?:(?:^|[.?!:]\s+)(?:\p{L}+\s+)?|(?:\band|\bor|,|;)\s+(?:then\s+)?(?:(?:in|for|to|with|by|from|at|on)\s+)?)"
    r"(?:who|whom|whose|what|which|when|where|why|how)\b",
    regex.IGNORECASE | regex.MULTILINE,
)
# White space that stood between a dropped sentence and the next.
_AFTER_ADDRESS = regex.compile(r"[^.!?,:–—]*(?:[,:]|\s[–—])\s+")
_INDENT = regex.compile(r"\n[ \t\n]+")
_ABBREVIATED = regex.compile(
    r"\b(?:Inc|Ltd|Co|Corp|Mt|Rev|Gen|Sen|Gov|Capt|Lt|Col|Sgt|Ave|Blvd|Rd|approx|ca|cf|pp?|vol|ed|al|Ph\.D|U\.S|e\.g|i\.e"
    r"|[Jj]an|[Ff]eb|[Aa]pr|[Aa]ug|[Ss]ept?|[Oo]ct|[Nn]ov|[Dd]ec)\.$"
)
# Dialogue, questions with their answers, forms.
_LABELLED = regex.compile(r"^[ \t]*[\p{L}\p{N}][\w'’]*(?:[ -][\w'’]+){0,2}:(?=\s)", regex.MULTILINE)


@dataclass(slots=True)
class _Sentence:
    """A sentence of prose: the block and its place in it, its text with the white space before it."""

    block: int
    text: str
    stems: frozenset[str]
    length: int
    kept: bool = True

    @property
    def said(self) -> str:
        return self.text.strip()


def simplified(instance: Instance) -> str:
    """A simpler response for an instance; the response itself where nothing can go. Same input, same output."""
    response = instance.response or ""
    plain = undecorated(response).strip()
    parts = blocks(plain)
    sentences = [sentence for at, part in enumerate(parts) if part.kind == "prose" for sentence in _sentences(at, part)]
    if not sentences:
        return _settled(response, joined(parts), plain)
    # Responses often repeat their input word for word: what was asked is the instruction alone.
    asked = _stems(instance.instruction)
    whole = has_phrase(instance.instruction, "wanted_whole") or len(_LABELLED.findall(plain)) > 1
    _drop_fillers(asked, sentences, parts, whole=whole)
    left = [sentence for sentence in sentences if sentence.kept]
    short = len(left) <= SHORT_SENTENCES or sum(sentence.length for sentence in left) < SHORT_WORDS
    if not whole and not short and not _asks_several(instance.instruction):
        _select(asked, left)
    return _settled(response, _rebuilt(parts, sentences), plain)


def without_fillers(response: str) -> str:
    """A response without the sentences around it that greet, announce, speak of the model or take leave."""
    parts = blocks(response)
    sentences = [sentence for at, part in enumerate(parts) if part.kind == "prose" for sentence in _sentences(at, part)]
    _drop_fillers(frozenset(), sentences, parts, whole=True)
    return _rebuilt(parts, sentences)


def _asks_several(instruction: str) -> bool:
    """Whether a request asks several questions or for a number of things, so that no sentence can be spared."""
    if len(_ASKING.findall(instruction)) > 1:
        return True
    counted = (number for number in numbers(instruction) if _COUNTING.match(instruction, number.end))
    return any(isinstance(said, Fraction) and 2 <= said <= _COUNTED for number in counted for said in number.readings)


def _settled(response: str, made: str, plain: str) -> str:
    """What was made, unless nothing that can be read is left of it or it grew."""
    for text in (made, plain):
        if any(map(str.isalnum, text)) and len(text) <= len(response):
            # White space alone is no change that anybody would want to read and accept.
            return response if text.split() == response.split() else text
    return response


def _sentences(at: int, part: Block) -> list[_Sentence]:
    bounds = sentence_bounds(part.text)
    pieces: list[str] = []
    for start, end in pairwise(bounds):
        piece = part.text[start:end]
        if pieces and (_unfinished(pieces[-1]) or not any(map(str.isalnum, piece))):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return [_Sentence(at, piece, _stems(piece), len(word_keys(piece))) for piece in pieces]


def _unfinished(piece: str) -> bool:
    """Whether a piece ends in an abbreviation, or inside of a quotation or of brackets, and not too long ago."""
    if _ABBREVIATED.search(piece.rstrip()):
        return not piece.endswith("\n")
    opened = piece.count('"') % 2 or piece.count("“") > piece.count("”") or piece.count("(") > piece.count(")")
    return bool(opened) and len(piece) < 600


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word.key) for word in content_words(text))


def _drop_fillers(asked: frozenset[str], sentences: list[_Sentence], parts: Sequence[Block], *, whole: bool) -> None:
    """Drops the sentences that answer nothing, and cuts what sentences open with and do not need.

    `whole` is a response that was asked for as one piece: it loses only what stands around it.
    """
    repeatable = frozenset[str]() if whole else asked
    while (first := next((s for s in sentences if s.kept), None)) and _announces(first, repeatable, sentences, parts):
        first.kept = False
    if first and not whole and (end := opening_end(first.said, "addresses")) and _others(sentences, first):
        rest = _AFTER_ADDRESS.match(first.said, end)
        if rest and len(word_keys(first.said[rest.end() :])) > 2:
            _cut(first, rest.end())
        else:
            first.kept = False
    for sentence in sentences:
        if opening_end(sentence.said, "disclaimers") and " but " not in sentence.text and _others(sentences, sentence):
            sentence.kept = False
    leaves = ("closings",) if whole else ("closings", "farewells")
    while (last := _last(sentences, parts)) and any(opening_end(last.said, name) for name in leaves):
        if not _others(sentences, last):
            break
        last.kept = False
    if whole:
        return
    last = _last(sentences, parts)
    if last and (end := opening_end(last.said, "summaries")) and _others(sentences, last):
        rest = frozenset().union(*(s.stems for s in sentences if s is not last and s.kept), *map(_part_stems, parts))
        own = last.stems - _stems(last.said[:end])
        last.kept = len(own & rest) < REPEATED * len(own)
        if last.kept:
            _cut(last, end)
    for sentence in sentences:
        while sentence.kept and (end := opening_end(sentence.said, "hedges")) and sentence.said[end:].strip(" ,.!"):
            _cut(sentence, end)
    praise = _stems(" ".join(listed_words("praise")))
    for sentence in sentences:
        says_more = sentence.stems - praise - asked
        if sentence.kept and sentence.stems & praise and not says_more and _others(sentences, sentence):
            sentence.kept = bool(numbers(sentence.text)) or sentence.said.endswith(":")


def _part_stems(part: Block) -> frozenset[str]:
    return _stems(part.text) if part.kind != "prose" else frozenset()


def _others(sentences: Sequence[_Sentence], sentence: _Sentence) -> bool:
    return any(other.kept and other is not sentence and other.length for other in sentences)


def _last(sentences: Sequence[_Sentence], parts: Sequence[Block]) -> _Sentence | None:
    """The last sentence that is left, where no list, code or table stands behind it."""
    last = next((s for s in reversed(sentences) if s.kept), None)
    return last if last and all(part.kind == "prose" for part in parts[last.block + 1 :]) else None


def _announces(first: _Sentence, asked: frozenset[str], sentences: list[_Sentence], parts: Sequence[Block]) -> bool:
    """Whether an opening sentence answers nothing: an interjection, an announcement, or the question once more."""
    said = first.said
    others = _others(sentences, first)
    if not others and all(part.kind == "prose" for part in parts):
        return False
    bare = " ".join(said.lower().replace("’", "'").split()).rstrip("!.,: ")
    if bare in phrases("interjections"):
        return True
    repeats = bool(first.stems) and first.stems <= asked
    if said.endswith(":"):
        return repeats or bool(opening_end(said, "preambles"))
    if said.endswith("?"):
        return repeats and others
    return repeats and others and first.length > 4 and listed_words("negations").isdisjoint(word_keys(said))


def _cut(sentence: _Sentence, end: int) -> None:
    """Takes the opener off a sentence; the next word gets the capital that its first letter lost."""
    said = sentence.said
    rest = said[end:].lstrip(" ,\t\n")
    first = rest.split(maxsplit=1)[0] if rest else ""
    if first[:1].islower() and first[1:] == first[1:].lower():
        rest = rest[0].upper() + rest[1:] if len(rest[0].upper()) == 1 else rest
    sentence.text = sentence.text[: len(sentence.text) - len(sentence.text.lstrip())] + rest
    sentence.stems, sentence.length = _stems(rest), len(word_keys(rest))


def _select(asked: frozenset[str], sentences: Sequence[_Sentence]) -> None:
    """Keeps the best sentences until they hold their share of the words; the others go."""
    everywhere = Counter(s for sentence in sentences for s in sentence.stems)
    total, held, chosen = sum(sentence.length for sentence in sentences), 0, set[int]()
    scores = [_score(at, sentence, asked, everywhere) for at, sentence in enumerate(sentences)]
    # Sentences that lead to a list or code, or count steps, belong to what follows.
    for at, sentence in enumerate(sentences):
        counts = sentence.said.lower().replace(",", " ").split(maxsplit=1)[:1]
        if sentence.said.endswith(":") or (counts and counts[0] in listed_words("counting")):
            held += _choose(at, sentences, chosen)
    for at in sorted(range(len(sentences)), key=lambda at: (-scores[at], at)):
        if held >= KEPT_WORDS * total:
            break
        held += _choose(at, sentences, chosen)
    for at, sentence in enumerate(sentences):
        sentence.kept = at in chosen


def _choose(at: int, sentences: Sequence[_Sentence], chosen: set[int]) -> int:
    """Chooses a sentence and what it leans on; how many words that adds."""
    words = 0
    while at not in chosen:
        chosen.add(at)
        words += sentences[at].length
        if at == 0 or not _leans(sentences[at]):
            break
        at -= 1
    return words


def _leans(sentence: _Sentence) -> bool:
    opening = word_keys(sentence.said[:60])[:3]
    if not opening or opening[0] in listed_words("leaning") or opening_end(sentence.said, "examples"):
        return bool(opening)
    return not listed_words("pointing").isdisjoint(opening)


def _score(at: int, sentence: _Sentence, asked: frozenset[str], everywhere: Counter[str]) -> float:
    if not sentence.stems:
        return 0.0
    shared = sentence.stems & asked
    answers = len(shared) / len(asked) if asked else 0.0
    central = len({s for s in sentence.stems if everywhere[s] > 1} | shared) / len(sentence.stems)
    example = 0.5 if opening_end(sentence.said, "examples") else 0.0
    return answers + central + 0.5 / (1 + at) - example


def _rebuilt(parts: Sequence[Block], sentences: Sequence[_Sentence]) -> str:
    """The blocks with the sentences that are left; a block of which nothing is left goes, with its blank line."""
    left: list[Block] = []
    for at, part in enumerate(parts):
        if part.kind != "prose":
            left.append(part)
            continue
        text = "".join(sentence.text for sentence in sentences if sentence.block == at and sentence.kept).strip()
        text = _INDENT.sub("\n", text)
        if text:
            left.append(replace(part, text=text))
    return joined(left)
