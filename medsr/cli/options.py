"""Texts of the library name parameters; on the command line they name its options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from typer.main import get_command

from medsr.cli.root import app

_SPAN = re.compile(r"(?<![\w`/\\.-])`([a-z]\w*)(?:=(.*?))?`(?![\w`/\\-]|\.\w)", re.DOTALL)
"""A parameter in backticks, alone or with its value. Backticks within a word or a path are not ours."""


def as_options(text: str) -> str:
    """`text` with its parameters as options: `scale=1` in backticks is --scale 1, `uncertainty` is --uncertainty.

    `consistency=False` is --no-consistency, and a positional argument is what the help calls it. What names no
    parameter of a command, such as a whole command in backticks, stays as it is. So does all before `medsr.cli.app` is
    imported, which adds the commands.
    """
    return spelled(text, _spellings()) if "`" in text and app.registered_commands else text


def spelled(text: str, spellings: Mapping[tuple[str, str | None], str]) -> str:
    """`text` with every parameter in backticks as `spellings` has it; others stay.

    `spellings`: by the name, and None or the value for which a flag stands.
    """
    return _SPAN.sub(lambda span: _spell(span, spellings), text)


def parameters(command: Any) -> Iterator[Any]:
    """Every parameter of a click command and of its subcommands; those of hidden commands are not for users."""
    yield from command.params
    for subcommand in getattr(command, "commands", {}).values():
        if not subcommand.hidden:
            yield from parameters(subcommand)


def _spell(span: re.Match[str], spellings: Mapping[tuple[str, str | None], str]) -> str:
    name, value = span.groups()
    if value is None or (name, "True") in spellings or (name, value) in spellings:
        return spellings.get((name, value), span[0])
    option = spellings.get((name, None))
    if option is None:
        return span[0]
    return f"{option} {value}" if option.startswith("-") else value


@cache
def _spellings() -> dict[tuple[str, str | None], str]:
    """How each parameter is written, alone, and where it is a flag for True and for False. An option goes first."""
    spellings: dict[tuple[str, str | None], str] = {}
    with_value: set[str] = set()
    for parameter in sorted(parameters(get_command(app)), key=lambda entry: entry.param_type_name):
        name = parameter.name.rstrip("_")
        if parameter.param_type_name == "argument":
            spellings[name, None] = parameter.metavar or name.upper()
            continue
        option = spellings[name, None] = max(parameter.opts, key=len)
        if not parameter.is_flag:
            with_value.add(name)
            continue
        spellings[name, "True"] = option
        if parameter.secondary_opts:
            spellings[name, "False"] = max(parameter.secondary_opts, key=len)
        if name.startswith("no_"):
            spellings[name.removeprefix("no_"), "False"] = option
    return {key: option for key, option in spellings.items() if key[1] is None or key[0] not in with_value}
