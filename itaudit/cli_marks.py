"""`itaudit marks`."""

import click


@click.group("marks")
def marks_group() -> None:
    """Being built."""
