"""Process start to the first frame that shows something: a bare Textual app, and itaudit on a run, side by side.

Both run as a user would see them, in a pseudo-terminal of their own. The clock starts before the process does and
stops when a marker text arrives at the terminal: a word of the bare app, and a response's first words in itaudit, so
that an empty first frame counts for nothing. The two take turns, and the fastest of all rounds is compared, since
everything that disturbs a machine only ever adds to it. Processor time is given as well: it suffers less from
whatever else the machine does.

    python benchmarks/startup_benchmark.py [RUN] [--rounds 10]

Without RUN it builds one like those of the tests.
"""

import argparse
import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 120, 40
TIMEOUT = 30.0
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App[None]):
    def compose(self):
        yield Static("bare-marker")
Bare().run()
"""
ITAUDIT = """
import sys
from pathlib import Path
from itaudit.tui.app import ItauditApp
path = Path(sys.argv[1])
ItauditApp(path, path.parent).run()
"""


def seconds_to(marker: str, arguments: list[str]) -> tuple[float, float]:
    """Runs Python in a new pseudo-terminal until the marker stands there; seconds by the clock, and of processor time.

    Raises TimeoutError if it never comes.
    """
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        os.execv(sys.executable, [sys.executable, *arguments])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    seen, taken = b"", 0.0
    try:
        while not taken and time.perf_counter() - began < TIMEOUT:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536)
                if marker.encode() in seen:
                    taken = time.perf_counter() - began
    finally:
        os.kill(pid, signal.SIGKILL)
        usage = os.wait4(pid, 0)[2]
        os.close(terminal)
    if not taken:
        raise TimeoutError(f"{marker!r} did not appear within {TIMEOUT} s: {seen[-2000:]!r}")
    return taken, usage.ru_utime + usage.ru_stime


def marker_of(run_path: Path) -> str:
    """The first word that the stepper shows of the first prompt in its list."""
    from itaudit.runs.run import Run
    from itaudit.tui.stepping import Stepping

    prompt = Stepping(Run(run_path)).prompt
    if prompt is None:
        raise SystemExit(f"{run_path}: has no prompts yet")
    return prompt.prompt.split()[0]


def measure(run_path: Path, rounds: int) -> None:
    """Prints seconds of both and their ratio."""
    marker = marker_of(run_path)
    times: dict[str, list[tuple[float, float]]] = {"bare Textual app": [], "itaudit on a run": []}
    for _ in range(rounds):
        times["bare Textual app"].append(seconds_to("bare-marker", ["-c", BARE]))
        times["itaudit on a run"].append(seconds_to(marker, ["-c", ITAUDIT, str(run_path)]))
    for name, values in times.items():
        clock, processor = zip(*values, strict=True)
        print(
            f"{name:18} fastest {min(clock):.3f} s   median {statistics.median(clock):.3f} s   "
            f"processor {min(processor):.3f} s   of {rounds} rounds"
        )
    bare, ours = (min(clock for clock, _ in values) for values in times.values())
    print(f"itaudit takes {ours / bare:.2f} times a bare app, {ours - bare:.3f} s more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if options.run is not None:
        measure(options.run, options.rounds)
        return
    with tempfile.TemporaryDirectory() as directory:
        from tests.tui.make_run import make_run

        measure(make_run(Path(directory)).path, options.rounds)


if __name__ == "__main__":
    main()
