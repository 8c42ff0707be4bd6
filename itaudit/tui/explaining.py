"""What explains the span at the cursor of the stepper; what takes longer than a key may is found beside the screen."""

from collections.abc import Callable
from dataclasses import dataclass, field

from itaudit.sanitize import visible_line
from itaudit.tui.answer import Answer
from itaudit.tui.answer_causes import AnswerCauses
from itaudit.tui.background import Background
from itaudit.tui.causes_text import Pieces, cause_pieces, outcome_words, share_text, word_pieces
from itaudit.tui.layout import shortened
from itaudit.tui.span_causes import SpanCause, chance_of
from itaudit.tui.step_view import StepView

Chance = tuple[float, float]
_Key = tuple[str, str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Here:
    """Lines on the word and on the span under the cursor, and the span in a few words."""

    word: list[Pieces] = field(default_factory=list)
    span: list[Pieces] = field(default_factory=list)
    about: str = ""


class Explaining(StepView):
    """Chance for phrases: their draws are dealt in a thread, and kept."""

    def __init__(self) -> None:
        super().__init__()
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
        if causes is None or cause is None:
            return Here()
        rank = stepping.run.cause_rank
        chance = self.chance_here(explained, cause)
        text = answer.text[cause.words[0].start : cause.words[-1].end]
        about = f"“{shortened(visible_line(text), 24)}” {outcome_words(cause)}"
        if chance is not None:
            about += f" · by chance {share_text(chance[0])}"
        return Here([word_pieces(causes, word, rank)] if word else [], cause_pieces(cause, chance), about)

    def chance_here(self, explained: AnswerCauses, cause: SpanCause) -> Chance | None:
        """How often chance would trace the span; None while that is being found, which draws again."""
        causes = explained.causes
        if causes is None:
            return None
        if len({word.key for word in cause.words}) == 1:
            return chance_of(causes, cause.words)
        key = (self.stepping.label, causes.prompt_id, cause.key)
        if key not in self._dealt and key != self._asked:
            self._asked = key

            def work(report: Callable[[tuple[_Key, Chance]], None]) -> None:
                report((key, chance_of(causes, cause.words)))

            self._dealing.start(work, self._take, fail=lambda _: None)
        return self._dealt.get(key)

    def _take(self, found: tuple[_Key, Chance]) -> None:
        key, chance = found
        self._dealt[key] = chance
        self._asked = None
        self.draw()
