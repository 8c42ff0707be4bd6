"""`itaudit prove`."""

import click


@click.command("prove")
def prove_command() -> None:
    """Being built."""
