"""`itaudit detect`."""

import click


@click.command("detect")
def detect_command() -> None:
    """Being built."""
