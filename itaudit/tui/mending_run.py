"""From a run to its mending: a source in its dataset file, the re-tune with what was edited, both runs side by side."""

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.worker import get_current_worker

from itaudit.data.instance import Instance
from itaudit.errors import UserError
from itaudit.runs.lineage import Place
from itaudit.runs.run import BASE
from itaudit.tui.step_view import StepView
from itaudit.tui.telling import say, told

if TYPE_CHECKING:
    from itaudit.trace.types import Source
    from itaudit.tui.screens.retune import Retune

_LOOK_AFTER = 1.5
"""Seconds after which re-tunes are looked for that are still at work: not while the screen appears."""


class MendingRun(StepView):
    """The stepper's keys that lead from what a model said to the data that taught it, and back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_source", "source", id="stepper.open", tooltip="Open the source as it was tuned on"),
        Binding("s", "mend_source", "mend source", id="stepper.mend", tooltip="Open the source in its file, to mend"),
        Binding("R", "retune", "re-tune", id="stepper.retune", tooltip="Tune again with the edited dataset"),
        Binding("C", "compare", "compare", id="stepper.compare", tooltip="Beside the run that this one was made from"),
    ]

    def on_mount(self) -> None:
        self.set_timer(_LOOK_AFTER, self._look_for_retunes)

    def source_here(self) -> "Source | None":
        """The source that is chosen; says where there is none."""
        sources = self.stepping.sources
        if not sources:
            say(self.app, "there is no source here to open; n goes to the next flagged token")
            return None
        return sources[self.stepping.source][2]

    def action_open_source(self) -> None:
        """Shows the chosen source as the run was tuned on it, where its evidence stands."""
        source = self.source_here()
        if source is None:
            return
        from itaudit.tui.screens.sources import RunCopyScreen

        with told(self.app):
            screen = RunCopyScreen(self.stepping.run, source.index, source.evidence, self._mend)
            self.app.push_screen(screen)

    def action_mend_source(self) -> None:
        """Opens the chosen source in the dataset's own file."""
        source = self.source_here()
        if source is None:
            return
        with told(self.app):
            dataset = self.stepping.run.dataset
            try:
                instance = dataset[dataset.position(source.index)]
            except KeyError:
                raise UserError(f"row {source.index} is not in {self.stepping.run.dataset_path}") from None
            self._mend(instance)

    def _mend(self, instance: Instance) -> None:
        from itaudit.runs.source_file import source_file
        from itaudit.tui.screens.sources import SourceFileScreen

        with told(self.app):
            file = source_file(self.stepping.run)
            sources = self.stepping.sources
            here = [source.evidence for _, _, source in sources if source.index == instance.index]
            self.app.push_screen(SourceFileScreen(file, instance, here[0] if here else ()))

    def place_here(self) -> Place | None:
        """The stretch that is selected, flagged or traced under the cursor; None where there is none."""
        stepping, answer = self.stepping, self.stepping.answer
        if answer is None or answer.label == BASE or not answer.positions:
            return None
        flag, sources = answer.flag_at(stepping.cursor), stepping.sources
        if stepping.anchor is not None:
            start, end = answer.text_range(*stepping.selection)
        elif flag is not None:
            start, end = flag.start, flag.end
        elif sources:
            span = sources[stepping.source][0]
            start, end = span.start, span.end
        else:
            return None
        return Place(answer.label, answer.prompt_id, start, end, answer.text[start:end])

    def action_retune(self) -> None:
        from itaudit.tui.screens.retune import RetuneScreen

        stepping = self.stepping
        with told(self.app):
            rows = tuple(dict.fromkeys(source.index for _, _, source in stepping.sources))
            screen = RetuneScreen(stepping.run, stepping.state, stepping.label, self.place_here(), rows)
            self.app.push_screen(screen, self._retune)

    def _retune(self, wanted: "Retune | None") -> None:
        if wanted is None:
            return
        from itaudit.runs import jobs
        from itaudit.runs.retune import retune
        from itaudit.tui.job_watch import watch_retune

        with told(self.app):
            child = retune(wanted.plan, wanted.labels, name=wanted.name, span=wanted.span)
            jobs.start(child)
            watch_retune(self.app, child)
            say(self.app, f"{child.name} is being tuned; C shows it beside {self.stepping.run.name} as answers arrive")

    def _look_for_retunes(self) -> None:
        """Watches re-tunes of this run that an earlier session started."""
        self.run_worker(self._find_retunes, thread=True, group="stepper.retunes", exit_on_error=False)

    def _find_retunes(self) -> None:
        from itaudit.runs.lineage import children_of
        from itaudit.tui.job_watch import watch_retune

        try:
            working = [run for run in children_of(self.stepping.run) if run.job() in ("queued", "running")]
        except (UserError, OSError):
            # One that is broken or vanishes says so where runs are listed.
            return
        if not get_current_worker().is_cancelled:
            for run in working:
                self.app.call_from_thread(watch_retune, self.app, run)

    def action_compare(self) -> None:
        from itaudit.tui.comparing import compare_from

        stepping = self.stepping
        prompt = stepping.prompt
        compare_from(self.app, stepping.run, stepping.label, prompt.id if prompt else None)
