"""Asking the dataset screen: instances ranked by BM25 for a question."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content

from itaudit.data.cache import Cached
from itaudit.sanitize import visible_line
from itaudit.tui.dataset_view import DatasetView
from itaudit.tui.listing import Listing
from itaudit.tui.ranking import Ranker, Ranking
from itaudit.tui.widgets.prompt_line import PromptLine

if TYPE_CHECKING:
    from itaudit.data.searching import Pattern

_ASK = "ask"
_WORDS = 12
"""Words whose share in a score is told, the weightiest."""


class AskActions(DatasetView):
    """`B`: the instances that answer to a question, best first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("B", "ask", "ask", id="dataset.ask", tooltip="Rank instances for a question (BM25)"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.ranking: Ranking | None = None
        self.question_patterns: list[Pattern] = []
        self._question = ""
        self._ranker = Ranker(self, self._heard, self._unheard)

    def action_ask(self) -> None:
        if self.edited is not None:
            hint = "instances that share words with it, by BM25, best first"
            self.query_one(PromptLine).ask(_ASK, "ask:", answer=self._question, hint=hint)

    @on(PromptLine.Answered)
    def _question_answered(self, message: PromptLine.Answered) -> None:
        if message.question != _ASK or self.edited is None:
            return
        self._question = message.answer.strip()
        if not self._question:
            self.stop_asking()
            return
        from itaudit.analysis.words import word_keys

        if not word_keys(self._question):
            self.tell("The question has no words to look for.", "$error")
            return
        self.tell("Ranking …")
        self._ranker.ask(self._question, self.edited.source, self.complete, self._folder())

    def rows_are_complete(self) -> None:
        """All rows are there, to be ranked too."""
        if self.edited is not None:
            self._ranker.give_whole(self.edited.source, self._folder())

    def _folder(self) -> Path | None:
        """Where the rows are kept for another process to map."""
        return self.feed.folder if isinstance(self.feed, Cached) else None

    def stop_asking(self) -> None:
        """Lists what the filter leaves, in its order."""
        self._question, self.ranking = "", None
        self.question_patterns = []
        self.relist()

    def close_ranker(self) -> None:
        """Ends the process that ranks."""
        self._ranker.close()

    def _heard(self, ranking: Ranking) -> None:
        if not self._question:
            return
        again = self.ranking is not None and self.ranking.question == ranking.question
        self.ranking = ranking
        self.question_patterns = _patterns(ranking)
        self.relist(top=not again)
        self.tell_ranking()

    def _unheard(self, problem: str) -> None:
        self.tell(problem, "$error")

    def tell_ranking(self) -> None:
        """Says how many instances a question found, and in how many of all."""
        if self.ranking is None or self.edited is None:
            return
        count, ranking = len(self.listing), self.ranking
        provisional = ""
        if not ranking.whole:
            provisional = f"; provisional, {ranking.instances:,} of {len(self.edited):,} instances are indexed"
            if self.complete:
                provisional += ", the rest is on its way"
        hidden = len(ranking.scores) - count
        beyond = f"; {hidden:,} more outside the filter" if hidden > 0 else ""
        self.tell(f"{count:,} instances for {ranking.question!r}, best first{beyond}{provisional}; escape ends it")

    def ranked(self, listing: Listing) -> Listing:
        """Of what is listed, what the question found, best first."""
        if self.ranking is None:
            return listing
        hits = np.fromiter(self.ranking.scores, np.int64, len(self.ranking.scores))
        kept = hits[np.isin(hits, listing.positions)]
        return Listing(kept, ascending=False)

    def score_text(self, position: int) -> Content | None:
        """What each word of the question adds to an instance's score."""
        ranking = self.ranking
        if ranking is None or position not in ranking.scores:
            return None
        words = ranking.words[position]
        told = " + ".join(f"{visible_line(word)} {value:.1f}" for word, value in words[:_WORDS])
        more = f" + {len(words) - _WORDS} words more" if len(words) > _WORDS else ""
        return Content.assemble((f"BM25 {ranking.scores[position]:.1f}", "bold $accent"), f" = {told}{more}\n\n")

    def relist(self, *, top: bool = False) -> None:
        """Lists anew what is selected, as the ranking has it."""
        raise NotImplementedError


def _patterns(ranking: Ranking) -> "list[Pattern]":
    """The words of a question that were found, to highlight."""
    from itaudit.analysis.words import word_keys
    from itaudit.data.searching import Pattern

    found = {word for words in ranking.words.values() for word, _ in words}
    keys = [key for key in dict.fromkeys(word_keys(ranking.question)) if key in found]
    quoted = ["".join(rf"\x{{{ord(character):x}}}" for character in key) for key in keys]
    return [Pattern(rf"\b(?:{'|'.join(quoted)})\b", regex=True)] if quoted else []
