"""Command groups that import a verb when it is called: starting quickly is a feature."""

import importlib
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose verbs may stand in modules of their own: `lazy` maps a verb to `module:function`."""

    def __init__(self, *args: Any, lazy: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, function = self._lazy[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(f"itaudit.{module}"), function)
        return command
