"""`--json`, as every verb that has it takes it and answers it."""

from collections.abc import Callable
from typing import Any

import click

JSON_OPTION: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, and nothing else."
)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    import orjson

    # Bytes, so that no locale can break it; Parquet columns bring dates and decimals, for which JSON has only text.
    click.echo(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))
