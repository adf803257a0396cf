"""A folder for 3D Slicer with one small program in it, which starts medsr as if Slicer were not there.

Slicer starts every program of a folder of modules, so it is not given the folder of the Python environment. And it
starts them with the variables of its own Python and libraries, with which another Python does not even begin.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from medsr.core import isolation, platform
from medsr.core.errors import UsageError
from medsr.io.files import write_checked

NAME = "medsr"
"""Slicer calls a module by its file, without a dot on Linux and macOS."""
OF_SLICER = (
    *("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "ITK_AUTOLOAD_PATH"),
)
"""What Slicer sets for itself."""
OURS = "Starts medsr for 3D Slicer"
PROGRAM = "medsr.cli.slicer"


def write_module_folder(folder: Path) -> Path:
    """Write the program that starts this medsr into `folder`; returns its path.

    Raises UsageError where something else than a folder, or a file that is not medsr's, is in the way; OSError where
    it cannot be written.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"{folder}: is not a folder; give the name of a new one")
    windows = platform.is_windows()
    path = folder / (f"{NAME}.bat" if windows else NAME)
    if path.is_dir() or (path.exists() and OURS.encode() not in path.read_bytes()):
        raise UsageError(f"{path}: is already there and not medsr's; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_checked(path, batch_file() if windows else shell_script())
    if not windows:
        path.chmod(0o755)
    return path


def shell_script() -> bytes:
    """The program for Linux and macOS."""
    lines = ("#!/bin/sh", f"# {OURS}, without Slicer's own variables.", f"unset {' '.join(OF_SLICER)}")
    return os.fsencode("\n".join((*lines, f'exec {shlex.join(_command())} "$@"', "")))


def batch_file() -> bytes:
    """The program for Windows. A per cent sign would be a variable there."""
    lines = ("@echo off", f"rem {OURS}, without Slicer's own variables.", "chcp 65001 >nul")
    unset = (f"set {name}=" for name in OF_SLICER)
    start = subprocess.list2cmdline(_command()).replace("%", "%%")
    return "\r\n".join((*lines, *unset, f"{start} %*", "exit /b %ERRORLEVEL%", "")).encode()


def _command() -> list[str]:
    """The command line of this medsr by this Python, which then looks at no variable and at no working folder."""
    python, *rest = isolation.program(PROGRAM)
    return [python, "-I", *rest]
