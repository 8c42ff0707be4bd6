"""The keys of an experiment's screen that concern its job, and the line at the foot that answers them."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from itaudit.errors import UserError
from itaudit.experiments import jobs
from itaudit.experiments.experiment import Experiment
from itaudit.experiments.progress import ExperimentProgress
from itaudit.sanitize import visible_line
from itaudit.tui.experiment_text import job_text


class ExperimentJob(Screen[None]):
    """`c`, `R` and `escape`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cancel", "cancel", id="experiment.cancel", tooltip="Cancel the job; it can be resumed"),
        Binding("R", "resume", "resume", id="experiment.resume", tooltip="Start the job, or go on with it"),
        Binding("escape", "back", "back", id="experiment.back"),
    ]
    experiment: Experiment
    progress: ExperimentProgress
    _asked_cancel = False
    _cancelling = False

    def draw(self) -> None:
        """Brings the page up to date."""
        raise NotImplementedError

    def look(self) -> None:
        """Takes in what the worker has written."""
        raise NotImplementedError

    def action_cancel(self) -> None:
        if not self.progress.at_work:
            self.say(f"Nothing to cancel: the job is {job_text(self.progress)}.")
        elif not self._asked_cancel:
            self._asked_cancel = True
            self.say("Cancel the experiment? What is done stays. c again cancels, escape goes on.")
        else:
            self._asked_cancel = False
            try:
                jobs.cancel(self.experiment)
            except UserError as error:
                self.say(str(error), "$error")
            else:
                self._cancelling = True
                self.say("Cancelling: the worker finishes its step and saves.")
                self.draw()

    def action_resume(self) -> None:
        if self.progress.at_work:
            self.say(f"Nothing to resume: the job is {job_text(self.progress)}.")
            return
        try:
            pid = jobs.start(self.experiment)
        except UserError as error:
            self.say(str(error), "$error")
        else:
            self.say(f"Worker started (pid {pid}).")
            self.look()

    def action_back(self) -> None:
        if self._asked_cancel:
            self._asked_cancel = False
            self.say("")
        else:
            self.app.pop_screen()

    def say(self, text: str, style: str = "$warning") -> None:
        """Shows a line at the foot, until there is another; an empty one takes it away."""
        if not self.is_mounted:
            return
        message = self.query_one("#message", Static)
        message.update(Content.styled(visible_line(text), style))
        message.set_class(bool(text), "-said")
