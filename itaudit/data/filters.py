"""Filters as people type them: `words>300 category:open_qa -edited "free text" response~/as an ai/`; all terms hold.

words>300  chars<=20  turns>1        a measure or column compared; texts compare letter by letter
category:open_qa,closed_qa           one of these values; of numbers also a range, `words:10..20`
category~open  response~/regex/      holds a text or matches a regular expression, case ignored
row:10-20,30  id:X  tag:NAME         rows of the source, an id, a tag
edited  deleted  tagged  flagged     what the workshop knows; flagged is tagged or noted
conflict  duplicate  matched  empty  a conflicting edit, a copy of another, a search's match, no response
word  "free text"  /regex/           anywhere in the instance
-TERM                                the term does not hold
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from itaudit.data.searching import FIELDS, Pattern
from itaudit.errors import UserError

STATES = ("edited", "deleted", "tagged", "flagged", "conflict", "duplicate", "matched", "empty")
Operator = Literal["state", "text", "~", ":", ">", ">=", "<", "<="]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_REGEX = r"/(?:[^/\\]|\\.)+/"
_NAME = rf"(?:{_QUOTED}|[^\W\d][\w.\-]*)"
_VALUE = rf'(?:{_QUOTED}|[^\s,"]+)'
_TERM = re.compile(
    rf"""(?P<minus>-?)(?:
        (?P<name>{_NAME})(?:
            ~(?:(?P<expression>{_REGEX})|(?P<held>{_VALUE}))
          | (?P<operator>:|>=|<=|>|<|=)(?P<values>{_VALUE}(?:,{_VALUE})*)
        )
      | (?P<regex>{_REGEX})
      | (?P<quoted>{_QUOTED})
      | (?P<word>[^\s"]+)
    )(?=\s|$)""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"\s*")
_BROKEN = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; `text` is how it was typed.

    `name` is a state for the operator `state`, nothing for `text`, else a measure, column or field. `values`
    are what `:` may equal or what an order compares with; `pattern` is what `text` and `~` look for.
    """

    text: str
    negated: bool
    operator: Operator
    name: str = ""
    values: tuple[str, ...] = ()
    pattern: Pattern | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that all have to hold; without any, everything is selected."""

    text: str = ""
    terms: tuple[Term, ...] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def patterns(self) -> tuple[tuple[str, Pattern], ...]:
        """What to highlight: the field (empty for anywhere) and the pattern of each term that isn't negated."""
        return tuple((t.name, t.pattern) for t in self.terms if t.pattern is not None and not t.negated)

    def asks_for(self, state: str) -> bool:
        """Whether a term, negated or not, asks for a state."""
        return any(term.operator == "state" and term.name == state for term in self.terms)


def parse_filter(text: str) -> Filter:
    """The filter that a text says. Raises UserError, code 2, naming the term that can't be understood."""
    return Filter(text.strip(), tuple(_terms(text)))


def quoted(value: str) -> str:
    """A value or name as a filter has it, in quotes where it needs them."""
    if re.fullmatch(r"[^\W\d][\w.]*", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _terms(text: str) -> Iterator[Term]:
    position = 0
    while True:
        space = _SPACE.match(text, position)
        position = space.end() if space else position
        if position == len(text):
            return
        found = _TERM.match(text, position)
        if found is None:
            broken = _BROKEN.match(text, position)
            word = broken.group() if broken else ""
            raise UserError(f"filter: {word!r} can't be read; close its quotes, or write it in quotes", code=2)
        yield _term(found)
        position = found.end()


def _term(found: "re.Match[str]") -> Term:
    text, negated = found.group(), bool(found["minus"])
    if found["name"] is not None:
        name = _plain(found["name"])
        if found["expression"] is not None:
            pattern = Pattern(_expression(found["expression"]), regex=True)
            return Term(text, negated, "~", name, pattern=pattern)
        if found["held"] is not None:
            return Term(text, negated, "~", name, pattern=Pattern(_plain(found["held"])))
        return _comparison(text, negated, name, found["operator"], found["values"])
    if found["regex"] is not None:
        return Term(text, negated, "text", pattern=Pattern(_expression(found["regex"]), regex=True))
    if found["quoted"] is not None:
        wanted = _plain(found["quoted"])
        if not wanted:
            raise UserError('filter: "" looks for nothing; write a text between the quotes', code=2)
        return Term(text, negated, "text", pattern=Pattern(wanted))
    word = found["word"]
    if word in STATES:
        return Term(text, negated, "state", word)
    odd = re.match(rf"({_NAME})(:|>=|<=|>|<|=|~)", word)
    if odd is not None:
        raise UserError(f"filter: {text!r} lacks a value; write one, or put the term in quotes", code=2)
    return Term(text, negated, "text", pattern=Pattern(word))


def _comparison(text: str, negated: bool, name: str, operator: str, values: str) -> Term:
    wanted = tuple(_plain(value) for value in re.findall(_VALUE, values))
    if operator in (":", "="):
        if name in FIELDS and name != "id":
            raise UserError(f"filter: {text!r}: write {name}~TEXT for an instance that holds it there", code=2)
        return Term(text, negated, ":", name, wanted)
    if len(wanted) != 1:
        raise UserError(f"filter: {text!r} compares with more than one value; write one", code=2)
    order: Operator = ">=" if operator == ">=" else "<=" if operator == "<=" else ">" if operator == ">" else "<"
    return Term(text, negated, order, name, wanted)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text.startswith('"') else text


def _expression(text: str) -> str:
    return text[1:-1].replace("\\/", "/")
