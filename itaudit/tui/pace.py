"""How often a screen is painted anew of its own accord."""

import os


def repaint_seconds() -> float:
    """Between two looks at something that goes on: over SSH every repaint costs bandwidth."""
    return 0.5 if os.environ.get("SSH_CONNECTION") else 0.15
