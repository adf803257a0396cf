"""Linux, macOS and Windows: one module knows of their differences, and nothing else leans on what only one has."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from PIL import Image as Pillow

import medsr
from tests.helpers.dicom import slice_of, write_slices
from tests.helpers.like_windows import ATTRIBUTES, MODULES
from tests.helpers.recipes import PLAIN

PACKAGE = Path(medsr.__file__).parent
DOOR = PACKAGE / "core" / "platform.py"
GUARDED = {("io/files.py", "SEEK_DATA"), ("io/files.py", "SEEK_HOLE")}
"""Used only where the module says that they are there."""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what Windows refuses is found out from /proc")
RUN = """
import sys
sys.path.insert(0, {root!r})
from tests.helpers import like_windows
like_windows.begin()
import importlib, json, pkgutil
import medsr
failed = []
for module in pkgutil.walk_packages(medsr.__path__, "medsr.") if {every} else ():
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except Exception as error:
            failed.append(f"{{module.name}}: {{error!r}}")
from medsr.cli import main
codes = []
for line in {lines!r}:
    sys.argv = ["medsr", *line.split(), "--debug"]
    try:
        main()
    except SystemExit as end:
        codes.append(end.code or 0)
with open("codes.json", "w") as stream:
    json.dump([failed, codes], stream)
