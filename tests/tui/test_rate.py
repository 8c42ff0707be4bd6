"""Blind rating on the screen: keys rate, nothing tells the models, and what is shown is on the disk."""

import fcntl
import os
import pty
import random
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable

import orjson
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from itaudit.evaluation.aspects import ASPECTS
from itaudit.evaluation.blind import BlindAnswer, BlindRating, choose
from itaudit.runs.ratings import Choice, Ratings
from itaudit.runs.run import Run
from itaudit.tui.app import ItauditApp
from itaudit.tui.rating_app import RatingApp
from itaudit.tui.screens.rate import RateScreen
from itaudit.tui.screens.stepper import StepperScreen
from itaudit.tui.widgets.prompt_line import PromptLine
from tests.tui.harness import screen_text, until

Compare = Callable[..., bool]
LABELS = ("base", "lft", "sft")


def app_of(run: Run, rater: str = "ada", choice: Choice | None = None) -> RatingApp:
    ratings = Ratings(run.ratings_path)
    rating = BlindRating(run, ratings, rater, choice or choose(run, ratings, rater))
    return RatingApp(run, rating, run.path.parent)


def rate_screen(pilot: Pilot[None]) -> RateScreen:
    screen = pilot.app.screen
    assert isinstance(screen, RateScreen)
    return screen


def rating_of(pilot: Pilot[None]) -> BlindRating:
    rating = rate_screen(pilot).rating
    assert rating is not None
    return rating


def stand(pilot: Pilot[None], wanted: Callable[[BlindAnswer], bool]) -> None:
    """Goes to the first answer that is wanted."""
    rating = rating_of(pilot)
    place = next(place for place, answer in enumerate(rating.answers) if wanted(answer))
    rating.go(place - rating.place)
    rate_screen(pilot).paint()


async def pressed(pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    await pilot.pause()
    return screen_text(pilot.app)


def acts(run: Run) -> list[tuple[str, object]]:
    lines = map(orjson.loads, run.ratings_path.read_bytes().splitlines())
    return [(line["did"], line.get("value")) for line in lines]


async def test_a_key_rates_and_is_on_the_disk_when_it_is_shown(run: Run) -> None:
    async with app_of(run).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        rating = rating_of(pilot)
        first = rating.answer
        text = await pressed(pilot, "4", "2")
        assert "helpfulness  1  2  3 [4] 5" in text and "clarity      1 [2] 3  4  5" in text
        assert "▸ factuality" in text and "… begun" in text
        found = Ratings(run.ratings_path).rated("ada", first.prompt.id, first.answer)
        assert found.values == {"helpfulness": 4, "clarity": 2}
        text = await pressed(pilot, "3", "5", "1")
        assert "Rated 4 2 3 5 1; u takes the last one back." in text and "1 of " in text
        assert rating.answer != first
        text = await pressed(pilot, "h")
        assert "✓ rated" in text and "engagement  [1] 2" in text


async def test_skip_undo_and_notes(run: Run) -> None:
    async with app_of(run).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = await pressed(pilot, "s")
        assert "Skipped" in text and "1 skipped" in text
        text = await pressed(pilot, "u")
        assert "Taken back: the skip." in text and "skipped" not in text
        text = await pressed(pilot, "3", "u", "u")
        assert "There is nothing of yours to take back." in text
        await pressed(pilot, "m")
        # Digits that are typed into a note rate nothing.
        text = await pressed(pilot, *"1949", "enter")
        assert rating_of(pilot).rated.note == "1949" and not rating_of(pilot).rated.values
        await until(pilot, lambda: "note: 1949" in screen_text(pilot.app))
        await pressed(pilot, "m", "x", "escape")
        assert rating_of(pilot).rated.note == "1949"
        await until(pilot, lambda: not rate_screen(pilot).query_one(PromptLine).question)
        assert "[5]" in await pressed(pilot, "5")
    assert [did for did, _ in acts(run)] == ["begin", "skip", "undo", "rate", "undo", "note", "rate"]


async def test_nothing_on_the_screen_tells_the_model(run: Run) -> None:
    app = app_of(run)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        rating = rating_of(pilot)
        for _ in rating.answers:
            text = await pressed(pilot, "3", "3", "3", "3", "3")
            assert not [label for label in (*LABELS, run.name) if label in text], text
        assert rating.done and "All is rated" in text
        text = await pressed(pilot, "question_mark")
        assert "Rate the aspect 1 of 5" in text and "token classes" not in text
        assert not [label for label in LABELS if label in text]
        await pressed(pilot, "escape")
        titles = " ".join(f"{command.title} {command.help}" for command in app.get_system_commands(app.screen))
        assert "Leave this answer out" in titles and not [label for label in LABELS if label in titles]
        assert not [label for label in (*LABELS, run.name) if label in f"{app.title} {app.sub_title}"]
    # Nor does the file, but for what was asked.
    assert b"sft" not in b"".join(run.ratings_path.read_bytes().splitlines(keepends=True)[1:])


async def test_answers_come_in_another_order_to_another_rater(run: Run) -> None:
    orders = []
    for rater in ("ada", "bob"):
        async with app_of(run, rater).run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            orders.append([answer.answer for answer in rating_of(pilot).answers])
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])


