"""The editor: the fields and turns of one instance, one at a time in a multi-line editor."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from itaudit.data.edited import EditedDataset
from itaudit.data.overlay import TEXTS, values_of
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.tui.checks_text import length_line
from itaudit.tui.drafts import Draft, Drafts
from itaudit.tui.editor_parts import Part, Parts, names_of
from itaudit.tui.instance_text import instance_text
from itaudit.tui.layout import shortened
from itaudit.tui.screens.choice import ChoiceScreen
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.reading_pane import ReadingPane
from itaudit.units import age_text

LONGEST = 100_000
"""Characters of a text that is edited here: wrapping more would hold up every key."""
_KEYS = (
    ("escape", "done"),
    ("F2", "save"),
    ("tab", "next field"),
    ("F3", "add turn"),
    ("F4", "role"),
    ("F8", "remove turn"),
)
_LEAVING = (
    ("s", "save"),
    ("d", "discard"),
    ("t", "add turn"),
    ("T", "first turn"),
    ("o", "role"),
    ("r", "remove turn"),
)
_TAKEN = (("d", "the draft"), ("p", "the proposal"))
_PAUSE = 0.4
"""Seconds without a key before the length is told and the draft is kept."""

Save = Callable[[dict[str, Any]], None]
"""Writes the changed fields; raises UserError where that can't be done."""


