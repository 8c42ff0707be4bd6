"""Two runs side by side at a prompt: both answers, what became of each flagged span, where they part, the edits."""

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.errors import UserError
from itaudit.runs.lineage import lineage_of
from itaudit.runs.retune import Change, changes_of
from itaudit.runs.run import Run
from itaudit.sanitize import visible_line
from itaudit.tui.background import Background
from itaudit.tui.compare_text import FATE_STYLES, both_texts, edits_text, fate_line, parting_text, shift_words
from itaudit.tui.comparing import STARTED_HERE, Comparing
from itaudit.tui.layout import shortened, text_cells
from itaudit.tui.navigation import navigator
from itaudit.tui.pace import repaint_seconds
from itaudit.tui.progress import job_words, stage_progress
from itaudit.tui.screens.list_screen import ListScreen
from itaudit.tui.telling import say, told
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.reading_pane import ReadingPane

BESIDE, WIDE = 66, 110
"""Columns from which the answers stand beside each other, and the lower panels do."""
SHORT = 18
"""Rows below which one panel fills the screen."""
PANES = ("old", "new", "parting", "edits")


class Pane(ReadingPane, can_focus=False):
    """A text under a titled rule; the screen scrolls it."""


class CompareScreen(Screen[None]):
    """Shows where the user of a Comparing is."""

    CSS = """
    CompareScreen { layout: vertical; background: $background; }
    CompareScreen #title, CompareScreen #totals, CompareScreen #prompt { height: 1; padding: 0 1; }
    CompareScreen #title { background: $panel; }
    CompareScreen #prompt { text-style: bold; }
    CompareScreen #answers { layout: horizontal; height: 3fr; min-height: 2; }
    CompareScreen #span { height: auto; max-height: 2; padding: 0 1; border-top: solid $foreground 30%; }
    CompareScreen #below { layout: horizontal; height: 2fr; min-height: 2; }
    CompareScreen Pane {
        width: 1fr; height: 1fr; border-top: solid $foreground 30%; border-title-color: $foreground 70%;
        border-title-align: left; scrollbar-size-vertical: 1;
    }
    CompareScreen Pane.-active { border-top: solid $primary; border-title-color: $primary; border-title-style: bold; }
    CompareScreen #old { border-right: solid $foreground 30%; }
    CompareScreen.-stacked #answers { layout: vertical; }
    CompareScreen.-stacked #old { border-right: none; }
    CompareScreen.-one-below #below Pane { display: none; }
    CompareScreen.-one-below #below Pane.-shown { display: block; }
    CompareScreen.-short #answers, CompareScreen.-short #below { height: 1fr; }
    CompareScreen.-short Pane, CompareScreen.-short #answers, CompareScreen.-short #below { display: none; }
    CompareScreen.-short #answers.-holds, CompareScreen.-short #below.-holds { display: block; }
    CompareScreen.-short Pane.-active { display: block; }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "prompt(1)", "prompt", id="compare.prompt_next", tooltip="Next prompt; changed ones first"),
        Binding("k,up", "prompt(-1)", "prompt", id="compare.prompt_previous", tooltip="Previous prompt"),
        Binding("n", "spot(1)", "span", id="compare.span_next", tooltip="Next flagged span of the older answers"),
        Binding("N", "spot(-1)", "span", id="compare.span_previous", tooltip="Previous flagged span"),
        Binding("f", "kind", "flags", id="compare.kind", tooltip="Marks alone, or all flags"),
        Binding("tab", "panel(1)", "panel", id="compare.panel_next", tooltip="Next panel"),
        Binding("shift+tab", "panel(-1)", "panel", id="compare.panel_previous", show=False, tooltip="Previous panel"),
        Binding("J,pagedown", "scroll(1)", "scroll", id="compare.scroll_down", tooltip="Scroll the panel down"),
        Binding("K,pageup", "scroll(-1)", "scroll", id="compare.scroll_up", tooltip="Scroll the panel up"),
        *(
            Binding(str(n), f"model({n - 1})", "model", id=f"compare.model-{n}", tooltip=f"Model {n} of both runs")
            for n in range(1, 10)
        ),
        Binding("enter", "open('new')", "new run", id="compare.open_new", tooltip="Open the newer run"),
        Binding("o", "open('old')", "old run", id="compare.open_old", tooltip="Open the older run"),
        Binding("L", "live", "live", id="compare.live", tooltip="Watch the newer run's job"),
        Binding("escape", "app.back", "back", id="compare.back"),
    ]

    def __init__(self, comparing: Comparing, now: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.comparing = comparing
        self.now = now
        self.active = "parting"
        self.changes: tuple[Change, ...] | None = None
        self._problem = ""
        self._shown: object = None
        self._reading: Background[tuple[Change, ...]] = Background(self)

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="totals", markup=False)
        yield Static(id="prompt", markup=False)
        with Container(id="answers"):
            yield Pane(id="old")
            yield Pane(id="new")
        yield Static(id="span", markup=False)
        with Container(id="below"):
            yield Pane(id="parting")
            yield Pane(id="edits")
        yield KeyBar()

    def on_mount(self) -> None:
        self._arrange()
        self.draw()
        self.set_interval(max(0.5, repaint_seconds()), self.look)
        lineage, new = self.comparing.lineage, self.comparing.new
        if lineage is None:
            self.changes = ()
            return

        def work(report: Callable[[tuple[Change, ...]], None]) -> None:
            report(changes_of(new, lineage))

        self._reading.start(work, self._take_changes, fail=self._no_changes)

    def on_unmount(self) -> None:
        self._reading.cancel()

    def _take_changes(self, changes: tuple[Change, ...]) -> None:
        self.changes = changes
        self.draw()

    def _no_changes(self, problem: str) -> None:
        self._problem = problem
        self.draw()

    def look(self) -> None:
        """Takes in answers that came since."""
        try:
            changed = self.comparing.poll()
        except UserError as error:
            self.query_one("#totals", Static).update(Content.styled(visible_line(str(error)), "$error"))
            return
        if changed:
            self.draw()
        elif self.comparing.state.job == "running":
            self._draw_title()

    def on_resize(self, _: events.Resize) -> None:
        self._arrange()
        self._draw_title()
        # Columns go by the widths of their panes, which these have only after the layout.
        self.call_after_refresh(self.draw)

    def _arrange(self) -> None:
        columns, rows = self.app.size
        self.set_class(columns < BESIDE, "-stacked")
        self.set_class(columns < WIDE, "-one-below")
        self.set_class(rows < SHORT, "-short")
        for name in PANES:
            self.query_one(f"#{name}", Pane).set_class(name == self.active, "-active")
        shown = self.active if self.active in ("parting", "edits") else None
        if shown or not self.query("#below .-shown"):
            for name in ("parting", "edits"):
                self.query_one(f"#{name}", Pane).set_class(name == (shown or "parting"), "-shown")
        self.query_one("#answers").set_class(self.active in ("old", "new"), "-holds")
        self.query_one("#below").set_class(self.active in ("parting", "edits"), "-holds")

    def draw(self) -> None:
        """Brings everything up to date with where the user is."""
        comparing = self.comparing
        self._draw_title()
        self._draw_prompt()
        answers = comparing.answers()
        old, new = self.query_one("#old", Pane), self.query_one("#new", Pane)
        spots = comparing.spots_here
        fates = {spot: comparing.comparison.fate(spot) for spot in spots}
        texts = ("", "") if answers is None else (answers[0].text, answers[1].text)
        shifts = (None, None) if comparing.prompt_id is None else comparing.comparison.shifts(comparing.prompt_id)
        key = (comparing.label, comparing.prompt_id, comparing.spot)
        keep, self._shown = key == self._shown, key
        if answers is not None and any(answer.response is None for answer in answers):
            # A difference to nothing would strike everything out.
            texts = (texts[0] or texts[1],) * 2
        shown = both_texts(*texts, spots, comparing.spot, fates)
        sides = zip((old, new), (comparing.old, comparing.new), shown, shifts, strict=True)
        for number, (pane, run, read, shift) in enumerate(sides):
            answered = answers is not None and answers[number].response is not None
            name = shortened(visible_line(run.name), max(8, pane.size.width - 30))
            pane.border_title = Content(f" {name} · {shift_words(shift, pane.size.width - text_cells(name) - 7)} ")
            empty = "(an empty answer)" if answered else "(not answered yet)"
            content = read.content if answered and texts[number] else Content.styled(empty, "$foreground-muted")
            pane.show(content, read.focus if answered else None, keep=keep)
        self._draw_span()
        self._draw_below(keep)

    def _draw_span(self) -> None:
        comparing = self.comparing
        spot = comparing.spot
        if spot is None:
            which = "marked" if comparing.kind == "marks" else "flagged"
            line = Content.styled(f"nothing of this answer is {which}", "$foreground-muted")
        else:
            number = comparing.spots.index(spot) + 1
            line = fate_line(spot, comparing.fate, number, len(comparing.spots))
        self.query_one("#span", Static).update(line)

    def _draw_below(self, keep: bool) -> None:
        comparing = self.comparing
        parting, edits = self.query_one("#parting", Pane), self.query_one("#edits", Pane)
        answers = comparing.answers()
        text = answers[0].text if answers else ""
        waits = answers is None or any(answer.response is None for answer in answers)
        names = (comparing.old.name, comparing.new.name)
        width = max(20, parting.size.width - 3)
        token_text = comparing.old.token_text
        content = parting_text(comparing.parting(), text, names, token_text, width, waits=waits)
        parting.show(content, keep=keep)
        sources = comparing.sources()
        edits.show(edits_text(self.changes, sources, self._problem), keep=keep)
        count = len(self.changes or ())
        here = sum(change.index in sources for change in self.changes or ())
        words = f"edits {count}, of the span's sources {here}" if sources else f"edits {count}"
        one = self.has_class("-one-below")
        parting.border_title = Content(f" where they part{f' · tab: {words}' if one else ''} ")
        edits.border_title = Content(f" {words}{' · tab: where they part' if one else ''} ")

    def _draw_title(self) -> None:
        comparing, width = self.comparing, max(10, self.app.size.width - 2)
        state = comparing.state
        states = list(comparing.comparison.states.values())
        changed = f"{states.count('changed')} of {len(states)} answers changed"
        if waiting := states.count("waiting"):
            changed += f", {waiting} to come"
        job = ""
        if state.job == "running" and state.current is not None:
            job = f" · {stage_progress(state.current, self.now())}"
        elif state.job != "done":
            job = f" · {job_words(state)}"
        labels = comparing.labels
        models = " ".join(f"[{label}]" if label == comparing.label and len(labels) > 1 else label for label in labels)
        name = f"{visible_line(comparing.old.name)} ▸ {visible_line(comparing.new.name)}"
        title = Content.assemble((name, "bold"), f"  {models}  {changed}{visible_line(job)}")
        self.query_one("#title", Static).update(title.truncate(width, ellipsis=True))
        counts = comparing.totals
        # The span that the re-tune was started from need not be marked.
        kind = "spans" if any(spot.label == STARTED_HERE for spot in comparing.spots) else comparing.kind
        parts = [Content(f"{kind} {len(comparing.spots)}")]
        for fate in ("gone", "changed", "still said"):
            parts.append(Content.styled(f"{fate} {counts[fate]}", FATE_STYLES[fate] if counts[fate] else ""))
        if waiting := len(comparing.spots) - sum(counts.values()):
            parts.append(Content(f"to come {waiting}"))
        line = parts[0] + ": " + Content(", ").join(parts[1:])
        self.query_one("#totals", Static).update(line.truncate(width, ellipsis=True))

    def _draw_prompt(self) -> None:
        comparing = self.comparing
        prompt = comparing.prompt
        if prompt is None:
            text = "no prompt stands in both runs"
        else:
            state = comparing.comparison.states[prompt.id]
            words = {"changed": "changed", "same": "unchanged", "waiting": "to come"}[state]
            text = f"{comparing.place + 1}/{len(comparing.order)} {words} · {prompt.id} {prompt.prompt.strip()}"
        width = max(10, self.app.size.width - 2)
        self.query_one("#prompt", Static).update(Content(shortened(visible_line(text), width)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Numbers beyond the models that both runs have do nothing, and are not offered."""
        labels = self.comparing.labels
        return not (action == "model" and (len(labels) < 2 or int(str(parameters[0])) >= len(labels)))

    def action_prompt(self, by: int) -> None:
        self.comparing.move_prompt(by)
        self.draw()

    def action_spot(self, direction: int) -> None:
        if not self.comparing.move_spot(direction):
            which = "after" if direction > 0 else "before"
            say(self.app, f"no flagged span {which} this one")
        self.draw()

    def action_kind(self) -> None:
        with told(self.app):
            self.comparing.next_kind()
        what = "what people marked" if self.comparing.kind == "marks" else "marks and what detectors found"
        say(self.app, f"n and N stop at {what}")
        self.draw()

    def action_model(self, number: int) -> None:
        with told(self.app):
            self.comparing.choose_label(self.comparing.labels[number])
        self.draw()

    def action_panel(self, by: int) -> None:
        self.active = PANES[(PANES.index(self.active) + by) % len(PANES)]
        self._arrange()
        # A panel that was not shown has a width only after the layout.
        self.call_after_refresh(self.draw)

    def action_scroll(self, direction: int) -> None:
        pane = self.query_one(f"#{self.active}", Pane)
        pane.scroll_relative(y=direction * max(pane.size.height - 1, 1), animate=False)

    def action_open(self, which: str) -> None:
        run = self.comparing.new if which == "new" else self.comparing.old
        navigator(self).open_run(run.path)

    def action_live(self) -> None:
        navigator(self).open_live(self.comparing.new.path)


class PartnersScreen(ListScreen[tuple[Run, Run]]):
    """Asks which of several runs to stand beside one; each pair is the older run and the newer."""

    TITLE = "compare with"

    def __init__(self, run: Run, pairs: Sequence[tuple[Run, Run]]) -> None:
        super().__init__()
        self.compared = run
        self.pairs = pairs

    def count(self) -> int:
        return len(self.pairs)

    def line(self, position: int, width: int) -> Content:
        old, new = self.pairs[position]
        other, words = (old, "it was made from") if new.path == self.compared.path else (new, "made from it")
        try:
            lineage = lineage_of(new)
        except UserError:
            lineage = None
        edits = f", {len(lineage.edited)} edited" if lineage is not None else ""
        line = Content.assemble((visible_line(other.name), "bold"), (f"  {words}{edits}", "$foreground-muted"))
        return line.truncate(max(1, width), ellipsis=True)

    def on_line_list_opened(self, event: LineList.Opened) -> None:
        self.dismiss(self.pairs[event.position])
