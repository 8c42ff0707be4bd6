"""…"""

import click


@click.command("evaluate")
def evaluate_command() -> None:
    """…"""
