"""What explains the span at the cursor of the stepper; what takes longer than a key may is found beside the screen."""

from collections.abc import Callable
from dataclasses import dataclass, field

from itaudit.sanitize import visible_line
from itaudit.tui.answer import Answer
from itaudit.tui.answer_causes import AnswerCauses
from itaudit.tui.background import Background
from itaudit.tui.causes_text import Pieces, cause_pieces, outcome_words, share_text, verdict_pieces, word_pieces
from itaudit.tui.layout import shortened
from itaudit.tui.proofs_told import ProofsTold
from itaudit.tui.span_causes import SpanCause, chance_of
from itaudit.tui.step_view import StepView

MOST_VERDICTS = 3
"""Verdicts told of one span, the newest ones."""

Chance = tuple[float, float]
_Key = tuple[str, str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Here:
    """Lines on the word and on the span under the cursor, what proofs say of it, and the span in a few words."""

    word: list[Pieces] = field(default_factory=list)
    span: list[Pieces] = field(default_factory=list)
    verdicts: list[Pieces] = field(default_factory=list)
    about: str = ""


class Explaining(StepView):
    """Chance for phrases: their draws are dealt in a thread, and kept."""

    def __init__(self) -> None:
        super().__init__()
        self._proofs: ProofsTold | None = None
        self._dealing: Background[tuple[_Key, Chance]] = Background(self)
        self._dealt: dict[_Key, Chance] = {}
        self._asked: _Key | None = None

    def told_here(self, answer: Answer | None) -> Here:
        """What is known of the word and the span under the cursor."""
        stepping = self.stepping
        if answer is None or stepping.shallow:
            return Here()
        explained, number = stepping.explained(answer), stepping.cursor
        causes, word, cause = explained.causes, explained.word_at(number), explained.at(number)
        proved = self._proved(answer)
        if causes is None or cause is None:
            return Here(verdicts=proved)
        rank = stepping.run.cause_rank
        chance = self.chance_here(explained, cause)
        text = answer.text[cause.words[0].start : cause.words[-1].end]
        about = f"“{shortened(visible_line(text), 24)}” {outcome_words(cause)}"
        if chance is not None:
            about += f" · by chance {share_text(chance[0])}"
        words = [word_pieces(causes, word, rank)] if word else []
        return Here(words, cause_pieces(cause, chance), proved, about)

    def chance_here(self, explained: AnswerCauses, cause: SpanCause) -> Chance | None:
        """How often chance would trace the span; None while that is being found, which draws again."""
        causes = explained.causes
        if causes is None:
            return None
        if not cause.several:
            return chance_of(causes, cause.words)
        key = (self.stepping.label, causes.prompt_id, cause.key)
        if key not in self._dealt and key != self._asked:
            self._asked = key

            def work(report: Callable[[tuple[_Key, Chance]], None]) -> None:
                report((key, chance_of(causes, cause.words)))

            self._dealing.start(work, self._take, fail=lambda _: None)
        return self._dealt.get(key)

    def poll_proofs(self) -> None:
        """Hears what proofs say by now."""
        if self._proofs is None:
            self._proofs = ProofsTold(self, self.stepping.run.path, self._proofs_changed)
        self._proofs.poll()

    def _proofs_changed(self) -> None:
        if self._proofs is not None and self._proofs.problem:
            self.app.notify(visible_line(self._proofs.problem), severity="error", markup=False)
            self._proofs.problem = ""
        self.draw()

    def on_unmount(self) -> None:
        self._dealing.cancel()
        if self._proofs is not None:
            self._proofs.close()

    def _proved(self, answer: Answer) -> list[Pieces]:
        if self._proofs is None or not answer.positions:
            return []
        flag = answer.flag_at(self.stepping.cursor)
        here = self.stepping.selection
        start, end = (flag.start, flag.end) if flag is not None else answer.text_range(*here)
        return [
            pieces
            for told in self._proofs.at(answer.label, answer.prompt_id, start, end)[:MOST_VERDICTS]
            for pieces in verdict_pieces(told)
        ]

    def _take(self, found: tuple[_Key, Chance]) -> None:
        key, chance = found
        self._dealt[key] = chance
        self._asked = None
        self.draw()