class ExactArea(TextArea):
    """A text area whose text is always one that its part can be made of, pasted text included."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+home", "to_start", "to the start", id="editor.start", show=False),
        Binding("ctrl+end", "to_end", "to the end", id="editor.end", show=False),
    ]

    def __init__(self, part: Part) -> None:
        super().__init__(part.shown, soft_wrap=True, tab_behavior="focus", show_line_numbers=False, compact=True)
        self.part = part
        self.highlight_cursor_line = False
        # Over SSH each blink costs bandwidth.
        self.cursor_blink = False

    async def _on_paste(self, event: events.Paste) -> None:
        try:
            event.text = self.part.text.shown_of(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        except UserError:
            event.prevent_default()
            return
        await super()._on_paste(event)
        event.prevent_default()

    def action_to_start(self) -> None:
        self.move_cursor((0, 0))

    def action_to_end(self) -> None:
        self.move_cursor(self.document.end)


class EditorScreen(Screen[bool]):
    """Edits one instance; gives True once `save` took the changes, False where nothing was changed.

    `response` stands in the response's editor in place of the instance's own, as a proposal to work on.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-high")]
    CSS = """
    EditorScreen { layout: vertical; background: $background; }
    EditorScreen #title { height: 1; padding: 0 1; background: $panel; }
    EditorScreen #parts { height: 1; padding: 0 1; }
    EditorScreen #prompt-lines { height: auto; max-height: 3; padding: 0 1; color: $foreground-muted; }
    EditorScreen.-short #prompt-lines, EditorScreen.-wide #prompt-lines { display: none; }
    EditorScreen #body { height: 1fr; }
    EditorScreen #reading { width: 2fr; min-width: 8; border-right: solid $panel; display: none; }
    EditorScreen.-wide #reading { display: block; }
    EditorScreen #areas { width: 3fr; min-width: 8; height: 1fr; }
    EditorScreen ExactArea { height: 1fr; border: none; padding: 0 1; background: $surface; }
    EditorScreen #figures { height: auto; max-height: 2; padding: 0 1; color: $foreground-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "done: save, discard", id="editor.leave", priority=True),
        Binding("f2,ctrl+o", "save", "save", id="editor.save", key_display="F2"),
        Binding("tab", "part(1)", "next field", id="editor.next"),
        Binding("shift+tab", "part(-1)", "previous field", id="editor.previous", show=False),
        Binding("f3", "add_turn", "add turn", id="editor.add_turn", key_display="F3"),
        Binding("f4", "role", "role", id="editor.role", key_display="F4"),
        Binding("f8", "remove_turn", "remove turn", id="editor.remove_turn", key_display="F8"),
    ]

    def __init__(
        self,
        edited: EditedDataset,
        position: int,
        *,
        response: str | None = None,
        save: Save | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.edited = edited
        self.at = position
        self.row = edited.row(position)
        self.opened = values_of(self.row.instance)
        self.drafts = Drafts(edited.overlay.folder)
        self.clock = clock
        self._save = save or self._save_by_hand
        self._proposed = {} if response is None else {"response": response}
        self.parts = Parts(self.opened, self._proposed)
        self.place = self.parts.named("response")
        self._areas: dict[Part, ExactArea] = {}
        self._pausing: Timer | None = None
        self._draft_told = False

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        yield Static(id="parts", markup=False)
        yield Static(id="prompt-lines", markup=False)
        with Horizontal(id="body"):
            yield ReadingPane(id="reading")
            yield Vertical(id="areas")
        yield Static(id="figures", markup=False)
        yield PromptLine()
        yield KeyBar()

    async def on_mount(self) -> None:
        instance = self.row.instance
        name = visible_line(str(self.edited.source.path).rpartition("/")[2])
        self.query_one("#title", Static).update(
            Content.assemble(("edit", "bold $primary"), f"  row {instance.index} of {name}")
        )
        self.query_one(ReadingPane).show(instance_text(instance).content)
        self.query_one(ReadingPane).can_focus = False
        prompt = " ".join(visible_line(instance.prompt[:600]).split())
        self.query_one("#prompt-lines", Static).update(Content(shortened(prompt, 220)))
        self.query_one(KeyBar).show_instead(list(_KEYS))
        await self._offer_draft()
        await self._show_part()

    async def _offer_draft(self) -> None:
        draft = self.drafts.found(self.row.source.id)
        if draft is None:
            return
        try:
            parts = Parts(self.opened, draft.after)
        except (KeyError, TypeError, ValueError):
            return
        age = age_text(self.clock() - draft.time)
        if self._proposed:
            self.app.push_screen(
                ChoiceScreen(
                    f"There is an unsaved draft of this instance, {age}.", [("d", "the draft"), ("p", "the proposal")]
                ),
                lambda key: self._take_draft(parts) if key == "d" else None,
            )
            return
        self.parts = parts
        stale = any(draft.before.get(name) != self.opened[name] for name in draft.after)
        since = " The instance was changed since." if stale else ""
        self._tell(f"Your unsaved draft is back, {age}.{since} escape then d discards it.", "$warning")

    def _take_draft(self, parts: Parts) -> None:
        self.parts, self._areas = parts, {}
        self.place = min(self.place, len(parts) - 1)
        self.run_worker(self._show_part(anew=True), group="editor.part", exclusive=True)

    async def _show_part(self, anew: bool = False) -> None:
        areas = self.query_one("#areas", Vertical)
        # An area that is painted while it goes or comes lacks its styles, and would end the app.
        with self.app.batch_update():
            if anew:
                await areas.remove_children()
            part = self.parts[self.place]
            area = self._areas.get(part)
            for other in areas.children:
                other.display = other is area
            if area is None:
                area = self._areas[part] = self._new_area(part)
                await areas.mount(area)
                area.move_cursor((0, 0))
        area.focus()
        self._paint_parts()
        self._paint_figures()

    def _new_area(self, part: Part) -> ExactArea:
        area = ExactArea(part)
        if len(part.shown) > LONGEST:
            area.read_only = True
            self._tell(f"This text has {len(part.shown):,} characters, too many to edit here; it is left as it is.")
        return area

    def _paint_parts(self) -> None:
        changed = self.parts.changes()
        labels = []
        for place, part in enumerate(self.parts.parts):
            mark = "*" if part.name in changed and (part.name in TEXTS or part.shown != part.text.shown) else ""
            labels.append(f"[{part.label}]{mark}" if place == self.place else f"{part.label}{mark}")
        width = max(8, self.size.width - 2)
        # With many turns, those around the current one.
        first = 0 if len("  ".join(labels)) <= width else self.place
        while first > 0 and len("  ".join(labels[first - 1 : self.place + 1])) < width // 2:
            first -= 1
        before = "‹ " if first else ""
        text = before + "  ".join(labels[first:])
        line = Content(shortened(text, width))
        start = len(before) + len("  ".join(labels[first : self.place])) + (2 if first < self.place else 0)
        self.query_one("#parts", Static).update(line.stylize("bold $primary", start, start + len(labels[self.place])))

    def _paint_figures(self) -> None:
        part = self.parts[self.place]
        instance = self.row.source if part.name == "response" else None
        line = length_line(part.raw, instance) if len(part.shown) <= LONGEST else Content()
        marks = part.text.explained()
        if marks:
            line += Content.styled(f"\n{marks}", "$warning")
        self.query_one("#figures", Static).update(line)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        area = event.text_area
        if isinstance(area, ExactArea):
            area.part.shown = area.text
            if self._pausing is not None:
                self._pausing.stop()
            self._pausing = self.set_timer(_PAUSE, self._paused)

    def _paused(self) -> None:
        self._keep_draft()
        self._paint_parts()
        self._paint_figures()

    def _keep_draft(self) -> None:
        changes = self.parts.changes()
        id = self.row.source.id
        if not changes:
            self.drafts.forget(id)
            return
        try:
            self.drafts.keep(Draft(id, {name: self.opened[name] for name in changes}, changes, self.clock()))
        except OSError as error:
            if not self._draft_told:
                self._draft_told = True
                self._tell(f"No draft is kept while you type: {error.strerror}.", "$warning")

    async def action_part(self, step: int) -> None:
        self.place = (self.place + step) % len(self.parts)
        await self._show_part()

    async def action_add_turn(self) -> None:
        self.place = self.parts.add_turn(self.place)
        await self._show_part()
        self._paused()

    async def action_add_first(self) -> None:
        self.place = self.parts.add_first()
        await self._show_part()
        self._paused()

    async def action_remove_turn(self) -> None:
        part = self.parts[self.place]
        if not self.parts.remove_turn(self.place):
            self._tell(f"The {part.label} belongs to every instance; only other turns can be removed.")
            return
        if part in self._areas:
            await self._areas.pop(part).remove()
        self.place = min(self.place, len(self.parts) - 1)
        await self._show_part()
        self._paused()

    def action_role(self) -> None:
        if not self.parts.next_role(self.place):
            self._tell("The role of the edited turn is settled; other turns can have another.")
        self._paused()

    def action_leave(self) -> None:
        changes = self.parts.changes()
        if not changes:
            self._close(False)
            return
        question = f"The {names_of(list(changes))} changed. Save?"
        self.app.push_screen(ChoiceScreen(question, _LEAVING, enter=True), self._chosen)

    async def _chosen(self, key: str | None) -> None:
        match key:
            case "s":
                self.action_save()
            case "d":
                self._close(False)
            case "t":
                await self.action_add_turn()
            case "T":
                await self.action_add_first()
            case "o":
                self.action_role()
            case "r":
                await self.action_remove_turn()

    def action_save(self) -> None:
        changes = self.parts.changes()
        if not changes:
            self._close(False)
            return
        if not self._ask_about_theirs(changes):
            self._write(changes)

    def _ask_about_theirs(self, changes: dict[str, Any]) -> bool:
        """Asks where another workbench changed the same fields since they were opened; False where none did."""
        theirs = self.edited.row(self.at)
        values = values_of(theirs.instance)
        meeting = [name for name in changes if values[name] != self.opened[name]]
        if not meeting:
            return False
        who = theirs.edits[-1].user if theirs.edits else ""
        question = (
            f"Meanwhile {visible_line(who) or 'another workbench'} changed the {names_of(meeting)} too. "
            "Your text is kept here until you decide."
        )
        choices = [("o", "save yours over it"), ("l", "look at theirs")]
        self.app.push_screen(ChoiceScreen(question, choices), lambda key: self._met(key, changes))
        return True

    def _met(self, key: str | None, changes: dict[str, Any]) -> None:
        if key == "o":
            self._write(changes)
        elif key == "l":
            self.add_class("-wide")
            self.query_one(ReadingPane).show(instance_text(self.edited[self.at]).content)
            self._tell("Theirs stands at the left; F2 asks again.")

    def _write(self, changes: dict[str, Any], again: bool = True) -> None:
        before = self.edited.row(self.at).edits
        try:
            self._save(changes)
        except UserError as error:
            # Writing is what brings another workbench's edits in.
            if again and self.edited.row(self.at).edits != before:
                if not self._ask_about_theirs(changes):
                    self._write(changes, again=False)
                return
            self._tell(f"Not saved, your text is still here: {error}", "$error")
        else:
            self._close(True)

    def _save_by_hand(self, changes: dict[str, Any]) -> None:
        self.edited.edit(self.at, changes, by="hand")

    def _close(self, saved: bool) -> None:
        if self._pausing is not None:
            self._pausing.stop()
        self.drafts.forget(self.row.source.id)
        self.dismiss(saved)

    def on_resize(self) -> None:
        if self.is_mounted:
            self._paint_parts()

    def _tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)
