"""Duplicates on the dataset screen: looked for when asked, then shown group by group."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content

from itaudit.data.cache import Cached
from itaudit.tui.counting import Counting
from itaudit.tui.dataset_view import DatasetView
from itaudit.tui.listing import Listing
from itaudit.tui.widgets.prompt_line import PromptLine

if TYPE_CHECKING:
    from itaudit.data.duplicates import Duplicates, Group

_ASK = "duplicates"
_THRESHOLD = 0.8


class DuplicateActions(DatasetView):
    """`D`: groups of instances that say the same, or nearly."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("D", "duplicates", "duplicates", id="dataset.duplicates", tooltip="Look for exact and near duplicates"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.duplicates: Duplicates | None = None
        self.grouping = False
        self._groups: dict[int, Group] = {}
        self._looking: Counting[Duplicates] = Counting(
            self, self._take_duplicates, fail=self._no_duplicates, tell=self._tell_share
        )

    def action_duplicates(self) -> None:
        if self.edited is None:
            return
        if not self.complete:
            self.tell("Duplicates are looked for among all rows; some are still being read.")
            return
        hint = "how alike to be at least, 0 to 1: the share of three-word runs in common; 1 finds exact copies alone"
        self.query_one(PromptLine).ask(_ASK, "duplicates, alike by:", answer=f"{_THRESHOLD}", hint=hint)

    @on(PromptLine.Answered)
    def _threshold_answered(self, message: PromptLine.Answered) -> None:
        if message.question != _ASK:
            return
        try:
            threshold = float(message.answer.strip() or _THRESHOLD)
        except ValueError:
            threshold = 0.0
        if not 0 < threshold <= 1:
            prompt = self.query_one(PromptLine)
            prompt.ask(_ASK, "duplicates, alike by:", answer=message.answer, replace=False)
            prompt.hint(f"{message.answer!r}: expected a number above 0 and up to 1, such as 0.8", "$error")
            return
        self.look_for_duplicates(threshold)

    def look_for_duplicates(self, threshold: float = _THRESHOLD, *, show: bool = True) -> None:
        """Looks for them beside the screen; `show` lists the groups once they are found."""
        edited = self.edited
        if edited is None or self._looking.busy:
            return
        self._to_show = show
        if isinstance(self.feed, Cached):
            from itaudit.data.compute import compute_duplicates

            self._looking.start_child(compute_duplicates(self.source_name(), threshold=threshold))
            return

        def count(tell: Callable[[float], None]) -> "Duplicates":
            from itaudit.data.duplicates import find_duplicates

            return find_duplicates(
                edited, threshold=threshold, progress=lambda reached: tell(reached / max(1, len(edited)))
            )

        self._looking.start_thread(count)

    def stop_looking(self) -> None:
        """Ends what is still being looked for."""
        self._looking.close()

    def _tell_share(self, share: float) -> None:
        if not self.query_one(PromptLine).question:
            self.tell(f"Looking for duplicates … {100 * share:.0f} %")

    def _no_duplicates(self, problem: str) -> None:
        self.tell(problem, "$error")

    def _take_duplicates(self, duplicates: "Duplicates") -> None:
        assert self.edited is not None
        self.duplicates, self.grouped_known = duplicates, True
        self._groups = {p: group for group in duplicates.groups for p in (group.first, *group.copies)}
        self.grouped = np.zeros(len(self.edited), dtype=bool)
        self.grouped[duplicates.members] = True
        self.copies = duplicates.copies
        copies, groups = len(self.copies), len(duplicates.groups)
        if not groups:
            self.tell("No instance has a duplicate.")
        self.grouping = self._to_show and groups > 0
        self.reselect()
        if groups:
            exact = sum(group.exact for group in duplicates.groups)
            ends = "; escape ends the grouping" if self.grouping else ""
            self.tell(f"{copies:,} copies in {groups:,} groups, {exact:,} of them exact{ends}")

    def stop_grouping(self) -> None:
        """Lists what the filter leaves, in its order."""
        self.grouping = False
        self.relist()

    def in_groups(self, listing: Listing) -> Listing:
        """Of what is listed, what has duplicates, group by group."""
        if not self.grouping or self.duplicates is None:
            return listing
        members = self.duplicates.members
        return Listing(members[np.isin(members, listing.positions)], ascending=False)

    def group_text(self, position: int) -> Content | None:
        """Which instances an instance is like."""
        group = self._groups.get(position)
        if group is None or self.edited is None:
            return None
        index = self.edited.source.table.column("index")
        if position == group.first:
            alike = len(group.copies)
            words = f"≡ {alike:,} {'copy' if alike == 1 else 'copies'} of this, the first is row "
            words += f"{index[group.copies[0]].as_py()}"
        else:
            similarity = group.similarities[group.copies.index(position)]
            words = f"= like row {index[group.first].as_py()} by {100 * similarity:.0f} %"
        return Content.styled(f"{words}\n\n", "$accent")

    def reselect(self) -> None:
        """Selects anew: the filter, the sort or the data have changed."""
        raise NotImplementedError

    def relist(self, *, top: bool = False) -> None:
        """Lists anew what is selected."""
        raise NotImplementedError
