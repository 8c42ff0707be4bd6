"""`itaudit doctor`: what this machine has for it."""

import click

from itaudit.cli_json import JSON_OPTION, print_json


@click.command("doctor")
@JSON_OPTION
def doctor_command(as_json: bool) -> None:
    """Tells device, memory, terminal and optional parts, what is missing and how to get it."""
    from itaudit.doctor import findings

    found = findings()
    if as_json:
        print_json(found)
        return
    for section, facts in found.items():
        click.echo(section)
        for name, value in facts.items():
            click.echo(f"  {name:<18} {value}")
