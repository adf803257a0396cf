"""No file outside the folder of results is written or removed, whatever stands in that folder already."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from PIL import Image as Pillow

import medsr
from medsr.commands.cohort.executor import Executor
from medsr.commands.cohort.run import retry as cohort_again
from medsr.core.errors import MedsrError
from tests.helpers.lesions import photograph
from tests.helpers.recipes import PLAIN
from tests.helpers.server import serving

Snapshot = dict[str, tuple[int, int, str]]
TRAINING = "--data in/photos --device cpu --out out"
COMMANDS = {
    "upscale": "upscale in/photos --model bicubic --out out",
    "volume": "volume in/scan.nii --model cubic --report --out out/v.nii.gz",
    "cohort": "cohort upscale in/photos --model bicubic --out out --workers 1",
    "prepare": "prepare generic_images in/photos --out out",
    "evaluate": "evaluate folder --data in/photos --out out --model bicubic",
    "lesions": "evaluate lesions --kind fundus --data in/fundus --out out --model bicubic --rounds 1 --json out/a.json",
    "import": "weights import in/nothing.pth --name realesrgan-x4plus",
    "import-own": "weights import in/model.safetensors --name own",
    "export": "export in/model.safetensors --to onnx --out out/model.onnx",
    "export-card": "export in/model.safetensors --to openmodeldb --out out/card.json",
    "finetune": f"finetune in/one.yml {TRAINING}",
    "compare": f"compare in/one.yml in/two.yml --minutes 0 {TRAINING}",
    "demo": "demo --device cpu --out out",
}
FAST = ("upscale",)
PRELUDE = {"demo": "from pathlib import Path; from medsr.commands import demo; demo.RECIPE = Path('in/demo.yml'); "}
NO_RESULT = {"import": 4}
HOSTILE: dict[str, Callable[[], object]] = {
    "upscale": lambda: medsr.upscale("in/photos", "out", model="bicubic"),
    "upscale-skip": lambda: medsr.upscale("in/photos", "out", model="bicubic", skip_done=True),
    "volume": lambda: medsr.volume("in/scan.nii", "out/v.nii.gz", model="cubic"),
    "volume-skip": lambda: medsr.volume("in", "out", model="cubic", skip_done=True),
    "volume-folder": lambda: medsr.volume("in", "out", model="cubic"),
    "prepare": lambda: medsr.prepare("generic_images", "in/photos", out="out", workers=1),
    "reproduce": lambda: medsr.reproduce("out/upscale.json"),
    "reproduce-volume": lambda: medsr.reproduce("out/v.json"),
    "cohort": lambda: medsr.cohort("upscale", "in/photos", out="out", on=Executor(workers=1), model="bicubic"),
    "cohort-retry": lambda: cohort_again("out", Executor(workers=1)),
}
FIRST = {"cohort-retry": "cohort", "reproduce": "upscale", "reproduce-volume": "volume"}
"""What makes the results that the command is about."""
READ_BACK = (".json", ".jsonl", ".tsv", ".csv", ".yml", "")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with inputs, a home and a folder for temporary files, each with something that must stay."""
    rng = np.random.default_rng(0)
    for name in ("in/photos", "home", "tmp", "cache", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "keep.txt").write_text("keep")
    for number in range(3):
        Pillow.fromarray(rng.integers(0, 255, (40, 44, 3)).astype(np.uint8)).save(tmp_path / f"in/photos/{number}.png")
    (tmp_path / "in/fundus").mkdir()
    Pillow.fromarray(np.rint(photograph(0, 120) * 255).astype(np.uint8)).save(tmp_path / "in/fundus/eye.png")
    voxels = rng.integers(0, 1000, (6, 7, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 3, 1])), tmp_path / "in/scan.nii")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for variable, folder in {"HOME": "home", "TMPDIR": "tmp", "MEDSR_HOME": "cache"}.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    return tmp_path


@pytest.fixture
def recipes(world: Path, tiny_model: Path) -> Path:
    """Two small recipes, a small demo, and weights, beside the images."""
    shutil.copy(tiny_model, world / "in/model.safetensors")
    recipe = PLAIN | {"data": PLAIN["data"] | {"validation": "[2].png"}, "iterations": 3}
    for name in ("one", "two"):
        (world / f"in/{name}.yml").write_text(yaml.safe_dump(recipe | {"name": name}))
    (world / "in/demo.yml").write_text(yaml.safe_dump(recipe | {"data": recipe["data"] | {"validation": 0.0}}))
    return world


