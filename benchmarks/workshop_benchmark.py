"""The workbench on datasets of 100,000 and 1,000,000 instances: first rows, keys and memory, VisiData beside it.

Both programs run as a user would see them, in a pseudo-terminal of their own of a fixed size. A clock starts before
the process and stops when the first row stands at the terminal; another starts with each key and tells when the first
and the last of what it changes arrive there, the last when nothing more has come for a while.

    python benchmarks/workshop_benchmark.py --shared ../shared/data [--visidata PATH/vd] [--rows 100000 1000000]
    python benchmarks/workshop_benchmark.py --shared ../shared/data --layers     # without a terminal: the parts alone

Files are sampled with a fixed seed from the real data, about 0.9 kB a row, and lie in a temporary folder. They were
just written, so both programs read them from the page cache; "cold" is without a parsed copy in itaudit's own cache.
"""

import argparse
import fcntl
import os
import pty
import random
import select as waiting
import shutil
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson
import psutil

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, LINES = 120, 40
PATIENCE = 60.0
SEED = 3
REST = 0.03
"""Seconds without any change after which a screen is at rest."""


def word(row: int) -> bytes:
    """What the instruction of a row begins with."""
    return f"q{row:07}".encode()


def make_file(path: Path, shared: Path, rows: int) -> None:
    """Writes JSON lines of instances sampled from the real data; two or three responses make one."""
    real = [
        row
        for name in ("dolly_3k.json", "alpaca_claude_t45.json")
        for row in orjson.loads((shared / name).read_bytes())
    ]
    generator = random.Random(SEED)
    with path.open("wb") as file:
        for number in range(rows):
            row = generator.choice(real)
            others = generator.choices(real, k=generator.choice((1, 2)))
            made = {
                "instruction": f"{word(number).decode()} {row['instruction']}",
                "input": row["input"],
                "output": "\n\n".join([row["output"], *(other["output"] for other in others)]),
                "category": row.get("category", "none"),
            }
            file.write(orjson.dumps(made) + b"\n")


class Paint(NamedTuple):
    """Seconds from a key to the first of what it changes on the screen, and to the last."""

    first: float
    last: float


class Program:
    """A program in a pseudo-terminal."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self.command = command
        self.started = time.perf_counter()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(environment, TERM="xterm-256color")
            os.execv(command[0], list(command))
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.process = psutil.Process(self.pid)
        self._tail = b""

    def wait_for(self, text: bytes) -> tuple[float, float]:
        """Reads until a text is shown; seconds since the start, and seconds of processor time. Raises TimeoutError."""
        seen = b""
        while text not in seen:
            if time.perf_counter() - self.started > PATIENCE:
                raise TimeoutError(f"{text!r} did not come within {PATIENCE} s: {seen[-1500:]!r}")
            if waiting.select([self.terminal], [], [], 0.05)[0]:
                seen += os.read(self.terminal, 1 << 16)
        taken = time.perf_counter() - self.started
        return taken, self.spent()

    def spent(self) -> float:
        """Seconds of processor time that it has taken."""
        times = self.process.cpu_times()
        return times.user + times.system

    def press(self, keys: bytes) -> "Paint":
        """What a key takes to change the screen. Raises TimeoutError where nothing comes of it."""
        self.drain(REST)
        began = time.perf_counter()
        os.write(self.terminal, keys)
        paints: list[float] = []
        while waiting.select([self.terminal], [], [], REST if paints else PATIENCE)[0]:
            os.read(self.terminal, 1 << 16)
            paints.append(time.perf_counter() - began)
        if not paints:
            raise TimeoutError(f"{keys!r} changed nothing within {PATIENCE} s")
        return Paint(paints[0], paints[-1])

    def type(self, keys: bytes) -> None:
        """Keys whose effect is not waited for, but for a moment."""
        for key in keys:
            os.write(self.terminal, bytes([key]))
            self.drain(0.03)

    def drain(self, seconds: float) -> None:
        """Lets the program run and reads what it shows."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            if waiting.select([self.terminal], [], [], left)[0]:
                os.read(self.terminal, 1 << 16)

    def memory(self) -> tuple[int, int]:
        """Bytes of the process itself: resident, and those of them that no file backs."""
        anonymous = next(
            int(line.split()[1])
            for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
            if line.startswith("Anonymous:")
        )
        return self.process.memory_info().rss, 1024 * anonymous

    def is_busy(self) -> bool:
        """Whether it, or a process that it started, is at work. Raises RuntimeError where it has died."""
        if self.process.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError(f"{self.command[0]} died")
        family = [self.process, *self.process.children(recursive=True)]
        return bool(family[1:]) or self.process.cpu_percent(0.5) > 20

    def close(self) -> None:
        for child in self.process.children(recursive=True):
            child.kill()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@contextmanager