async def test_who_comes_back_stands_where_they_stopped(run: Run) -> None:
    async with app_of(run).run_test(size=(80, 24)) as pilot:
        await pressed(pilot, *"44444", *"22")
        here = rating_of(pilot).answer
    async with app_of(run).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = screen_text(pilot.app)
        assert rating_of(pilot).answer == here and "▸ factuality" in text and "Welcome back" in text
        assert "[2]" in text


async def test_leaving_ends_the_app_and_shows_no_other_screen(run: Run) -> None:
    app = app_of(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pressed(pilot, "escape")
        await until(pilot, lambda: app._exit)
    assert app.return_code == 0


async def test_from_the_stepper_who_rates_is_asked_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itaudit.tui.screens.rate.user_name", lambda: "ada")
    app = ItauditApp(run.path, run.path.parent)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, StepperScreen))
        assert "Rate the answers blindly" in " ".join(command.title for command in app.get_system_commands(app.screen))
        text = await pressed(pilot, "B")
        assert "Who rates? ada" in text and "rate" not in text.splitlines()[-1]
        # Nothing can be rated by nobody.
        text = await pressed(pilot, "ctrl+u", "enter")
        assert "expected one line of 1 to 40 characters" in text
        await pressed(pilot, *"bob", "enter")
        await until(pilot, lambda: rate_screen(pilot).rating is not None)
        await until(pilot, lambda: not rate_screen(pilot).query_one(PromptLine).question)
        text = await pressed(pilot, "5")
        assert "blind rating  bob" in text and "[5]" in text
        await pressed(pilot, "escape")
        assert isinstance(app.screen, StepperScreen)
        await pressed(pilot, "B", "escape")
        await until(pilot, lambda: isinstance(app.screen, StepperScreen))


async def test_a_rating_that_can_not_be_written_is_told_and_not_shown(run: Run) -> None:
    async with app_of(run).run_test(size=(80, 24)) as pilot:
        await pressed(pilot, "4")
        rating_of(pilot).ratings.path = run.path / "missing" / "ratings.jsonl"
        text = await pressed(pilot, "5")
        assert "[5]" not in text and rating_of(pilot).rated.values == {"helpfulness": 4}
        told = [notification.message for notification in pilot.app._notifications]
        assert len(told) == 1 and "can't write the rating, so it does not count" in told[0]


async def test_long_texts_scroll_and_the_reference_is_shown_when_asked_for(run: Run) -> None:
    async with app_of(run).run_test(size=(80, 24)) as pilot:
        stand(pilot, lambda answer: len(answer.text) > 1000)
        before = await pressed(pilot, "j", "k")
        after = await pressed(pilot, "J", "space")
        assert "Wave 1 rose" in before and "Wave 1 rose" not in after
        # A rating leaves the text where it is.
        assert "Wave 1 rose" not in await pressed(pilot, "3")
        stand(pilot, lambda answer: answer.prompt.id == "zamboni")
        assert "Frank Zamboni\n" not in screen_text(pilot.app).split("answer")[0]
        assert "reference" in await pressed(pilot, "r")
        assert "Frank Zamboni" in screen_text(pilot.app).split("answer")[0]
        text = await pressed(pilot, "tab")
        assert "▸ prompt" in text and "▸ answer" not in text


