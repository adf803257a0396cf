"""The folder for Slicer: its program starts medsr whatever Slicer has set, and Slicer starts nothing else from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import SimpleITK as sitk

from medsr.commands.slicer import module_folder
from medsr.commands.slicer.module_folder import write_module_folder
from medsr.core.errors import UsageError

HERE = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")


@pytest.fixture
def foreign(tmp_path: Path) -> dict[str, str]:
    """The variables of a program that has its own Python, its own packages, and libraries of the same names."""
    packages = tmp_path / "foreign"
    for name in ("numpy", "medsr", "yaml", "argparse"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").write_text("raise RuntimeError('foreign')")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for name in ("libz.so.1", "libssl.so.3", "libstdc++.so.6", f"libpython3.{sys.version_info[1]}.so.1.0"):
        (libraries / name).write_text("not a library")
    return {
        "PYTHONHOME": str(tmp_path / "nowhere"),
        "PYTHONPATH": str(packages),
        "PYTHONNOUSERSITE": "1",
        "LD_LIBRARY_PATH": str(libraries),
        "ITK_AUTOLOAD_PATH": str(libraries),
    }


@pytest.mark.slow
@HERE
def test_it_starts_whatever_slicer_has_set(tmp_path: Path, foreign: dict[str, str]) -> None:
    path = write_module_folder(tmp_path / "for 'Slicer' & \"more\"")
    values = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "in.nrrd"))
    environment = os.environ | foreign
    described = subprocess.run([path, "--xml"], cwd=path.parent, env=environment, capture_output=True, text=True)
    assert described.returncode == 0
    assert described.stderr == "", "Slicer takes any word on this stream for a fault"
    assert ElementTree.fromstring(described.stdout).findtext("title") == "medsr super-resolution"
    call = [path, "--model", "cubic", "--factor", "2", tmp_path / "in.nrrd", tmp_path / "out.nrrd"]
    (tmp_path / "numpy.py").write_text("raise RuntimeError('of the working folder')")
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sitk.ReadImage(str(tmp_path / "out.nrrd")).GetSize() == (8, 10, 12)


@HERE
def test_none_of_slicers_variables_reaches_medsr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_folder, "_command", lambda: ["/usr/bin/env"])
    path = write_module_folder(tmp_path / "folder")
    foreign = dict.fromkeys(module_folder.OF_SLICER, "/nowhere") | {"LD_PRELOAD": "", "KEPT": "yes"}
    printed = subprocess.run([path], env=os.environ | foreign, capture_output=True, text=True, check=True).stdout
    names = {line.partition("=")[0] for line in printed.splitlines()}
    assert "KEPT" in names
    assert not names & set(module_folder.OF_SLICER)


@HERE
def test_the_exit_code_and_the_error_come_through(tmp_path: Path) -> None:
    path = write_module_folder(tmp_path / "folder")
    done = subprocess.run([path, "none.nrrd", "out.nrrd"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "medsr: none.nrrd: no such file or folder\n")


@HERE
def test_started_without_the_folder_other_packages_are_left_out(tmp_path: Path, foreign: dict[str, str]) -> None:
    """As `medsr-slicer` itself: PYTHONHOME no Python survives, PYTHONPATH it does."""
    for name in ("medsr", "argparse"):
        shutil.rmtree(tmp_path / "foreign" / name)
    home = str(Path(module_folder.__file__).parents[3])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((foreign["PYTHONPATH"], home))}
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4, 4), np.uint8)), str(tmp_path / "in.nrrd"))
    start = [sys.executable, "-c", "from medsr.cli.slicer import main; main()"]
    call = [*start, "--model", "cubic", "--factor", "2", str(tmp_path / "in.nrrd"), str(tmp_path / "out.nrrd")]
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_slicer_takes_one_file_of_the_folder_for_a_module(tmp_path: Path) -> None:
    write_module_folder(tmp_path / "folder")
    write_module_folder(tmp_path / "folder")  # once more changes nothing
    suffix = ".bat" if sys.platform == "win32" else ""
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [f"medsr{suffix}"]


def test_on_windows_it_is_a_batch_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medsr.core.platform.is_windows", lambda: True)
    command = [r"C:\Users\Jörg 100%\python.exe", "-I", "-c", "import sys; main()"]
    monkeypatch.setattr(module_folder, "_command", lambda: command)
    path = write_module_folder(tmp_path / "folder")
    assert path.name == "medsr.bat"
    lines = path.read_bytes().decode().split("\r\n")
    assert lines[0] == "@echo off"
    assert "set PYTHONHOME=" in lines
    assert '"C:\\Users\\Jörg 100%%\\python.exe" -I -c "import sys; main()" %*' in lines
    assert lines[-2:] == ["exit /b %ERRORLEVEL%", ""]


def test_what_is_not_medsrs_stays(tmp_path: Path) -> None:
    name = "medsr.bat" if sys.platform == "win32" else "medsr"
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="not medsr's"):
        write_module_folder(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(UsageError, match="is not a folder"):
        write_module_folder(tmp_path / name)