def running(command: Sequence[str], environment: dict[str, str]) -> Iterator[Program]:
    program = Program(command, environment)
    try:
        yield program
    finally:
        program.close()


@dataclass
class Keys:
    """How each program is told to go somewhere."""

    down: bytes
    page: bytes
    jump: Callable[[int], tuple[bytes, bytes]]
    """Keys to ask for a row with, and the last one, whose effect is timed."""


ITAUDIT = Keys(b"j", b"\x1b[6~", lambda row: (f"g{row}".encode(), b"\r"))
VISIDATA = Keys(b"j", b"\x06", lambda row: (f"zr{row}".encode(), b"\r"))


@dataclass
class Timing:
    """What one run of a program showed: seconds, and bytes. While it streams in, rows that come repaint as well."""

    first: float = 0.0
    processor: float = 0.0
    key_processor: float = 0.0
    whole: float = 0.0
    streaming: list[Paint] = field(default_factory=list)
    scrolling: list[Paint] = field(default_factory=list)
    jumping: list[Paint] = field(default_factory=list)
    memory: tuple[int, int] = (0, 0)


def measure(command: Sequence[str], environment: dict[str, str], keys: Keys, rows: int) -> Timing:
    """Opens a file, presses keys while it streams in, waits for the whole of it, presses more, and looks at memory."""
    timing = Timing()
    generator = random.Random(SEED)
    with running(command, environment) as program:
        timing.first, timing.processor = program.wait_for(word(0))
        while program.is_busy() and len(timing.streaming) < 60:
            timing.streaming.append(program.press(keys.down))
        while program.is_busy():
            program.drain(0.2)
        timing.whole = time.perf_counter() - program.started
        before = program.spent()
        timing.scrolling = [program.press(key) for key in [keys.down] * 60 + [keys.page] * 30]
        timing.key_processor = (program.spent() - before) / len(timing.scrolling)
        for _ in range(30):
            asked, last = keys.jump(generator.randrange(rows))
            program.type(asked)
            timing.jumping.append(program.press(last))
        timing.memory = program.memory()
    return timing


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def report(name: str, timings: Sequence[Timing]) -> None:
    """One line for each thing that was measured; the fastest start and the keys of all rounds."""
    best = min(timings, key=lambda timing: timing.first)
    print(f"  {name}")
    print(
        f"    first rows {best.first:6.2f} s   {best.processor:.2f} s of processor time"
        f"   (all rounds {' '.join(f'{t.first:.2f}' for t in timings)})"
    )
    print(f"    all read   {min(t.whole for t in timings):6.1f} s")
    for label in ("streaming", "scrolling", "jumping"):
        paints = [paint for timing in timings for paint in getattr(timing, label)]
        for moment in ("first", "last") if paints else ():
            values = [1000 * getattr(paint, moment) for paint in paints]
            print(
                f"    {label:<10} {statistics.median(values):6.1f} ms median {percentile(values, 0.95):7.1f} ms at 95 %"
                f"   to the {moment} change, of {len(values)} keys"
            )
    print(f"    scrolling  {1000 * min(t.key_processor for t in timings):6.1f} ms of processor time a key")
    resident, anonymous = (min(t.memory[place] for t in timings) / 1e6 for place in (0, 1))
    print(f"    memory     {resident:6.0f} MB resident, {anonymous:.0f} MB of them not backed by files")


