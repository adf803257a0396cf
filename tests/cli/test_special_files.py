"""Pipes, devices, sockets and links that lead nowhere: in the place of any file, and in any folder, of any command."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.helpers.kit import Kit

STRANGE = ("pipe", "socket", "broken", "loop", "/dev/zero", "/dev/stdin", "/proc/self/mem", "/proc/self/fd")
PLACES = {
    "upscale": "upscale {it} {kit}/eyes --out out --model bicubic",
    "volume": "volume {it} --out out --model cubic",
    "companion": "volume {kit}/scans/scan.nii.gz --also {it} --out out --model cubic",
    "fusion": "volume {kit}/scans/scan.nii.gz --fuse {it} --out out",
    "model": "upscale {kit}/eyes --out out --model {it}",
    "recipe": "finetune {it} --data {kit}/truth --out out",
    "data": "finetune {kit}/recipe.yml --data {it} --out out --device cpu",
    "run": "finetune --resume {it}",
    "card": "prepare {it} {kit}/people --out out",
    "source": "prepare {kit}/mine.yml {it} --out out --workers 1",
    "sidecar": "reproduce {it}",
    "cohort": "cohort upscale {it} --out out --model bicubic",
    "cohort status": "cohort status {it}",
    "import": "weights import {it} --name mine",
    "export": "export {it} --to onnx --out out.onnx",
    "measured": "evaluate folder --data {it} --model bicubic --out out",
    "lesions": "evaluate lesions --kind fundus --data {it} --model bicubic --out out",
    "masks": "evaluate lesions --kind fundus --data {kit}/fundus --masks {it} --model bicubic --out out",
    "out": "upscale {kit}/eyes --out {it} --model bicubic",
}
QUICK = {("sidecar", "pipe"), ("sidecar", "/dev/zero"), ("recipe", "/proc/self/mem"), ("cohort status", "pipe")}
CELLS = [
    pytest.param(place, it, marks=() if (place, it) in QUICK else pytest.mark.slow)
    for place in PLACES
    for it in STRANGE
]


def plant(folder: Path, suffix: str = "") -> None:
    """One of each kind in a folder."""
    folder.mkdir(exist_ok=True)
    os.mkfifo(folder / f"pipe{suffix}")
    (folder / f"broken{suffix}").symlink_to("nowhere")
    (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
    (folder / f"zero{suffix}").symlink_to("/dev/zero")
    here = os.getcwd()
    os.chdir(folder)  # a socket's whole name may be too long for its address
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"socket{suffix}")
    os.chdir(here)


@pytest.mark.slow
@pytest.mark.parametrize(("place", "it"), CELLS)
def test_in_the_place_of_a_file_they_are_refused_at_once(kit: Kit, place: str, it: str) -> None:
    plant(kit.work)
    done = kit.run(*PLACES[place].format(it=it, kit=kit.folder).split(), timeout=60)
    could_be_written = place == "out" and done.returncode == 1  # /proc/self/fd is a folder
    assert done.returncode in (2, 3, 4, 5) or could_be_written, done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("medsr: ")]) <= 2


FOLDERS = {
    "upscale": ("eyes", ".png", "upscale {in} --out out --model bicubic"),
    "volume": ("scans", ".nii.gz", "volume {in} --out out --model cubic"),
    "prepare": ("people", "_L.png", "prepare {kit}/mine.yml {in} --out out --workers 1"),
    "evaluate": ("truth", ".png", "evaluate folder --data {in} --model bicubic --out out"),
    "lesions": ("fundus", ".png", "evaluate lesions --kind fundus --data {in} --model bicubic --rounds 1 --out out"),
    "finetune": ("truth", ".png", "finetune {kit}/recipe.yml --data {in} --out out --device cpu"),
    "cohort": ("scans", ".nii.gz", "cohort volume {in} --out out --model cubic"),
}


@pytest.mark.parametrize(
    "name",
    [one if one in ("upscale", "volume", "prepare") else pytest.param(one, marks=pytest.mark.slow) for one in FOLDERS],
)
def test_in_a_folder_they_are_passed_over_and_named(kit: Kit, name: str) -> None:
    source, suffix, command = FOLDERS[name]
    folder = kit.work / "in"
    folder.mkdir()
    for file in (kit.folder / source).iterdir():
        (folder / file.name).symlink_to(file)
    plant(folder, suffix)
    done = kit.run(*(part.format(**{"in": folder, "kit": kit.folder}) for part in command.split()))
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert f"cannot open them: broken{suffix}, loop{suffix}, pipe{suffix} and 2 more" in said


@pytest.mark.slow
def test_a_pipe_in_the_place_of_what_medsr_keeps_is_not_waited_for(kit: Kit) -> None:
    """A folder that somebody sent may hold one where our tables and plans lie."""
    for name in ("status.tsv", "upscale.json", "prepare.yml", ".cohort/current"):
        (kit.work / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(kit.work / "in" / name)
    (kit.work / "in/eye.png").symlink_to(kit.folder / "eyes/eye.png")
    assert kit.run("upscale", "in", "--out", "out", "--model", "bicubic", timeout=60).returncode == 0
    assert kit.run("cohort", "status", "in", timeout=60).returncode == 2
