"""The root of the command line, to which `medsr.cli.app` adds the commands.

It imports no command, so that what commands print with may ask it for their options.
"""

from __future__ import annotations

import typer

from medsr.cli.group import CommandGroup

app = typer.Typer(
    name="medsr",
    cls=CommandGroup,
    help="Fine-tune super-resolution on your own medical images and run it on your scans. "
    "For research; not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="An error is one line; --debug, anywhere, adds the traceback.",
)
