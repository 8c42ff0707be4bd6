"""When a screen has come to rest: what a key press and a pause of the pilot wait for.

Textual's own wait looks at the CPU alone, a fiftieth of a second at a time: longer than most keys take, and where the
machine is busy with something else it ends while messages are still on their way.
"""

import asyncio
from time import monotonic, process_time

from textual._context import active_app
from textual.app import ScreenStackError

_PATIENCE = 60.0
_LOOK = 0.004
_IDLE = _LOOK / 10
"""CPU seconds of a look in which no thread was at work; looking takes a few of the hundred that this is short of."""


async def at_rest(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Waits until no message is on its way, no paint is due and no thread works; `max_sleep` seconds at most.

    Messages are waited for however long they take.
    """
    loop = asyncio.get_running_loop()
    began = monotonic()
    while True:
        before = process_time()
        await asyncio.sleep(_LOOK)
        passed = monotonic() - began
        # What is ready to run is private to the loop, and there is no other way to know.
        moving = bool(loop._ready) or _paint_is_due()
        working = process_time() - before > _IDLE
        if passed >= min_sleep and not moving and (not working or passed >= max_sleep):
            return
        if passed >= _PATIENCE:
            return


def _paint_is_due() -> bool:
    try:
        app = active_app.get()
        screen = app.screen
    except (LookupError, ScreenStackError):
        return False
    if app._exit:
        # Nothing is painted any more.
        return False
    timer = getattr(screen, "_Screen__update_timer", None)
    return timer is not None and timer._active.is_set()
