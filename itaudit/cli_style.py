"""…"""

import click


@click.command("style")
def style_command() -> None:
    """…"""
