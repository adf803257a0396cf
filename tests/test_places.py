"""Where files lie on a machine (`/home/alice/...`) is in no page and no table that others get to see."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

from medsr.batch import status
from medsr.commands.reproduce import reproduce
from medsr.commands.upscale.run import upscale
from medsr.commands.volume.run import volume
from medsr.core.errors import InputError
from medsr.data import manifest
from medsr.networks import checkpoint
from medsr.recipe import Recipe


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "alice"
    folder.mkdir(parents=True)
    return folder


def test_a_page_of_a_scan_names_files_only(home: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 1000, (6, 7, 5)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 3, 1])), home / "scan.nii")
    out = home.parent / "out"
    volume(home / "scan.nii", out / "scan.nii", model="cubic", report=True)
    assert "alice" not in (out / "scan_report.html").read_text()
    sidecar = json.loads((out / "scan.json").read_text())
    assert sidecar["input_file"] == "scan.nii"
    assert "alice" not in (out / "scan.json").read_text()  # `reproduce` knows from a record of this machine
    assert [comparison.same for comparison in reproduce(out / "scan.json")] == [True]
    assert str(home.parent) not in (out / "scan.json").read_text()


@pytest.mark.slow
def test_a_weight_file_is_named_from_the_sidecar_and_found_by_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = checkpoint.Spec("srresnet", 2, 1, {"features": 4, "blocks": 1})
    checkpoint.save(home / "own.safetensors", spec.build().state_dict(), spec)
    Pillow.fromarray(np.random.default_rng(1).integers(0, 255, (12, 13)).astype(np.uint8)).save(home / "a.png")
    out = home.parent / "out"
    upscale(home / "a.png", out, model=home / "own.safetensors", device="cpu")
    assert "alice" not in (out / "upscale.json").read_text()
    monkeypatch.chdir(out)
    assert [one.same for one in reproduce(out / "upscale.json")] == [True]
    monkeypatch.setenv("MEDSR_HOME", str(home.parent / "another"))  # on another machine
    with pytest.raises(InputError, match="say where it is with `input`"):
        reproduce(out / "upscale.json")
    found = reproduce(out / "upscale.json", home, model=home / "own.safetensors")
    assert [comparison.same for comparison in found] == [True]


def test_sidecars_of_before_find_their_input_by_the_way_they_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Pillow.fromarray(np.random.default_rng(1).integers(0, 255, (12, 13)).astype(np.uint8)).save(home / "a.png")
    out = home.parent / "out"
    upscale(home / "a.png", out, model="bicubic")
    text = (out / "upscale.json").read_text()
    assert '"input": "a.png"' in text
    (out / "upscale.json").write_text(text.replace('"input": "a.png"', '"input": "../alice/a.png"'))
    monkeypatch.setenv("MEDSR_HOME", str(home.parent / "another"))
    assert [comparison.same for comparison in reproduce(out / "upscale.json")] == [True]


def test_a_recipe_on_a_page_names_folders_only(home: Path) -> None:
    recipe = Recipe.model_validate({"name": "a", "scale": 2, "iterations": 1, "data": {"train": str(home / "eyes")}})
    assert str(home) in recipe.to_yaml()  # a run goes on from it
    assert "alice" not in recipe.for_page()
    assert "train: eyes" in recipe.for_page()


def test_tables_hold_no_formulas_and_are_read_back(tmp_path: Path) -> None:
    row = status.StatusRow("=cmd()", "failed", "+1", "0.1", "-a.png")
    status.merge(tmp_path / "status.tsv", [row])
    cells = [text for line in csv.reader((tmp_path / "status.tsv").open(), "excel-tab") for text in line]
    assert not [text for text in cells if text[:1] in ("=", "+", "-", "@")]
    assert status.read(tmp_path / "status.tsv") == [row]


def test_tables_of_before_are_read(tmp_path: Path) -> None:
    row = status.StatusRow("=a.png", "done", "", "0.1", "-a.png", "1", "2", "3")
    head = "\t".join(status.HEADER)
    (tmp_path / "status.tsv").write_text(f"{head}\n=a.png\tdone\t\t0.1\t-a.png\t1\t2\t3\n")
    assert status.read(tmp_path / "status.tsv") == [row]
    text = manifest.render([])
    assert manifest.read(tmp_path) is None
    (tmp_path / manifest.NAME).write_text(text)
    assert manifest.read(tmp_path) == []
