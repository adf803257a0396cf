"""`medsr-slicer`: the program that 3D Slicer starts as one of its modules."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from medsr.cli import run_program
from medsr.core.errors import MedsrError, UsageError

if TYPE_CHECKING:
    from medsr.commands.slicer.run import Refined

EVERY = 0.01
"""Of the work: no more often is said how far it is."""
COMPUTING = 0.95
"""Of the work: the rest is writing."""
SPELLINGS: dict[tuple[str, str | None], str] = {
    ("scale", None): "--factor",
    ("out", None): "output volume",
    **{(name, None): f"--{name}" for name in ("model", "uncertainty", "fuse", "thickness", "kind", "device")},
}
"""What the library's parameters are called here."""


def main() -> None:
    """Run `medsr-slicer` and end with the exit code of what happened."""
    _leave_foreign_packages()
    run_program(_command)


def _leave_foreign_packages() -> None:
    """Forget where Slicer keeps the packages of its own Python: its numpy is not for this one."""
    home = Path(__file__).resolve().parents[2]
    os.environ.pop("PYTHONHOME", None)
    for folder in os.environ.pop("PYTHONPATH", "").split(os.pathsep):
        if folder in sys.path and Path(folder).resolve() != home:
            sys.path.remove(folder)


def _command(arguments: list[str]) -> int | None:
    from medsr.cli.echo import echo, echo_verbatim
    from medsr.commands.slicer.description import describe
    from medsr.commands.slicer.parameters import groups
    from medsr.core.version import __version__

    options = _parser().parse_args(arguments)
    if options.version:
        echo(f"medsr-slicer {__version__}")
    elif options.xml:
        echo_verbatim(describe(groups()).rstrip("\n"))
    elif options.install is not None:
        from medsr.commands.slicer.module_folder import write_module_folder

        folder = write_module_folder(Path(options.install)).absolute().parent
        echo(f"Add this folder in Slicer's settings (Modules, Additional module paths), then restart Slicer: {folder}")
    elif options.inputVolume is None or options.outputVolume is None:
        raise UsageError("expected an input volume and an output volume; --help explains")
    else:
        _refine(options)
    return None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; --help explains")


def _parser() -> argparse.ArgumentParser:
    from medsr.commands.slicer.parameters import groups

    parser = _Parser(
        prog="medsr-slicer",
        description="medsr volume as a command line module of 3D Slicer.",
        epilog="An error is one line; --debug, anywhere, adds the traceback.",
        allow_abbrev=False,
    )
    parser.add_argument("--xml", action="store_true", help="Print the description of the form, which Slicer reads.")
    parser.add_argument("--version", action="store_true", help="Print the version.")
    parser.add_argument("--install", metavar="FOLDER", help="Make the folder to name in Slicer's settings.")
    parser.add_argument("--returnparameterfile", metavar="FILE", help="Write there what the form shows as the result.")
    for group in groups():
        for parameter in group.parameters:
            words = parameter.description.replace("%", "%%")
            if parameter.index is not None:
                parser.add_argument(parameter.name, nargs="?", help=words)
            elif parameter.flag:
                number = parameter.tag == "double"
                choices = parameter.elements if parameter.name != "model" else ()  # those of medsr volume, files too
                parser.add_argument(
                    f"--{parameter.flag}",
                    dest=parameter.name,
                    metavar="FILE" if parameter.tag == "image" else None,
                    type=float if number else str,
                    choices=choices or None,
                    default=(float(parameter.default) if number else parameter.default) or None,
                    help=words,
                )
    return parser


def _refine(options: argparse.Namespace) -> None:
    from medsr.cli.echo import echo
    from medsr.cli.options import spelled
    from medsr.commands.slicer.run import Wish, refine

    began = time.monotonic()
    asked = {name: value for name in Wish.__dataclass_fields__ if (value := getattr(options, name)) is not None}
    uncertainty = None if options.uncertainty is None else Path(options.uncertainty)
    tags = _Tags()

    def notify(line: str) -> None:
        echo(spelled(line, SPELLINGS), err=": warning: " in line)  # Slicer shows its user what comes as an error

    tags.start(f"model {options.model}")
    try:
        paths = Path(options.inputVolume), Path(options.outputVolume)
        said = refine(*paths, Wish(**asked), uncertainty, tags.progress, notify)
    except MedsrError as error:
        raise _renamed(error, spelled(str(error), SPELLINGS)) from error
    if options.returnparameterfile is not None:
        _write_results(Path(options.returnparameterfile), said)
    tags.end(time.monotonic() - began)


def _renamed(error: MedsrError, message: str) -> MedsrError:
    """An error of the same exit code that calls parameters what they are called here."""
    renamed = MedsrError(message)
    renamed.exit_code = error.exit_code
    return renamed


def _write_results(path: Path, said: Refined) -> None:
    """The return parameters, one a line."""
    from medsr.cli.options import spelled
    from medsr.core.text import shown
    from medsr.io.files import write_text

    values = {"modelUsed": said.model, "agreement": said.agreement, "warnings": " | ".join(said.warnings)}
    write_text(path, "".join(f"{name} = {shown(spelled(text, SPELLINGS))}\n" for name, text in values.items()))


class _Tags:
    """How far the work is, in the tags that Slicer takes out of what is printed."""

    def __init__(self) -> None:
        self.shown = 0.0

    def start(self, comment: str) -> None:
        _print("<filter-start>", "<filter-name>medsr</filter-name>", _tag("filter-comment", comment), "</filter-start>")

    def progress(self, done: float, total: float, text: str) -> None:
        share = COMPUTING * min(done / total, 1.0) if total else 0.0
        if share >= self.shown + EVERY:
            self.shown = share
            _print(_tag("filter-progress", f"{share:.3f}"))

    def end(self, seconds: float) -> None:
        time_tag = _tag("filter-time", f"{seconds:.1f}")
        _print("<filter-progress>1</filter-progress>", "<filter-end>", "<filter-name>medsr</filter-name>", time_tag)
        _print("</filter-end>")


def _tag(name: str, text: str) -> str:
    from xml.sax.saxutils import escape

    return f"<{name}>{escape(text)}</{name}>"


def _print(*lines: str) -> None:
    from medsr.cli.echo import echo

    for line in lines:
        echo(line)


if __name__ == "__main__":
    main()
