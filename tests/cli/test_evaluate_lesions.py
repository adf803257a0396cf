"""`medsr evaluate lesions` as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import ALL_IN_TURN

REFUSED = {
    "lesions --data .": "--kind: say what the images show: mri, cxr, fundus",
    "lesions --data . --kind ct": "--kind ct: expected mri, cxr, fundus",
    "lesions --data . --kind cxr --planes axial": "--planes: lesions has none",
    "lesions --data . --kind cxr --fuse median": "--fuse: lesions has none",
    "lesions --data . --kind cxr --no-consistency": "--no-consistency: lesions has none",
    "lesions --data . --kind cxr --adapt": "--adapt: lesions has none",
    "lesions --data . --kind cxr --adapt 0": "--adapt: lesions has none",
    "lesions --data . --kind cxr --stacks 2": "--stacks: lesions has none",
    "lesions --data . --kind cxr --track bicubic": "--track: lesions has none",
    "lesions --data . --kind cxr --inputs in": "--inputs: lesions has none",
    "lesions --data . --kind cxr --results a=b": "--results: lesions has none",
    "lesions --data . --kind cxr --skip-done": "--skip-done: lesions has none",
    "lesions --data . --kind mri --tile 64": "--tile: scans run in whole slices; leave it out with --kind mri",
    "lesions --data . --kind mri --bits 12": "--bits: scans have none; leave it out with --kind mri",
    "lesions --data . --kind mri --blur-sigma 0": "--blur-sigma: scans have none; leave it out with --kind mri",
    "lesions --data . --kind fundus --pixel-mm 0": "--pixel-mm: of radiographs only; leave it out with --kind fundus",
    "lesions --data . --kind cxr --pixel-mm 0": "--pixel-mm 0: expected millimetres from 0.05 to 2",
    "lesions --data . --kind cxr --scale 0": "--scale 0: cxr takes whole numbers from 2 to 16",
    "lesions --data . --kind cxr --masks nowhere": "--masks nowhere: not a folder",
    "folder --data . --kind cxr": "--kind: folder has none; lesions has",
    "folder --data . --rounds 2": "--rounds: folder has none; lesions has",
    "folder --data . --masks nowhere": "--masks: folder has none; lesions has",
    "folder --data . --pixel-mm 0": "--pixel-mm: folder has none; lesions has",
    "folder --data . --seed 0": "--seed: folder has none; lesions has",
}


@pytest.mark.slow
def test_an_option_that_does_not_apply_is_refused_in_one_line(tmp_path: Path) -> None:
    commands = [f"evaluate {line} --model bicubic" for line in REFUSED]
    done = subprocess.run(
        [sys.executable, "-c", ALL_IN_TURN, *commands], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("medsr: ")]
    assert len(lines) == len(REFUSED), done.stderr
    for line, expected in zip(lines, REFUSED.values(), strict=True):
        assert line.startswith(f"medsr: {expected}")
    assert done.stdout.count("ended with 2") == len(REFUSED)
    assert list(tmp_path.iterdir()) == []


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from medsr.cli import main
from medsr.commands.evaluate.lesions import run
run.evaluate_lesions = lambda *_, **__: signal.raise_signal(signal.SIGINT)
sys.argv = "medsr evaluate lesions --kind mri --data .".split()
main()
"""


@pytest.mark.slow
def test_an_interrupted_command_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "medsr: interrupted\n")
