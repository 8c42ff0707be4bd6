"""Following a run: its state, read on from where the last look ended."""

from itaudit.runs.run import Run
from itaudit.runs.state import RunState, believed, replay


class Watch:
    """The state of a run as it can be believed, for screens and followers that look again and again."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.state = RunState()
        self._told = RunState()
        self._offset = 0

    def poll(self) -> bool:
        """Reads the new events and looks after the worker; whether anything changed.

        Raises UserError where the log can't be read.
        """
        if self._shrunk():
            self._told, self._offset = RunState(), 0
        self._read()
        job = self.run.believed_job(self._told)
        if job == "failed" != self._told.job:
            # A worker that ends between the two looks has written its last event before it went.
            self._read()
            job = self.run.believed_job(self._told)
        state = believed(self._told, job)
        changed, self.state = state != self.state, state
        return changed

    def _read(self) -> None:
        page = self.run.events(self._offset)
        self._told, self._offset = replay(page.events, self._told), page.offset

    def _shrunk(self) -> bool:
        """Whether the log is shorter than what was read of it: somebody made the run anew."""
        try:
            return self.run.events_path.stat().st_size < self._offset
        except FileNotFoundError:
            return self._offset > 0