def outside(root: Path, results: tuple[str, ...] = ("out", "cache")) -> Snapshot:
    """Every file that is neither a result nor in the cache of medsr, and every folder."""
    files: Snapshot = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] not in results:
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
            files[name] = (path.lstat().st_mode, path.stat().st_mtime_ns if path.is_file() else 0, content)
    return files


@pytest.mark.parametrize(
    "command", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in COMMANDS]
)
def test_only_the_folder_of_results_changes(world: Path, command: str, request: pytest.FixtureRequest) -> None:
    if command not in FAST:
        request.getfixturevalue("recipes")
    before = outside(world)
    code = f"{PRELUDE.get(command, '')}from medsr.cli import main; main()"
    call = [sys.executable, "-c", code, *COMMANDS[command].split()]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == NO_RESULT.get(command, 0), done.stderr
    assert outside(world) == before


@pytest.mark.slow
def test_a_server_leaves_nothing_behind(world: Path) -> None:
    before = outside(world)
    with serving(world / "out", "--model", "bicubic") as server:
        user = server.user()
        user.done("image", file=user.file(world / "in/photos/0.png")["id"], models=["bicubic"])
        assert server.stop() == 143
    assert outside(world) == before
    assert not list((world / "out").iterdir())


@pytest.mark.parametrize("command", ["upscale", pytest.param("volume", marks=pytest.mark.slow)])
def test_making_a_result_again_changes_nothing(world: Path, command: str) -> None:
    HOSTILE[command]()
    before = outside(world, ("cache",))
    assert all(comparison.same for comparison in medsr.reproduce(next((world / "out").glob("*.json"))))
    assert outside(world, ("cache",)) == before


def quietly(command: str) -> None:
    """A result or an error of ours; nothing else."""
    with suppress(MedsrError, OSError):
        HOSTILE[command]()


QUICK = ("upscale", "upscale-skip", "prepare", "reproduce")
SLOW = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in HOSTILE]


@pytest.mark.parametrize("command", SLOW)
def test_what_a_received_folder_names_elsewhere_stays(world: Path, command: str) -> None:
    """A folder of results that names files of the user's, by whole paths, upwards and by links."""
    (world / "in/photos/bad.png").write_text("one that is to be done again")
    HOSTILE[FIRST.get(command, command)]()
    out = world / "out"
    results = [path for path in out.rglob("*") if path.is_file()]
    own = {path.relative_to(out).as_posix() for path in results} | {path.name for path in results}
    folders = {path.name for path in out.rglob("*") if path.is_dir()}
    (out / "link").symlink_to(world / "elsewhere", target_is_directory=True)
    texts = {path: path.read_bytes() for path in results if path.suffix in READ_BACK}
    assert texts
    before = outside(world)
    elsewhere = (str(world / "elsewhere"), "../elsewhere", "../../elsewhere", "link")
    for folder in elsewhere:
        for path, content in texts.items():
            path.write_text(_pointed(content.decode(), own | folders, folder, str(out)))
        quietly(command)
        assert outside(world) == before, folder


def _pointed(text: str, names: set[str], folder: str, out: str) -> str:
    """`text` with every name of a result, as a whole value, replaced by that of a file in `folder`."""
    for name in sorted(names, key=len, reverse=True):
        victim = f"{folder}/keep.txt" if "." in name.lstrip(".") else folder
        for value in (f"{out}/{name}", f"out/{name}", name):
            text = text.replace(json.dumps(value), json.dumps(victim))
            text = text.replace(f"\t{value}\t", f"\t{victim}\t").replace(f"\n{value}\t", f"\n{victim}\t")
            text = text.replace(f",{value},", f",{victim},")
            text = victim if text.strip() == value else text
    return text


@pytest.mark.parametrize("command", SLOW)
def test_links_among_the_results_are_not_followed(world: Path, command: str) -> None:
    """Every file and folder of the results in turn is a link to what is the user's."""
    (world / "in/photos/bad.png").write_text("one that is to be done again")
    HOSTILE[FIRST.get(command, command)]()
    saved = world / "cache" / "saved"
    shutil.copytree(world / "out", saved)
    for name in sorted(path.relative_to(saved) for path in saved.rglob("*")):
        shutil.rmtree(world / "out")
        shutil.copytree(saved, world / "out")
        path = world / "out" / name
        mine = world / "elsewhere" / path.name
        path.rename(mine)
        path.symlink_to(mine, target_is_directory=mine.is_dir())
        before = outside(world)
        quietly(command)
        assert outside(world) == before, name
        shutil.rmtree(mine) if mine.is_dir() else mine.unlink()
