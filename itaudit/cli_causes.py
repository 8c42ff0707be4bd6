"""`itaudit causes`."""

import click


@click.command("causes")
def causes_command() -> None:
    """Being built."""
