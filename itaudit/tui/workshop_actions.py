"""Mending a dataset: what the keys of the dataset screen do to the instance under the cursor, and to many."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.binding import Binding, BindingType

from itaudit.data.edited import EditedDataset
from itaudit.data.overlay import Edit
from itaudit.errors import UserError
from itaudit.tui.dataset_view import DatasetView
from itaudit.tui.editor_parts import names_of
from itaudit.tui.editor_text import EditorText
from itaudit.tui.tags import TagSuggester, known_tags, tags_of
from itaudit.tui.widgets.prompt_line import PromptLine

if TYPE_CHECKING:
    from itaudit.tui.engines import Engines
    from itaudit.tui.screens.review import Reviewed

REFRESH_SECONDS = 1.0
"""How often the edits of other workbenches are looked for: one look at the size of a file."""
_TAGS = "workshop.tags"
_NOTE = "workshop.note"


class Workshop(DatasetView):
    """The dataset screen's half that changes things: everything here is kept in the overlay, and can be undone."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "simplify", "simplify", id="dataset.simplify"),
        Binding("e", "edit", "edit", id="dataset.edit"),
        Binding("u", "undo", "undo", id="dataset.undo"),
        Binding("U", "redo", "redo", id="dataset.redo", show=False, tooltip="Redo"),
        Binding("d", "delete", "delete", id="dataset.delete", tooltip="Delete or restore"),
        Binding("t", "tags", "tags", id="dataset.tags"),
        Binding("m", "note", "note", id="dataset.note"),
        Binding("b", "batch", "batch", id="dataset.batch", tooltip="Simplify everything that is shown"),
        Binding("r", "review", "review", id="dataset.review", tooltip="Review the proposals of a batch"),
        Binding("v", "log", "log", id="dataset.log", tooltip="Edits, versions and conflicts"),
        Binding("x", "export", "export", id="dataset.export"),
    ]

    def on_mount(self) -> None:
        self._edits_seen: tuple[int, int, int] | None = None
        self._engines: Engines | None = None
        self._asked: EditorText | None = None
        self.set_interval(REFRESH_SECONDS, self._look_for_others)

    def _look_for_others(self) -> None:
        """Takes in what other workbenches wrote since."""
        if self.edited is None:
            return
        try:
            status = self.edited.overlay.path.stat()
        except OSError:
            return
        seen = (status.st_size, status.st_mtime_ns, status.st_ino)
        if seen == self._edits_seen:
            return
        self._edits_seen = seen
        with self.said():
            positions = self.edited.refresh()
            if positions:
                self.changed(positions)

    @contextmanager
    def said(self) -> Iterator[None]:
        """Shows a UserError that is raised inside as a line at the foot of the screen."""
        try:
            yield
        except UserError as error:
            self.tell(str(error), "$error")

    def here(self) -> tuple[EditedDataset, int] | None:
        """The dataset and the position under the cursor, if there is one to act on."""
        position = self.position()
        if self.edited is None or position is None:
            self.tell("There is no instance here yet.")
            return None
        return self.edited, position

    def action_simplify(self) -> None:
        here = self.here()
        if here is None:
            return
        edited, position = here
        if not edited[position].response:
            self.tell("This instance has no response to simplify.")
            return
        from itaudit.tui.screens.simplify import SimplifyScreen

        def back(words: str | None) -> None:
            self.changed({position})
            self.tell(words or "")

        with self.said():
            self.app.push_screen(SimplifyScreen(edited, position, self.engines()), back)

    def engines(self) -> "Engines":
        """The engines of the user's settings; their processes last as long as this screen."""
        if self._engines is None:
            from itaudit.tui.engines import Engines

            self._engines = Engines()
        return self._engines

    @on(events.Unmount)
    async def _end_engines(self) -> None:
        if self._engines is not None:
            await self._engines.end()

    def action_edit(self) -> None:
        here = self.here()
        if here is None:
            return
        edited, position = here
        from itaudit.tui.screens.editor import EditorScreen

        with self.said():
            screen = EditorScreen(edited, position)
            self.app.push_screen(screen, lambda saved: self._edited(position, "Saved", saved))

    def _edited(self, position: int, words: str, saved: bool | None) -> None:
        self.changed({position})
        if saved and self.edited is not None:
            self.tell(f"{words} row {self.edited.row(position).source.index}; u undoes.")

    def action_undo(self) -> None:
        here = self.here()
        if here is None:
            return
        edited, position = here
        with self.said():
            edit = edited.undo(position)
            self.changed({position})
            left = len(edited.row(position).edits)
            more = f"; {left} {'edit stands' if left == 1 else 'edits stand'} before it" if left else ""
            self.tell(f"Undid {told_edit(edit)}{more}; U redoes." if edit else "Nothing to undo in this instance.")

    def action_redo(self) -> None:
        here = self.here()
        if here is None:
            return
        edited, position = here
        with self.said():
            edit = edited.redo(position)
            self.changed({position})
            self.tell(f"Did {told_edit(edit)} again; u undoes." if edit else "Nothing to redo in this instance.")

    def action_delete(self) -> None:
        here = self.here()
        if here is None:
            return
        edited, position = here
        row = edited.row(position)
        with self.said():
            edited.edit(position, {"deleted": not row.deleted}, by="hand")
            self.changed({position})
            words = "Restored" if row.deleted else "Deleted"
            after = "" if row.deleted else "; d restores it, and exports leave it out"
            self.tell(f"{words} row {row.source.index}{after}.")

    def action_tags(self) -> None:
        here = self.here()
        if here is None:
            return
        edited, position = here
        tags = ", ".join(edited.row(position).tags)
        self._ask(_TAGS, "tags, parted by commas:", tags, TagSuggester(known_tags(edited)))

    def action_note(self) -> None:
        here = self.here()
        if here is not None:
            self._ask(_NOTE, "note:", here[0].row(here[1]).note)

    def _ask(self, question: str, label: str, answer: str, suggester: TagSuggester | None = None) -> None:
        with self.said():
            self._asked = EditorText(answer, one_line=True)
            self.query_one(PromptLine).ask(question, label, answer=self._asked.shown, suggester=suggester)

    def on_prompt_line_answered(self, message: PromptLine.Answered) -> None:
        if message.question not in (_TAGS, _NOTE) or self._asked is None:
            return
        here = self.here()
        if here is None:
            return
        edited, position = here
        answer = self._asked.raw_of(message.answer)
        changes = {"tags": tags_of(answer)} if message.question == _TAGS else {"note": answer.strip()}
        with self.said():
            if edited.edit(position, changes, by="hand") is not None:
                self.changed({position})
                self.tell(f"{'Tags' if message.question == _TAGS else 'Note'} kept; u undoes.")

    def action_batch(self) -> None:
        """Starts a batch of what is shown; where there are some already, lists them too."""
        self._batches(asks=True)

    def action_review(self) -> None:
        """Reviews the only batch, or lets one of several be chosen."""
        if self.edited is None:
            return
        from itaudit.simplify.batch import batches
        from itaudit.tui.screens.review import ReviewScreen

        found = batches(self.edited)
        if not found:
            self.tell("There are no proposals to review; b simplifies what is shown.")
        elif len(found) == 1:
            self.app.push_screen(ReviewScreen(self.edited, found[0]), self._reviewed)
        else:
            self._batches()

    def _batches(self, asks: bool = False) -> None:
        if self.edited is None:
            return
        from itaudit.tui.screens.batches import BatchesScreen

        with self.said():
            screen = BatchesScreen(self.edited, self.view.tolist(), self.selection_text, self.engines(), asks=asks)
            self.app.push_screen(screen, self._reviewed)

    def _reviewed(self, reviewed: "Reviewed | None") -> None:
        if reviewed is not None:
            self.changed(reviewed.changed)
            self.tell(reviewed.words)

    def action_export(self) -> None:
        if self.edited is None:
            return
        if not self.complete:
            self.tell("The dataset is still being read; export it when all rows are there.")
            return
        from itaudit.tui.screens.export import ExportScreen

        screen = ExportScreen(self.edited, self.view.tolist(), self.selection_text)
        self.app.push_screen(screen, lambda words: self.tell(words or ""))

    def action_log(self) -> None:
        if self.edited is None:
            return
        from itaudit.tui.screens.log import LogScreen, Seen

        def back(seen: Seen | None) -> None:
            if seen is not None:
                self.changed(seen.changed)
                if seen.position is not None and not self.stand_on(seen.position):
                    self.tell("The filter leaves this instance out.")

        self.app.push_screen(LogScreen(self.edited), back)


def told_edit(edit: Edit) -> str:
    """An edit in a few words: `the change of response by extractive`."""
    if "deleted" in edit.after:
        return "the deletion" if edit.after["deleted"] else "the restoring"
    return f"the change of {names_of(list(edit.after))} by {edit.by}"
