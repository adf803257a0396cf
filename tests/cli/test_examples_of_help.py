"""Each command's help ends with an example that the command takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from medsr.cli.app import app
from medsr.cli.examples import EXAMPLES


def _commands(group: Any, words: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} ")
        elif not command.hidden:
            yield f"{words}{name}", command


COMMANDS = dict(_commands(get_command(app)))


def test_every_command_has_one() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_help_shows_it_whole_and_the_command_takes_it(name: str) -> None:
    example, command = EXAMPLES[name], COMMANDS[name]
    words = shlex.split(example)
    assert words[: 1 + len(name.split())] == ["medsr", *name.split()]
    context = command.make_context(name, words[1 + len(name.split()) :])
    assert f"  {example}\n" in f"{command.get_help(context)}\n"
