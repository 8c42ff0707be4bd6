"""Finding instances on the dataset screen: a search as one types, and jumps to a row or an id."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from textual import on
from textual.binding import Binding, BindingType

from itaudit.errors import UserError
from itaudit.tui.background import Background
from itaudit.tui.dataset_view import DatasetView
from itaudit.tui.listing import Flags, Listing, Positions
from itaudit.tui.pace import repaint_seconds
from itaudit.tui.searching import matching_positions, parse_pattern, pattern_text
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine

_SEARCH, _JUMP, _JUMP_ANYWAY = "search", "jump", "jump anyway"
_HINT = "a text in any case, or /a regular expression/"


class SearchActions(DatasetView):
    """`/`, `n`, `N` and `g`. What is found counts for the whole dataset; the keys stop at what is listed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", id="dataset.search", tooltip="Search a text or a /regex/"),
        Binding("n", "match(1)", "next match", id="dataset.next_match", tooltip="Next match"),
        Binding("N", "match(-1)", "previous match", id="dataset.previous_match", show=False, tooltip="Previous match"),
        Binding("g", "jump", "go to", id="dataset.jump", tooltip="Go to a row number or an id"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._typed = ""
        self._searching: Background[tuple[int, Positions]] = Background(self)
        self._reached = 0
        self._origin: int | None = None
        self._seeking = False
        self._wanted: int | None = None
        self._lines_known: tuple[Listing, Flags, list[int]] | None = None

    def action_search(self) -> None:
        if self.edited is not None:
            self._origin = self.position()
            self.query_one(PromptLine).ask(_SEARCH, "search:", answer=self._typed, hint=_HINT)

    def search(self, typed: str) -> None:
        """Searches anew, in the background; nothing is searched for with an empty text."""
        assert self.edited is not None
        self._typed = typed
        prompt = self.query_one(PromptLine)
        try:
            self.pattern = parse_pattern(typed)
            prompt.hint(_HINT)
        except UserError as error:
            self.pattern = None
            prompt.hint(str(error), "$error")
        self._searching.cancel()
        self.found = np.zeros(len(self.edited), dtype=bool)
        self._reached, self._seeking = 0, True
        self.repaint()
        self.search_on()

    @property
    def searching(self) -> bool:
        """Whether a search is on its way."""
        return self._searching.busy

    def search_on(self) -> None:
        """Searches what has not been searched yet, such as rows that came since."""
        edited = self.edited
        if edited is None or not self.pattern or self._searching.busy or self._reached >= len(edited):
            return
        dataset, pattern, start, edits = edited.source, self.pattern, self._reached, edited.edited_positions()

        def work(report: Callable[[tuple[int, Positions]], None]) -> None:
            for step in matching_positions(dataset, pattern, start=start, edits=edits, pace=repaint_seconds()):
                report(step)

        self._searching.start(
            work,
            self._take_matches,
            fail=lambda text: self.tell(text, "$error"),
            done=self._searched,
        )

    def search_again(self, positions: set[int]) -> None:
        """Looks at instances that were edited since they were searched."""
        if self.edited is None or not self.pattern:
            return
        for position in positions:
            if position < min(self._reached, len(self.found)):
                one = self.edited.source[position : position + 1]
                edits = {0: self.edited.row(position)}
                hits = [hits for _, hits in matching_positions(one, self.pattern, edits=edits)]
                self.found[position] = any(len(each) for each in hits)
        self._lines_known = None

    def _take_matches(self, step: tuple[int, Positions]) -> None:
        assert self.edited is not None
        self._reached, positions = step
        found = np.zeros(len(self.edited), dtype=bool)
        found[: len(self.found)] = self.found
        found[positions] = True
        self.found = found
        if self._seeking:
            self._seek()
        self.repaint()
        if not self.query_one(PromptLine).question:
            self.tell_matches()

    def _searched(self) -> None:
        if self._seeking:
            self._seek(last=True)
        self.search_on()

    def _seek(self, last: bool = False) -> None:
        """Once: what is found later must not pull the cursor from under its user."""
        lines = self.match_lines()
        # In a sorted list, any match may still come to stand before those that are known.
        if not lines or not (last or self.listing.ascending):
            return
        origin = 0 if self._origin is None else self.listing.nearest_line(self._origin)
        place = bisect_left(lines, origin)
        if place < len(lines) or last:
            self._seeking = False
            self.query_one(LineList).stand_on(lines[place % len(lines)])

    def match_lines(self) -> list[int]:
        """The lines of the list that match, ascending."""
        known = self._lines_known
        if known is None or known[0] is not self.listing or known[1] is not self.found:
            known = self._lines_known = (self.listing, self.found, self.listing.lines(self.found).tolist())
        return known[2]

    def action_match(self, step: int) -> None:
        if not self.pattern:
            self.tell("Nothing is searched for; / searches.")
            return
        matches = self.match_lines()
        lines = self.query_one(LineList)
        self._seeking = False
        if matches and step > 0:
            lines.stand_on(matches[bisect_right(matches, lines.cursor) % len(matches)])
        elif matches:
            lines.stand_on(matches[bisect_left(matches, lines.cursor) - 1])
        self.tell_matches()

    def tell_matches(self) -> None:
        """Says how many instances match, and how far the search came."""
        if self.edited is None or not self.pattern:
            self.tell("")
            return
        lines = self.match_lines()
        cursor = self.query_one(LineList).cursor
        place = bisect_left(lines, cursor)
        here = f"{place + 1:,} of " if place < len(lines) and lines[place] == cursor else ""
        done = self._reached >= len(self.edited)
        far = "" if done else f" so far, {100 * self._reached // len(self.edited)} % searched"
        hidden = int(np.count_nonzero(self.found)) - len(lines)
        beyond = f"; {hidden:,} more outside the filter" if hidden else ""
        word = "match" if len(lines) == 1 else "matches"
        self.tell(f"{here}{len(lines):,} {word} for {pattern_text(self.pattern)}{far}{beyond}")

    def action_jump(self) -> None:
        if self.edited is not None:
            self.query_one(PromptLine).ask(_JUMP, "row number or id:")

    def go_to_index(self, index: int) -> bool:
        """Stands on a row of the source, or says why that can't be; False where there is no such row."""
        assert self.edited is not None
        rows = np.flatnonzero(self.edited.source.table.column("index").to_numpy() == index)
        if not len(rows):
            return False
        self._go_to(int(rows[0]))
        return True

    def _go_to(self, position: int) -> None:
        assert self.edited is not None
        if self.stand_on(position):
            self.repaint()
            return
        self._wanted = position
        row = self.edited.source.table.column("index")[position].as_py()
        self.query_one(PromptLine).ask(
            _JUMP_ANYWAY, f"Row {row} is not in this list:", hint="enter shows all instances, escape stays here"
        )

    def _jump(self, answer: str) -> None:
        assert self.edited is not None
        import pyarrow.compute as pc

        source = self.edited.source
        number = answer.removeprefix("#").replace(",", "")
        is_number = number.isascii() and number.isdigit() and len(number) < 19
        if is_number and self.go_to_index(int(number)):
            return
        hits = np.flatnonzero(np.asarray(pc.equal(source.table.column("id"), answer)))
        if len(hits):
            self._go_to(int(hits[0]))
            return
        rejected = [each for each in source.rejected if str(each.index) == number]
        if rejected:
            self.tell(f"Row {number} was rejected: {rejected[0].reason}", "$error")
        elif not self.complete:
            self.tell(f"There is no row and no id {answer!r} so far; rows are still being read.", "$error")
        else:
            self.tell(f"There is no row and no id {answer!r}; rows are counted from 0.", "$error")

    @on(PromptLine.Typed)
    def _search_typed(self, message: PromptLine.Typed) -> None:
        if message.question == _SEARCH:
            self.search(message.answer)

    @on(PromptLine.Answered)
    def _search_answered(self, message: PromptLine.Answered) -> None:
        if message.question == _JUMP and message.answer.strip():
            self._jump(message.answer.strip())
        elif message.question == _JUMP_ANYWAY and self._wanted is not None:
            self.show_all()
            self._go_to(self._wanted)
        elif message.question == _SEARCH:
            if self._typed and not self.pattern:
                with_error = self._typed
                self.query_one(PromptLine).ask(_SEARCH, "search:", answer=with_error, replace=False)
                self.search(with_error)
            else:
                self.tell_matches()

    @on(PromptLine.Cancelled)
    def _search_cancelled(self, message: PromptLine.Cancelled) -> None:
        if message.question == _SEARCH:
            self.search("")
            if self._origin is not None:
                self.stand_on(self._origin)

    def show_all(self) -> None:
        """Lists every instance: no filter, no ranking."""
        raise NotImplementedError
