"""`--adapt` with or without its minutes."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

MINUTES = "2"


class OptionalMinutes(TyperCommand):
    """Lets `--adapt` stand alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default after an `--adapt` that no number follows."""
        completed: list[str] = []
        for index, argument in enumerate(args):
            completed.append(argument)
            if argument == "--adapt" and not _is_number(args[index + 1 : index + 2]):
                completed.append(MINUTES)
        return super().parse_args(ctx, completed)


def _is_number(following: list[str]) -> bool:
    try:
        float(following[0])
    except (IndexError, ValueError):
        return False
    return True