def compare(file: Path, rows: int, folder: Path, visidata: Path | None, rounds: int) -> None:
    """Prints the same file in both programs, one after the other in turns."""
    cache = folder / "cache"
    environment = {
        "PYTHONPATH": str(ROOT),
        "ITAUDIT_CACHE_DIR": str(cache),
        "ITAUDIT_CONFIG_DIR": str(folder / "config"),
        "ITAUDIT_STATE_DIR": str(folder / "state"),
        "HOME": str(folder),
    }
    ours = [sys.executable, "-m", "itaudit", "open", str(file)]
    results: dict[str, list[Timing]] = {"itaudit, cold": [], "itaudit, cached": [], "VisiData": []}
    for _ in range(rounds):
        shutil.rmtree(cache, ignore_errors=True)
        results["itaudit, cold"].append(measure(ours, environment, ITAUDIT, rows))
        results["itaudit, cached"].append(measure(ours, environment, ITAUDIT, rows))
        if visidata is not None:
            theirs = [str(visidata), "--config", os.devnull, "-f", "jsonl", str(file)]
            results["VisiData"].append(measure(theirs, environment, VISIDATA, rows))
    print(f"\n{rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB, terminal of {COLUMNS}×{LINES}, {rounds} rounds")
    for name, timings in results.items():
        if timings:
            report(name, timings)
    if visidata is None:
        print("  VisiData was not measured: name it with --visidata")
        return
    reference = results["VisiData"]
    for name in ("itaudit, cold", "itaudit, cached"):
        mine = results[name]

        def ratio(value: Callable[[Timing], float], mine: Sequence[Timing] = mine) -> str:
            return f"{min(map(value, mine)) / min(map(value, reference)):.2f}"

        def keys(timings: Sequence[Timing]) -> float:
            return percentile([paint.last for t in timings for paint in (*t.scrolling, *t.jumping)], 0.95)

        print(
            f"  {name} to VisiData: first rows {ratio(lambda t: t.first)}, all read {ratio(lambda t: t.whole)},"
            f" keys at 95 % {keys(mine) / keys(reference):.2f}, memory {ratio(lambda t: t.memory[0])}"
        )


def layers(file: Path, rows: int, folder: Path) -> None:
    """Prints what the parts below the screen take, each alone."""
    os.environ["ITAUDIT_CACHE_DIR"] = str(folder / "cache")
    shutil.rmtree(folder / "cache", ignore_errors=True)
    from itaudit.data.cache import Cached
    from itaudit.data.edited import EditedDataset
    from itaudit.data.overlay import Overlay

    def timed(what: str, call: Callable[[], object]) -> None:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        print(f"  {what:<44} {1000 * min(times):9.1f} ms")

    print(f"\n{rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB")
    for state in ("cold", "cached"):
        began = time.perf_counter()
        cached = Cached.open(file)
        while cached.dataset is None:
            cached.wait(10)
        print(f"  {f'first {len(cached.dataset):,} rows, {state}':<44} {1000 * (time.perf_counter() - began):9.1f} ms")
        dataset, measures = cached.whole()
        print(f"  {f'all rows, {state}':<44} {1000 * (time.perf_counter() - began):9.1f} ms")
    from itaudit.data.selection import facets, parse_filter, select

    edited = EditedDataset(dataset, Overlay(folder / "overlay"))
    for text in (
        "words>300",
        "category:open_qa,closed_qa words:50..100",
        "zamboni",
        "/zam+boni/",
        "response~/as an ai/",
    ):
        timed(f"filter {text}", lambda text=text: select(edited, measures, parse_filter(text)))
    for sort in ("-words", "category", "id"):
        timed(f"sort by {sort}", lambda sort=sort: select(edited, measures, parse_filter(""), sort))
    timed("facets of category", lambda: facets(measures, None, "category"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shared", type=Path, required=True, help="the folder of real data")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--visidata", type=Path, help="the vd program to compare with")
    parser.add_argument("--layers", action="store_true", help="measure the parts below the screen instead")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as directory:
        for rows in options.rows:
            file = Path(directory) / f"{rows}.jsonl"
            make_file(file, options.shared, rows)
            if options.layers:
                layers(file, rows, Path(directory))
            else:
                compare(file, rows, Path(directory), options.visidata, options.rounds)


if __name__ == "__main__":
    main()