@pytest.mark.parametrize("size", [(30, 8), (40, 12), (80, 24), (99, 15), (160, 50)], ids=str)
async def test_it_fits(run: Run, size: tuple[int, int]) -> None:
    async with app_of(run).run_test(size=size) as pilot:
        await pilot.pause()
        text = await pressed(pilot, "2", "k")
        assert "[2]" in text and "answer 1 of" in text and "prompt 1 of" in text and "? help" in text


SMALL, LARGE = (80, 24), (160, 50)


def at(prompt_id: str, *keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    async def before(pilot: Pilot[None]) -> None:
        stand(pilot, lambda answer: answer.prompt.id == prompt_id)
        await pressed(pilot, *keys)
        await pilot.pause(0.1)

    return before


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("prompt_id", "keys"),
    [
        ("zamboni", ("4", "2")),
        ("hostile", ("m", *"made up", "enter")),
        ("long", ("5", "5", "5", "5", "5", "h")),
        ("zamboni", ("r", "s")),
    ],
    ids=["begun", "noted", "rated", "skipped"],
)
def test_pictures(
    snap_compare: Compare, run: Run, size: tuple[int, int], prompt_id: str, keys: tuple[str, ...]
) -> None:
    assert snap_compare(app_of(run), terminal_size=size, run_before=at(prompt_id, *keys))


def test_without_colours(snap_compare: Compare, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app_of(run), terminal_size=SMALL, run_before=at("coa", "4", "2"))


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_who_rates(snap_compare: Compare, run: Run, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itaudit.tui.screens.rate.user_name", lambda: "ada")

    async def before(pilot: Pilot[None]) -> None:
        await pilot.press("B")
        await until(pilot, lambda: bool(rate_screen(pilot).query_one(PromptLine).question))
        rate_screen(pilot).query_one(Input).cursor_blink = False
        await pilot.pause()

    assert snap_compare(ItauditApp(run.path, run.path.parent), terminal_size=size, run_before=before)


class Terminal:
    """`itaudit rate` in a terminal of its own."""

    def __init__(self, run: Run) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [sys.executable, "-m", "itaudit", "rate", str(run.path), "--rater", "ada"]

        def at_its_own_terminal() -> None:
            # Closing it hangs up only on those whose own terminal it is, and who were not told to pass over that.
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=at_its_own_terminal,
            env={**os.environ, "TERM": "xterm-256color", "SSH_CONNECTION": "1"},
        )  # fmt: skip
        os.close(theirs)
        self.descriptor = ours
        self.read_until(b"engagement")

    def read_until(self, wanted: bytes, seconds: float = 120) -> None:
        seen, deadline = b"", time.monotonic() + seconds
        while wanted not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([self.descriptor], [], [], 0.2)[0]:
                seen += os.read(self.descriptor, 65536)

    def press(self, key: str) -> None:
        os.write(self.descriptor, key.encode())

    def end(self, how: str) -> None:
        """Kills it, or closes its terminal."""
        if how == "killed":
            os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self.descriptor)
        try:
            self.process.wait(120)
        finally:
            if self.process.poll() is None:
                self.process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "closed"])
def test_an_interrupt_at_any_key_loses_nothing_that_was_shown(run: Run, how: str) -> None:
    rng = random.Random(how)
    sent: list[int] = []
    for _ in range(3):
        terminal = Terminal(run)
        for _ in range(rng.randint(1, 7)):
            value = rng.randint(1, 5)
            sent.append(value)
            last = len(sent) % len(ASPECTS) == 0
            terminal.press(str(value))
            # After the last aspect the next answer stands there, and a line tells what the one before was given.
            terminal.read_until(b"Rated" if last else f"[{value}]".encode())
        # One more that nobody saw acknowledged: it counts whole or not at all.
        hasty = rng.randint(1, 5)
        terminal.press(str(hasty))
        time.sleep(rng.random() * 0.02)
        terminal.end(how)
        kept = [value for did, value in acts(run) if did == "rate"]
        assert kept in (sent, [*sent, hasty])
        sent = [value for value in kept if isinstance(value, int)]
    choice = Ratings(run.ratings_path).choice("ada")
    assert choice is not None
    again = BlindRating(run, Ratings(run.ratings_path), "ada", choice)
    assert again.count().rated == len(sent) // len(ASPECTS) and len(again.rated.values) == len(sent) % len(ASPECTS)
