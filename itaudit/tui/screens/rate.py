"""Blind rating: one answer after the other, its model unknown, each aspect rated by a key."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.data.edits import user_name
from itaudit.errors import UserError
from itaudit.evaluation.aspects import HIGHEST, LOWEST
from itaudit.evaluation.blind import BlindRating, choose
from itaudit.runs.ratings import Act, Ratings, check_rater
from itaudit.runs.run import Run
from itaudit.sanitize import visible_line
from itaudit.tui.layout import shortened
from itaudit.tui.rate_text import MARKS, answer_text, answer_title, aspects_text, prompt_text, title_text, values_text
from itaudit.tui.telling import told
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.reading_pane import MARGIN, ReadingPane

_NAME, _NOTE = "rater", "note"


def _binding(id: str, keys: str, action: str, short: str, tooltip: str = "", *, show: bool = True) -> Binding:
    return Binding(keys, action, short, id=f"rate.{id}", tooltip=tooltip, show=show)


_RATING = (
    *(
        _binding(f"value-{value}", str(value), f"rate({value})", "rate", f"Rate the aspect {value} of {HIGHEST}")
        for value in range(LOWEST, HIGHEST + 1)
    ),
    _binding("skip", "s", "skip", "skip", "Leave this answer out"),
    _binding("undo", "u", "undo", "undo", "Take your last act back, also of last week"),
    _binding("answer-previous", "h,left", "answer(-1)", "answer", "Previous answer"),
    _binding("answer-next", "l,right", "answer(1)", "answer", "Next answer"),
    _binding("aspect-next", "j,down", "aspect(1)", "aspect", "Next aspect"),
    _binding("aspect-previous", "k,up", "aspect(-1)", "aspect", "Previous aspect"),
    _binding("note", "m", "note", "note", "A note about this answer"),
    _binding("open-next", "n", "open(1)", "next open", "Next answer that is not rated"),
    _binding("open-previous", "N", "open(-1)", "previous open", "Previous answer that is not rated", show=False),
    _binding("reference", "r", "reference", "reference", "Show or hide the reference answer"),
    _binding("read-down", "J,shift+down", "read(3)", "scroll", "Scroll the text down"),
    _binding("read-up", "K,shift+up", "read(-3)", "scroll", "Scroll the text up"),
    _binding("page-down", "space,pagedown", "leaf(1)", "page down", "Page of the text down", show=False),
    _binding("page-up", "pageup", "leaf(-1)", "page up", "Page of the text up", show=False),
    _binding("pane", "tab", "pane", "prompt or answer", "Scroll the prompt, or the answer", show=False),
)
"""What can be done as soon as it is known who rates."""


class RateScreen(Screen[None]):
    """Rates the answers of a run; asks who rates where it is given no rating to go on with.

    Neither the run's name nor anything else that could tell a model is shown.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high")]
    AUTO_FOCUS = ""
    MARKS = MARKS
    CSS = """
    RateScreen { layout: vertical; background: $background; }
    RateScreen #title { height: 1; padding: 0 1; background: $panel; }
    RateScreen #texts { height: 1fr; layout: vertical; }
    RateScreen #asked { height: auto; }
    RateScreen #given { height: 1fr; min-height: 2; }
    RateScreen .heading { height: 1; padding: 0 1; color: $foreground-muted; }
    RateScreen #answer { height: 1fr; }
    RateScreen #aspects { height: auto; padding: 0 1; border-top: solid $panel; }
    RateScreen #note { height: 1; padding: 0 1; display: none; color: $foreground-muted; }
    RateScreen.-noted #note { display: block; }
    RateScreen PromptLine { display: block; }
    RateScreen PromptLine > Horizontal, RateScreen PromptLine #said { height: 1; }
    RateScreen.-short #aspects { border-top: none; }
    RateScreen.-short.-noted #note { display: none; }
    RateScreen.-wide #texts { layout: horizontal; }
    RateScreen.-wide #asked { width: 2fr; height: 1fr; border-right: solid $panel; }
    RateScreen.-wide #prompt { height: 1fr; }
    RateScreen.-wide #given { width: 3fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *_RATING,
        _binding("back", "escape", "back", "leave", "Leave; what is rated is kept"),
    ]

    def __init__(self, run: Run, rating: BlindRating | None = None) -> None:
        super().__init__()
        self.run = run
        self.rating = rating
        self._reference = False
        self._active = "answer"
        self._shown: tuple[int, bool] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Container(id="texts"):
            with Vertical(id="asked"):
                yield Static(id="prompt-heading", classes="heading", markup=False)
                yield ReadingPane(id="prompt")
            with Vertical(id="given"):
                yield Static(id="answer-heading", classes="heading", markup=False)
                yield ReadingPane(id="answer")
        yield Static(id="aspects", markup=False)
        yield Static(id="note", markup=False)
        yield PromptLine()
        yield KeyBar()

    def on_mount(self) -> None:
        for pane in self.query(ReadingPane):
            pane.can_focus = False
        self.paint()
        if self.rating is None:
            self._ask_name("")
        else:
            self._welcome()

    def on_resize(self) -> None:
        # The texts wrap anew, and the prompt gets its share of the new height.
        self._shown = None
        self.call_after_refresh(self.paint)

    def _ask_name(self, problem: str) -> None:
        hint = problem or "Ratings are kept under this name; come back with it to go on."
        self.query_one(PromptLine).ask(_NAME, "Who rates?", answer=user_name(), hint=hint)

    def _begin(self, name: str) -> None:
        try:
            ratings = Ratings(self.run.ratings_path)
            rater = ratings.named(check_rater(name))
            self.rating = BlindRating(self.run, ratings, rater, choose(self.run, ratings, rater))
        except UserError as error:
            self._ask_name(str(error))
            return
        self.refresh_bindings()
        self._welcome()
        self.paint()

    def _welcome(self) -> None:
        rating = self.rating
        if rating is None:
            return
        count = rating.count()
        if rating.done:
            self._say_done()
        elif count.rated or count.skipped or rating.rated.values:
            self._tell(f"Welcome back: {count.left:,} of {count.answers:,} answers are open.")
        else:
            self._tell(f"{count.answers:,} answers. 1 is worst, 5 is best; each key is kept at once.")

    def paint(self) -> None:
        """Brings the screen up to date with what stands in the file."""
        width = max(self.size.width - 2, 1)
        rating = self.rating
        count = rating.count() if rating else None
        title = title_text(rating.rater if rating else "", count, width)
        self.query_one("#title", Static).update(title, layout=False)
        if rating is None:
            return
        self._paint_texts(rating)
        short = self.has_class("-short")
        self.query_one("#aspects", Static).update(aspects_text(rating.rated, rating.aspect, width, short=short))
        note = rating.rated.note
        self.set_class(bool(note), "-noted")
        self.query_one("#note", Static).update(Content(shortened(f"note: {visible_line(note)}", width)))

    def _paint_texts(self, rating: BlindRating) -> None:
        prompts = list(dict.fromkeys(answer.prompt.id for answer in rating.answers))
        here = prompts.index(rating.answer.prompt.id) + 1
        active = {name: "▸ " if name == self._active else "" for name in ("prompt", "answer")}
        heading = f"{active['prompt']}prompt {here:,} of {len(prompts):,}"
        self.query_one("#prompt-heading", Static).update(Content(heading), layout=False)
        heading_of_answer = Content(active["answer"]) + answer_title(rating.answer, rating.rated)
        self.query_one("#answer-heading", Static).update(heading_of_answer, layout=False)
        if self._shown == (rating.place, self._reference):
            # The texts are the same: whoever scrolled stays there.
            return
        keep = self._shown is not None and self._shown[0] == rating.place
        self._shown = (rating.place, self._reference)
        text = prompt_text(rating.answer.prompt, reference=self._reference)
        pane = self.query_one("#prompt", ReadingPane)
        if self.has_class("-narrow"):
            lines = len(text.wrap(max(self.size.width - 2 * MARGIN - 1, 1)))
            pane.styles.height = min(lines, max(self.size.height // 4, 1))
        else:
            pane.styles.height = "1fr"
        pane.show(text, len(text) - 1 if self._reference else None)
        self.query_one("#answer", ReadingPane).show(answer_text(rating.answer), keep=keep)

    def _tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)

    def _say_done(self) -> None:
        self._tell("All is rated: thank you. h goes back, u takes back, escape leaves.", "$success")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Until it is known who rates, there is nothing to do but to say it or to leave."""
        if self.rating is None and any(action == binding.action.partition("(")[0] for binding in _RATING):
            return False
        return super().check_action(action, parameters)

    def action_rate(self, value: int) -> None:
        rating = self.rating
        if rating is None:
            return
        before = rating.place
        with told(self.app):
            moved = rating.rate(value)
            values = values_text(rating.states()[before])
            self._went_on(rating, f"Rated {values}; u takes the last one back." if moved else "")

    def action_skip(self) -> None:
        rating = self.rating
        if rating is None:
            return
        with told(self.app):
            rating.skip()
            self._went_on(rating, "Skipped; u takes that back.")

    def _went_on(self, rating: BlindRating, words: str) -> None:
        self._active = "answer"
        if rating.done:
            self._say_done()
        else:
            self._tell(words)
        self.paint()

    def action_undo(self) -> None:
        rating = self.rating
        if rating is None:
            return
        with told(self.app):
            self._tell(_undone(rating.undo(), rating))
            self._active = "answer"
            self.paint()

    def action_answer(self, by: int) -> None:
        if self.rating is not None and self.rating.go(by):
            self._moved()

    def action_open(self, direction: int) -> None:
        if self.rating is not None:
            if self.rating.go_open(direction):
                self._moved()
            elif self.rating.done:
                self._say_done()

    def _moved(self) -> None:
        self._active = "answer"
        self._tell("")
        self.paint()

    def action_aspect(self, by: int) -> None:
        if self.rating is not None:
            self.rating.go_aspect(by)
            self.paint()

    def action_note(self) -> None:
        if self.rating is not None:
            note = self.rating.rated.note
            self.query_one(PromptLine).ask(_NOTE, "Note", answer=note, replace=False)

    def action_reference(self) -> None:
        self._reference = not self._reference
        self.paint()

    def action_pane(self) -> None:
        self._active = "prompt" if self._active == "answer" else "answer"
        self.paint()

    def action_read(self, lines: int) -> None:
        self.query_one(f"#{self._active}").scroll_relative(y=lines, animate=False)

    def action_leaf(self, direction: int) -> None:
        pane = self.query_one(f"#{self._active}")
        pane.scroll_relative(y=direction * max(pane.size.height - 1, 1), animate=False)

    def action_back(self) -> None:
        self.app.pop_screen()

    @on(PromptLine.Answered)
    def _answered(self, event: PromptLine.Answered) -> None:
        event.stop()
        self.set_focus(None)
        if event.question == _NAME:
            self._begin(event.answer)
        elif self.rating is not None:
            with told(self.app):
                self.rating.note(event.answer.strip())
                self.paint()

    @on(PromptLine.Cancelled)
    def _cancelled(self, event: PromptLine.Cancelled) -> None:
        event.stop()
        self.set_focus(None)
        if self.rating is None:
            self.action_back()


def _undone(act: Act | None, rating: BlindRating) -> str:
    if act is None:
        return "There is nothing of yours to take back."
    what = {"rate": f"{act.aspect} {act.value}", "note": "the note", "skip": "the skip"}[act.did]
    here = (rating.answer.prompt.id, rating.answer.answer) == (act.prompt_id, act.answer)
    return f"Taken back: {what}." if here else f"Taken back: {what}, of an answer that is not among these."
