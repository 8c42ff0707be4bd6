"""A source of a span in its dataset: the file, where it can be mended, or the copy that the run was tuned on."""

from collections.abc import Callable, Sequence

from itaudit.data.cache import Cached
from itaudit.data.instance import Instance
from itaudit.data.overlay import SOURCE
from itaudit.runs.run import Run
from itaudit.runs.source_file import Found, SourceFile, find_instance
from itaudit.trace.types import Evidence
from itaudit.tui.screens.dataset import DatasetScreen

Mend = Callable[[Instance], None]


class SourceFileScreen(DatasetScreen):
    """The dataset file with its edits, on the instance that a run was tuned on."""

    def __init__(self, file: SourceFile, instance: Instance, highlights: Sequence[Evidence]) -> None:
        cached = Cached.open(file.name, format=file.format, split=file.split)
        super().__init__(cached, index=instance.index, highlights=highlights)
        self.file = file
        self.instance = instance
        self.sought: Found | None = None

    def seek_index(self) -> None:
        if self.sought is not None or self.edited is None:
            return
        found = find_instance(self.edited, self.instance, self.file, whole=self.complete)
        if found is None:
            return
        self.sought = found
        if found.position is not None:
            # Offsets count in the text that the run had; in another they would point anywhere.
            instance = self.edited[found.position]
            self.highlights = tuple(each for each in self.highlights if _stands(instance, each))
            self.index = self.edited.source[found.position].index
            self.stand_on(found.position)
            self.repaint()
        if found.remark:
            self.tell(found.remark, "$error" if found.position is None else "$warning")


class RunCopyScreen(DatasetScreen):
    """The instances as a run was tuned on them. They stay as they are; mending leads to the file."""

    READ_ONLY = "This is what the run was tuned on, and stays as it is; s opens the file, where it can be mended."

    def __init__(self, run: Run, index: int, highlights: Sequence[Evidence], mend: Mend) -> None:
        super().__init__(run.dataset, index=index, highlights=highlights, version=SOURCE)
        self.mend = mend

    def title_name(self, name: str) -> str:
        return f"{name}, as it was tuned on"

    def action_simplify(self) -> None:
        position = self.position()
        if self.edited is not None and position is not None:
            self.mend(self.edited[position])

    action_edit = action_simplify

    def _tell_read_only(self) -> None:
        self.tell(self.READ_ONLY)

    action_undo = action_redo = action_delete = action_tags = action_note = _tell_read_only
    action_batch = action_review = action_log = _tell_read_only


def _stands(instance: Instance, evidence: Evidence) -> bool:
    """Whether a piece of evidence stands where it did."""
    from itaudit.tui.widgets.sources_panel import field_text

    text = field_text(instance, evidence.field)
    return text is not None and text[evidence.start : evidence.end] == evidence.text
