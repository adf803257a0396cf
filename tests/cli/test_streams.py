"""Standard streams that are closed, full, or read by nobody cost no result, and the exit code is true."""

from __future__ import annotations

import pytest

from medsr.batch import status
from tests.helpers.kit import COMMANDS, Kit, table

CLOSED = {
    "no stdin": '"$@" <&-',
    "no stdout": '"$@" >&-',
    "no stderr": '"$@" 2>&-',
    "none": '"$@" <&- >&- 2>&-',
    "log on a full disk": '"$@" 2>/dev/full',
    "nobody reads": 'set -o pipefail; "$@" | true',
    "nobody reads either": 'set -o pipefail; "$@" 2>&1 | true',
}


QUICK = {("upscale", "none"), ("upscale", "log on a full disk"), ("upscale", "nobody reads either")}
FOR_ALL = ("none", "nobody reads either")
"""The hardest ways, for every command; the others for those that differ in what they open and print."""
DIFFERENT = ("upscale", "volume", "prepare 2")
CELLS = [
    pytest.param(name, shell, marks=() if (name, shell) in QUICK else pytest.mark.slow)
    for name in COMMANDS
    for shell in CLOSED
    if shell in FOR_ALL or name in DIFFERENT
]


@pytest.mark.parametrize(("name", "shell"), CELLS)
def test_the_work_is_done_whoever_listens(kit: Kit, name: str, shell: str) -> None:
    done = kit.run(*kit.command(name), shell=CLOSED[shell])
    assert done.returncode == 0, done.stderr
    if name in ("upscale", "volume", "cohort"):
        assert [row.outcome for row in status.read(kit.work / "out/status.tsv")] == ["done"]


@pytest.mark.parametrize("name", table("info"))
def test_what_could_not_be_printed_is_not_called_done(kit: Kit, name: str) -> None:
    done = kit.run(*kit.command(name), shell='"$@" >/dev/full')
    printing = name not in ("finetune",)
    assert done.returncode == (1 if printing else done.returncode)
    assert not printing or "could not be written: No space left on device" in done.stderr


@pytest.mark.slow
def test_an_error_keeps_its_code_without_a_place_to_tell_it(kit: Kit) -> None:
    for shell in ('"$@" 2>&-', '"$@" >/dev/full 2>&1', '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}'):
        assert kit.run("upscale", shell=shell).returncode == 2
    absent = ("upscale", "absent.png", "--out", "out", "--model", "bicubic")
    assert kit.run(*absent, shell='"$@" >&- 2>&-').returncode == 3
