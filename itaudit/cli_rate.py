"""…"""

import click


@click.command("rate")
def rate_command() -> None:
    """…"""


@click.command("ratings")
def ratings_command() -> None:
    """…"""
