"""The log of a dataset's edits: conflicts first, then everything that was done, newest first."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.data.edited import Conflict, EditedDataset
from itaudit.data.overlay import Edit, Entry, Named, Reversal
from itaudit.errors import UserError
from itaudit.sanitize import visible_line
from itaudit.tui.diff_text import fields_diff
from itaudit.tui.editor_parts import names_of
from itaudit.tui.screens.choice import ChoiceScreen
from itaudit.tui.widgets.key_bar import KeyBar
from itaudit.tui.widgets.line_list import LineList
from itaudit.tui.widgets.prompt_line import PromptLine
from itaudit.tui.widgets.reading_pane import ReadingPane
from itaudit.units import age_text

_NAME = "log.name"
_BACK = {"undo": ("↶ ", "$warning"), "redo": ("↷ ", "$success"), "drop": ("✗ ", "$warning")}


@dataclass
class Seen:
    """What came of looking at the log: positions that changed, and the one to stand on."""

    changed: set[int] = field(default_factory=set)
    position: int | None = None


class LogScreen(Screen[Seen]):
    """Shows the entries of an overlay, undoes them, settles conflicts and names versions."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    CSS = """
    LogScreen { layout: vertical; background: $background; }
    LogScreen #title { height: 1; padding: 0 1; background: $panel; }
    LogScreen #body { height: 1fr; }
    LogScreen #entries { width: 2fr; height: 1fr; min-width: 8; min-height: 2; }
    LogScreen #reading { width: 3fr; height: 1fr; min-width: 8; min-height: 2; border-left: solid $panel; }
    LogScreen #reading:focus { border-left: solid $primary; }
    LogScreen.-narrow #body { layout: vertical; }
    LogScreen.-narrow #entries, LogScreen.-narrow #reading { width: 1fr; }
    LogScreen.-narrow #reading { border-left: none; border-top: solid $panel; }
    LogScreen.-narrow #reading:focus { border-top: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "undo", "undo or redo", id="log.undo", tooltip="Undo this edit, or redo it where it was undone"),
        Binding("a", "reapply", "apply again", id="log.reapply", tooltip="Apply a conflicting edit all the same"),
        Binding("d", "drop", "drop", id="log.drop", tooltip="Drop a conflicting edit"),
        Binding("v", "name", "name version", id="log.name", tooltip="Name the state as it is now"),
        Binding("tab", "switch", "list/text", id="log.switch"),
        Binding("J,shift+down", "read(1)", "scroll text down", id="log.read_down", show=False),
        Binding("K,shift+up", "read(-1)", "scroll text up", id="log.read_up", show=False),
        Binding("escape", "back", "back", id="log.back"),
    ]

    def __init__(self, edited: EditedDataset, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.edited = edited
        self.clock = clock
        self.seen = Seen()
        self._conflicts: list[Conflict] = []
        self._edits: dict[str, Edit] = {}
        self._count = -1

    def compose(self) -> ComposeResult:
        yield Static(id="title", markup=False)
        with Horizontal(id="body"):
            yield LineList(self._line, can_stand=self._can_stand, id="entries")
            yield ReadingPane(id="reading")
        yield PromptLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self._load()
        self.query_one(LineList).focus()
        self.set_interval(1.0, self._load_more)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys that settle conflicts are there while there are any."""
        return bool(self._conflicts) if action in ("reapply", "drop") else super().check_action(action, parameters)

    def _load_more(self) -> None:
        if len(self.edited.overlay.entries) != self._count:
            self._load()

    def _load(self) -> None:
        entries = self.edited.overlay.entries
        self._count = len(entries)
        self._conflicts = self.edited.conflicts()
        self._edits = {entry.edit: entry for entry in entries if isinstance(entry, Edit)}
        lines = self.query_one(LineList)
        heading = len(self._conflicts) + 2 if self._conflicts else 1
        lines.show(heading + self._count)
        self.refresh_bindings()
        self._paint()

    def _paint(self) -> None:
        name = visible_line(str(self.edited.source.path).rpartition("/")[2])
        parts = [f"{self._count:,} {'entry' if self._count == 1 else 'entries'}"]
        if self._conflicts:
            parts.append(f"! {len(self._conflicts):,} {'conflict' if len(self._conflicts) == 1 else 'conflicts'}")
        if self.edited.overlay.unreadable:
            parts.append(f"{self.edited.overlay.unreadable:,} unreadable")
        title = Content.assemble(("log", "bold $primary"), f"  {name}  ", (" · ".join(parts), "$foreground-muted"))
        self.query_one("#title", Static).update(title, layout=False)
        self.query_one(ReadingPane).show(self._told(self.query_one(LineList).cursor))

    def _at(self, line: int) -> Conflict | Entry | str:
        """What stands in a line of the list: a conflict, an entry, or a heading."""
        if self._conflicts:
            if line == 0:
                return "conflicts: these edits are not applied"
            if line <= len(self._conflicts):
                return self._conflicts[line - 1]
            line -= len(self._conflicts) + 1
        if line == 0:
            return "newest first" if self._count else "nothing was changed yet"
        return self.edited.overlay.entries[self._count - line]

    def _can_stand(self, line: int) -> bool:
        return not isinstance(self._at(line), str)

    def _line(self, line: int, width: int) -> Content:
        here = self._at(line)
        if isinstance(here, str):
            return Content.styled(here, "$foreground-muted").truncate(max(1, width), ellipsis=True)
        content = self._summary(here)
        return content.truncate(max(1, width), ellipsis=True)

    def _summary(self, here: Conflict | Entry) -> Content:
        if isinstance(here, Conflict):
            return Content.assemble(("✗ ", "bold $error"), self._of(here.edit))
        if isinstance(here, Named):
            return Content.assemble(("◆ ", "bold $accent"), f"version {visible_line(here.name)}")
        if isinstance(here, Reversal):
            edit = self._edits.get(here.edit)
            mark, style = _BACK[here.op]
            return Content.assemble((mark, f"bold {style}"), f"{here.op} ", self._of(edit) if edit else "")
        mark = "● " if self._standing(here) else "○ "
        return Content.assemble((mark, "bold $primary"), self._of(here))

    def _of(self, edit: Edit) -> Content:
        return Content.assemble(
            (f"#{edit.index} ", "$foreground-muted"), names_of(list(edit.after)), f"  {visible_line(edit.by)}"
        )

    def _standing(self, edit: Edit) -> bool:
        chain = self.edited.overlay.chains.get(edit.id)
        return chain is not None and any(each.edit == edit.edit for each in chain.standing)

    def _told(self, line: int) -> Content:
        """The entry of a line, whole."""
        here = self._at(line) if self._count else ""
        if isinstance(here, str):
            words = "Edits made with s, e, d, t and m stand here, and can be undone." if not self._count else ""
            return Content.styled(words, "$foreground-muted")
        if isinstance(here, Named):
            name = visible_line(here.name)
            words = f"All entries below this one are the version {name}: FILE@{name} reads it.\n{self._when(here)}"
            return Content(words)
        edit = here.edit if isinstance(here, Conflict) else here
        if isinstance(edit, Reversal):
            found = self._edits.get(edit.edit)
            if found is None:
                return Content("The edit that this is about is not in the log.")
            words = f"{edit.op} of an edit of {age_text(self.clock() - found.time)}\n{self._when(edit)}"
            return Content.assemble(words, "\n\n", fields_diff(found.before, found.after))
        lines = [f"row {edit.index}, id {visible_line(edit.id)}, by {visible_line(edit.by)}", self._when(edit)]
        reasons = edit.checks.get("reasons") if isinstance(edit.checks, dict) else None
        if reasons:
            lines += [f"! {visible_line(str(reason))}" for reason in reasons]
        head = Content("\n").join(Content(line) for line in lines)
        if isinstance(here, Conflict):
            settle = "a applies it again, d drops it."
            head = Content.assemble((f"✗ Not applied: {here.reason}. {settle}\n", "bold $error"), head)
        return Content.assemble(head, "\n\n", fields_diff(edit.before, edit.after))

    def _when(self, entry: Edit | Reversal | Named) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))
        who = f" by {visible_line(entry.user)}" if entry.user else ""
        return f"{moment}, {age_text(self.clock() - entry.time)}{who}"

    def on_line_list_moved(self) -> None:
        self._paint()

    def on_line_list_opened(self) -> None:
        """Goes to the instance."""
        here = self._at(self.query_one(LineList).cursor)
        edit = here.edit if isinstance(here, Conflict | Reversal) else here
        found = self._edits.get(edit) if isinstance(edit, str) else edit
        self.seen.position = self.edited.position_of(found.id) if isinstance(found, Edit) else None
        if self.seen.position is None:
            self._tell("There is no instance to go to.")
        else:
            self.dismiss(self.seen)

    def action_undo(self) -> None:
        here = self._at(self.query_one(LineList).cursor) if self._count else ""
        if isinstance(here, Reversal):
            here = self._edits.get(here.edit, here)
        if not isinstance(here, Edit):
            self._tell("There is nothing to undo here; a and d settle conflicts.")
            return
        edit, chain = here, self.edited.overlay.chains[here.id]
        position = self.edited.position_of(edit.id)
        if position is None:
            self._tell("The source no longer holds this instance.", "$error")
        elif chain.undone and chain.undone[-1].edit == edit.edit:
            self._take(position, lambda: self.edited.redo(position), "Did it again.")
        elif not self._standing(edit):
            self._tell("This edit was undone, and others came after it.")
        else:
            place = next(at for at, each in enumerate(chain.standing) if each.edit == edit.edit)
            above = len(chain.standing) - place - 1
            if not above:
                self._take(position, lambda: self.edited.undo(position), "Undone.")
                return
            edits = "1 later edit" if above == 1 else f"{above} later edits"
            question = f"{edits} of this instance stand on it and would be undone with it."
            self.app.push_screen(
                ChoiceScreen(question, [("y", "undo them all")]),
                lambda key: self._take(position, lambda: self._undo(position, above + 1), "Undone.") if key else None,
            )

    def _undo(self, position: int, count: int) -> None:
        for _ in range(count):
            self.edited.undo(position)

    def _take(self, position: int, act: Callable[[], object], words: str) -> None:
        try:
            act()
        except UserError as error:
            self._tell(str(error), "$error")
        else:
            self._tell(words)
        self.seen.changed.add(position)
        self._load()

    def action_reapply(self) -> None:
        self._settle(self.edited.reapply, "Applied to what the source says now.")

    def action_drop(self) -> None:
        self._settle(self.edited.drop, "Dropped; u on its entry brings it back.")

    def _settle(self, act: Callable[[Conflict], object], words: str) -> None:
        here = self._at(self.query_one(LineList).cursor) if self._count else ""
        if not isinstance(here, Conflict):
            self._tell("This is no conflict; those stand first, marked ✗.")
            return
        try:
            act(here)
        except UserError as error:
            self._tell(str(error), "$error")
        else:
            self._tell(words)
        position = self.edited.position_of(here.edit.id)
        if position is not None:
            self.seen.changed.add(position)
        self._load()

    def action_name(self) -> None:
        self.query_one(PromptLine).ask(_NAME, "name of this version:")

    def on_prompt_line_answered(self, message: PromptLine.Answered) -> None:
        self.query_one(LineList).focus()
        name = message.answer.strip()
        if message.question != _NAME or not name:
            return
        try:
            self.edited.overlay.name(name)
        except UserError as error:
            self._tell(str(error), "$error")
        else:
            self._load()
            file = str(self.edited.source.path).rpartition("/")[2]
            self._tell(f"Named; {file}@{name} reads this state at any time.")

    def on_prompt_line_cancelled(self) -> None:
        self.query_one(LineList).focus()

    def action_switch(self) -> None:
        reading, lines = self.query_one(ReadingPane), self.query_one(LineList)
        (lines if reading.has_focus else reading).focus()

    def action_read(self, step: int) -> None:
        self.query_one(ReadingPane).scroll_relative(y=3 * step, animate=False)

    def action_back(self) -> None:
        if self.query_one(ReadingPane).has_focus:
            self.action_switch()
        else:
            self.dismiss(self.seen)

    def _tell(self, text: str, style: str = "") -> None:
        self.query_one(PromptLine).say(text, style)
