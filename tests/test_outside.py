"""No file outside the folder of results is written or removed, whatever stands in that folder already."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

Snapshot = dict[str, tuple[int, int, str]]
COMMANDS = {
    "upscale": "upscale in/photos --model bicubic --out out",
    "volume": "volume in/scan.nii --model cubic --report --out out/v.nii.gz",
    "cohort": "cohort upscale in/photos --model bicubic --out out --workers 1",
    "prepare": "prepare generic_images in/photos --out out",
    "evaluate": "evaluate folder --data in/photos --out out --model bicubic",
    "import": "weights import in/nothing.pth --name realesrgan-x4plus",
}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A working folder with inputs, a home and a folder for temporary files, each with something that must stay."""
    rng = np.random.default_rng(0)
    for name in ("in/photos", "home", "tmp", "cache", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "keep.txt").write_text("keep")
    for number in range(3):
        Pillow.fromarray(rng.integers(0, 255, (40, 44, 3)).astype(np.uint8)).save(tmp_path / f"in/photos/{number}.png")
    voxels = rng.integers(0, 1000, (6, 7, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 3, 1])), tmp_path / "in/scan.nii")
    return tmp_path


def outside(root: Path) -> Snapshot:
    """Every file that is neither a result nor in the cache of medsr, and every folder."""
    files: Snapshot = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] not in ("out", "cache"):
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
            files[name] = (path.lstat().st_mode, path.stat().st_mtime_ns if path.is_file() else 0, content)
    return files


def medsr(root: Path, line: str) -> int:
    places = {"HOME": "home", "TMPDIR": "tmp", "MEDSR_HOME": "cache"}
    environment = os.environ | {name: str(root / folder) for name, folder in places.items()}
    call = [sys.executable, "-c", "from medsr.cli import main; main()", *line.split()]
    return subprocess.run(call, cwd=root, env=environment, capture_output=True, check=False).returncode


SLOW = ("volume", "cohort", "prepare", "evaluate", "import")


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in COMMANDS]
)
def test_only_the_folder_of_results_changes(world: Path, command: str) -> None:
    before = outside(world)
    code = medsr(world, COMMANDS[command])
    assert code == (4 if command == "import" else 0)
    assert outside(world) == before


@pytest.mark.slow
@pytest.mark.parametrize("command", ["upscale"])
def test_what_a_received_folder_names_elsewhere_stays(world: Path, command: str) -> None:
    """A folder of results that names files of the user's, by whole paths, upwards and by links."""
    medsr(world, COMMANDS[command])
    victims = [
        str(world / "elsewhere" / "keep.txt"),
        "../elsewhere/keep.txt",
        "../../elsewhere/keep.txt",
        "link/keep.txt",
    ]
    results = [path for path in (world / "out").rglob("*") if path.is_file()]
    names = {path.relative_to(world / "out").as_posix() for path in results} | {path.name for path in results}
    (world / "out" / "link").symlink_to(world / "elsewhere", target_is_directory=True)
    originals = {
        path: path.read_bytes() for path in results if path.suffix in (".json", ".jsonl", ".tsv", ".csv", ".yml")
    }
    assert originals
    before = outside(world)
    for victim in victims:
        for path, content in originals.items():
            text = content.decode()
            for name in sorted(names, key=len, reverse=True):
                for named in (f"out/{name}", name):
                    text = text.replace(json.dumps(named), json.dumps(victim)).replace(f"\t{named}\t", f"\t{victim}\t")
            path.write_text(text)
        medsr(world, COMMANDS[command])
        medsr(world, f"{COMMANDS[command]} --skip-done" if command in ("upscale", "volume") else COMMANDS[command])
        assert outside(world) == before, victim
