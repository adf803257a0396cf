"""Groups of commands whose help shows every summary whole."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

WHOLE = 1000
"""Characters: longer than any summary. Click cuts them at what is left of a line."""


class CommandGroup(TyperGroup):
    """As typer's, but the summaries of commands go over as many lines as they need."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write all commands but hidden ones, each with its summary."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        shown = {name: command for name, command in commands.items() if command and not command.hidden}
        rows = [(name, command.get_short_help_str(WHOLE)) for name, command in shown.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
