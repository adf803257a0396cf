"""Users without a home folder, without a name, without a folder to work in, or without the right to write."""

from __future__ import annotations

import os
import sys

import pytest

from tests.helpers.kit import COMMANDS, FAST, Kit

NOBODY = """
import os, pwd, sys
def unknown(number): raise KeyError(f'getpwuid(): uid not found: {number}')
pwd.getpwuid = unknown
from medsr.cli import main
main()
"""
BARE = {"PATH": os.defpath, "OMP_NUM_THREADS": "1"}
WRITES_THE_CACHE = ("weights import",)


@pytest.mark.parametrize(
    "name", [one if one in FAST else pytest.param(one, marks=pytest.mark.slow) for one in COMMANDS]
)
def test_a_user_whom_nobody_knows(kit: Kit, name: str) -> None:
    """As in a container: no HOME, no line in passwd, hardly an environment."""
    done = kit.run(*kit.command(name), by=(sys.executable, "-c", NOBODY), env=BARE)
    if name in WRITES_THE_CACHE:
        assert done.returncode != 0
        assert "set MEDSR_HOME" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one in COMMANDS if one not in WRITES_THE_CACHE])
def test_a_cache_and_a_temporary_folder_that_are_not_there(kit: Kit, name: str) -> None:
    done = kit.run(*kit.command(name), env=os.environ | BARE | {"MEDSR_HOME": "/proc/none", "TMPDIR": "/nowhere"})
    assert done.returncode == 0, done.stderr


def test_a_tilde_that_is_nobody(kit: Kit) -> None:
    done = kit.run("upscale", kit.folder / "eyes", "--out", "out", "--model", "~nobody-here/x.safetensors")
    assert done.returncode == 4
    assert "~nobody-here/x.safetensors: no such weight file" in done.stderr


@pytest.mark.slow
def test_a_working_folder_that_is_gone(kit: Kit) -> None:
    gone = 'mkdir gone; cd gone; rmdir ../gone; "$@"'
    whole = ("upscale", kit.folder / "eyes", "--out", kit.work / "out", "--model", "bicubic")
    assert kit.run(*whole, shell=gone).returncode == 0
    done = kit.run("upscale", kit.folder / "eyes", "--out", "out", "--model", "bicubic", shell=gone)
    assert done.returncode == 1
    assert "working folder: No such file" in done.stderr
