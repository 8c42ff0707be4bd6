"""The page in a real browser: it asks for nothing, says nothing wrong, fits a phone, and prints."""

from pathlib import Path

import pytest

from tests.report.chromium import page
from tests.report.conftest import Written

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("width", "dark", "paper"), [(390, False, False), (1280, True, False), (703, False, True)])
async def test_the_page_fits_and_asks_for_nothing(
    written: Written, tmp_path: Path, width: int, dark: bool, paper: bool
) -> None:
    file = written.folder / "report.html"
    async with page(tmp_path / "profile") as tab:
        await tab.open(file, width=width, dark=dark, paper=paper)
        wide = await tab.evaluate("document.documentElement.scrollWidth")
        beyond = await tab.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 "
            "&& !e.closest('.scroll') && getComputedStyle(e).position !== 'absolute').map(e => e.tagName)"
        )
        cut = await tab.evaluate(
            "[...document.querySelectorAll('.cards')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        )
        scrolled = await tab.evaluate(
            "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        )
        colours = await tab.evaluate(
            "[getComputedStyle(document.body).backgroundColor, "
            "getComputedStyle(document.querySelector('svg text')).fill]"
        )
        letters = await tab.evaluate(
            "Math.min(...[...document.querySelectorAll('svg text')].map(e => e.getBoundingClientRect().height))"
        )
        assert tab.problems == []
        assert tab.requests == [file.resolve().as_uri()]
    assert wide <= width and beyond == []
    # A row of a small table is a card on a phone, and on paper nothing can be scrolled at all.
    assert cut == 0 and (not paper or scrolled == 0)
    assert colours[0] != colours[1]
    assert (colours[0] == "rgb(20, 23, 26)") == dark
    assert letters > 8


async def test_the_page_prints(written: Written, tmp_path: Path) -> None:
    async with page(tmp_path / "profile") as tab:
        await tab.open(written.folder / "report.html", width=1280)
        printed = await tab.pdf()
        assert tab.problems == []
    assert printed.startswith(b"%PDF") and printed.count(b"/Type /Page\n") + printed.count(b"/Type/Page/") >= 1
