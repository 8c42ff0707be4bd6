"""Numbers as people read them: durations, ages, sizes and paces."""

import math


def duration_text(seconds: float) -> str:
    """Two units at most: `41 s`, `2 min 05 s`, `1 h 12 min`, `3 d 4 h`; `–` for what is no time at all."""
    if not math.isfinite(seconds):
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def age_text(seconds: float) -> str:
    """How long ago, in one unit: `now`, `12 min ago`, `5 h ago`, `3 d ago`; `–` for what is no time at all."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return "now"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    raise AssertionError("unreachable: a minute is the smallest unit")


def size_text(size: float) -> str:
    """Bytes in binary units: `512 B`, `1.4 MiB`, `139 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def pace_text(rate: float) -> str:
    """Units per second, `4.2/s`; slower than one every two seconds, the time of one: `12 s each`."""
    if 0 < rate < 0.5:
        return f"{1 / rate:.1f} s each" if 1 / rate < 10 else f"{duration_text(1 / rate)} each"
    return f"{rate:.1f}/s" if rate < 100 else f"{rate:,.0f}/s"


def kl_text(kl: float, digits: int) -> str:
    """A KL in nats with so many digits; `<0.001` for what is more than nothing and would read as that."""
    return f"<{10**-digits:.{digits}f}" if 1e-9 < kl < 0.5 * 10**-digits else f"{kl:.{digits}f}"


def plural(unit: str) -> str:
    """`step` becomes `steps`; what ends in s stays, and so does what is empty."""
    return unit if not unit or unit.endswith("s") else f"{unit}s"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, full for a share of 1."""
    full = round(min(1.0, max(0.0, share)) * width)
    return "━" * full + "─" * (width - full)