"""


def _names(path: Path) -> list[tuple[str, str]]:
    """(module, attribute) of everything a file takes from a module by name, and (module, "") of what it imports."""
    names: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [(node.module or "", ""), *((node.module or "", alias.name) for alias in node.names)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.append((node.value.id, node.attr))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr"):
            module, attribute = node.args[:2]
            if isinstance(module, ast.Name) and isinstance(attribute, ast.Constant):
                names.append((module.id, str(attribute.value)))
    return names


def test_one_module_knows_of_the_systems() -> None:
    asking = {("sys", "platform"), *(("os", name) for name in ("name", "uname", "fsync", "replace", "rename"))}
    asking |= {("signal", "SIGTERM"), ("socket", "SO_REUSEADDR"), ("msvcrt", ""), ("winreg", ""), ("ctypes", "")}
    asking |= {(module, "") for module in MODULES}
    asking |= {(module, name) for module, names in ATTRIBUTES.items() for name in names}
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        if path != DOOR:
            place = path.relative_to(PACKAGE).as_posix()
            wrong += [f"{place}: {'.'.join(used)}" for used in _names(path) if used in asking]
            wrong = [line for line in wrong if line not in {f"{file}: os.{name}" for file, name in GUARDED}]
    assert wrong == []


def test_no_text_depends_on_the_systems_encoding() -> None:
    """Windows reads and writes cp1252 where nobody says otherwise."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            stated = {keyword.arg for keyword in node.keywords} & {"encoding", "errors"}
            modes = [mode.value for mode in node.args if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
            text = any(set(mode) <= set("rwaxt+") and mode for mode in modes)
            plain = function == "read_text" and not node.args
            plain |= function == "write_text" and isinstance(node.func, ast.Attribute) and len(node.args) < 2
            plain |= function in ("open", "fdopen") and text
            plain |= function == "run" and any(keyword.arg == "text" for keyword in node.keywords)
            if plain and not stated:
                wrong.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)[:80]}")
    assert wrong == []


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Scans of every format that is written, images, and a recipe; the working folder of what runs."""
    rng = np.random.default_rng(0)
    (tmp_path / "scans").mkdir()
    image = sitk.GetImageFromArray(rng.integers(0, 1000, (4, 7, 6)).astype(np.int16))
    image.SetSpacing((1.0, 1.0, 3.0))
    for suffix in (".nii", ".nrrd", ".mhd"):
        sitk.WriteImage(image, str(tmp_path / f"scans/of{suffix.replace('.', '_')}{suffix}"))
    (tmp_path / "images").mkdir()
    for number in range(4):
        pixels = rng.integers(0, 255, (40, 44, 3)).astype(np.uint8)
        Pillow.fromarray(pixels).save(tmp_path / f"images/{number}.png")
    Pillow.fromarray(pixels).save(tmp_path / "images/packed.tif", compression="tiff_lzw")
    recipe = PLAIN | {"data": PLAIN["data"] | {"validation": "[2].png"}, "iterations": 2}
    (tmp_path / "one.yml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def like_windows(world: Path, *lines: str, every: bool = False) -> tuple[list[str], list[int], str]:
    """What could not be imported, the exit codes, and what was printed, of commands in a process like Windows's."""
    code = RUN.format(root=str(PACKAGE.parent), lines=lines, every=every)
    environment = os.environ | {"PYTHONIOENCODING": "cp1252", "OMP_NUM_THREADS": "1"}
    call = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(call, cwd=world, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    failed, codes = json.loads((world / "codes.json").read_text())
    return failed, codes, done.stderr[-3000:]


@pytest.mark.slow
@LINUX
def test_scans_and_images_are_done_without_what_only_posix_has(world: Path) -> None:
    lines = (
        "volume scans --model cubic --out finer",
        "volume scans --model cubic --out finer",
        "upscale images --model bicubic --out larger",
        "reproduce larger/upscale.json",
        "prepare generic_images images --out prepared --workers 1",
    )
    _, codes, printed = like_windows(world, *lines)
    assert codes == [0] * len(lines), printed
    for name in ("of_nii.nii", "of_nrrd.nrrd", "of_mhd.mhd", "of_mhd.zraw"):
        assert (world / "finer" / name).is_file()
    assert b"\r" not in (world / "finer/status.tsv").read_bytes()
    results = json.loads((world / "larger/upscale.json").read_text())["results"]
    assert sorted(results) == ["0.png", "1.png", "2.png", "3.png", "packed.tif"]


@LINUX
@pytest.mark.slow
def test_every_module_is_imported_and_training_runs_without_what_only_posix_has(world: Path) -> None:
    write_slices(world / "series", [slice_of(index) for index in range(4)])
    lines = (
        "finetune one.yml --data images --device cpu --out run",
        "finetune one.yml --data images --device cpu --out run --resume run --set iterations=3",
        "evaluate folder --data images --model bicubic --scale 2 --out figures",
        "export run/model.safetensors --to onnx --out run/model.onnx",
        "volume series --model cubic --dicom --out derived",
        "volume scans/of_nii.nii scans/of_nrrd.nrrd --together --no-registration --model cubic --out both.nii.gz",
        "info",
    )
    failed, codes, printed = like_windows(world, *lines, every=True)
    assert failed == []
    assert codes == [0] * len(lines), printed


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_console_that_lacks_letters_gets_them_spelt_out(encoding: str, tmp_path: Path) -> None:
    """typer writes UTF-8 where a console says ASCII: it takes that for a mistake."""
    folder = tmp_path / "Jörg 测试"
    folder.mkdir()
    Pillow.new("L", (40, 40)).save(folder / "µ.png")
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    call = [sys.executable, "-m", "medsr", "upscale", str(folder / "µ.png"), "测.png", "--model", "bicubic"]
    done = subprocess.run([*call, "--out", str(tmp_path / "to 测")], env=environment, capture_output=True, check=False)
    assert done.returncode == 5, done.stderr
    spelt = "to \\u6d4b" if encoding == "cp1252" else "to 测"
    assert spelt in done.stdout.decode("cp1252" if encoding == "cp1252" else "utf-8")
    assert b"No such file" in done.stderr


def test_a_console_of_windows_is_written_to_as_python_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A console there is not a file: its stream stays, and only learns to spell letters out."""
    import io

    from medsr.cli import streams
    from medsr.core import platform

    streams_before = {name: io.TextIOWrapper(io.BytesIO(), "cp1252") for name in ("stdout", "stderr")}
    for name, stream in streams_before.items():
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(platform, "is_windows", lambda: True)
    streams.open_streams()
    for name, stream in streams_before.items():
        assert getattr(sys, name) is stream
        print("Jörg 测", file=stream, flush=True)
        assert stream.buffer.getvalue().decode("cp1252").rstrip() == "Jörg \\u6d4b"  # type: ignore[attr-defined]
    assert streams.unwritten() == ""
