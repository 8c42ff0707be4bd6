"""A batch's progress and cost in words."""

from itaudit.sanitize import visible_line
from itaudit.simplify.batch import BatchStatus, Estimate
from itaudit.simplify.settings import Settings
from itaudit.units import duration_text, pace_text

BATCH_MARKS = {
    "new": ("○", "$foreground-muted"),
    "queued": ("◔", "$warning"),
    "running": ("▶", "bold $primary"),
    "done": ("✓", "$success"),
    "failed": ("✗", "bold $error"),
    "cancelled": ("■", "$warning"),
}


def batch_progress(status: BatchStatus) -> str:
    """`running 62 % · 4.2/s · 41 s left`, or the state with its reason."""
    share = f"{100 * status.done / status.total:.0f} %" if status.total else ""
    if status.state == "running":
        parts = [f"running {share}"]
        if status.rate:
            parts.append(pace_text(status.rate))
        if status.seconds_left is not None:
            parts.append(f"{duration_text(status.seconds_left)} left")
        return " · ".join(parts)
    if status.state == "queued":
        return f"waiting for {visible_line(status.waiting_for)}" if status.waiting_for else "starting"
    if status.state == "failed":
        return f"failed at {share}: {visible_line(status.error)}"
    return {"new": "not started", "cancelled": f"cancelled at {share}", "done": "done"}[status.state]


def estimate_text(found: Estimate, settings: Settings) -> str:
    """What a batch will take, in one line: instances, tokens, price."""
    count = f"{found.requests:,} {'instance' if found.requests == 1 else 'instances'}"
    if settings.engine == "extractive":
        return f"{count}, no model and no cost"
    tokens = f"about {found.prompt_tokens:,} tokens in and {found.completion_tokens:,} out"
    if settings.engine == "local":
        return f"{count}, {tokens}, on this machine"
    if found.price is None:
        return f"{count}, {tokens}; set simplify.endpoint.price_input and price_output to see what it costs"
    return f"{count}, {tokens}: about {found.price:.2f} in the currency of your prices"
