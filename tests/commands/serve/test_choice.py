"""Where nobody chose a model, command line, Python, cohort, HTTP API and page take the same, to the byte."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import MRImageStorage
from typer.testing import CliRunner

import medsr
from medsr.cli.app import app
from medsr.commands.cohort.executor import Executor
from tests.helpers.dicom import slice_of, write_xray
from tests.helpers.images import write_png
from tests.helpers.scans import smooth_volume
from tests.helpers.server import Server, serving

IMAGES = {
    "ct.dcm": ("bicubic", "what its header says (CT)"),
    "mr.dcm": ("bicubic", "what its header says (MR)"),
    "xray.dcm": ("medsr-cxr-x2", "its header says DX"),
    "grey.png": ("medsr-cxr-x2", "taken for a chest X-ray"),
    "fundus.png": ("medsr-retina-x2", "taken for a fundus"),
    "photo.png": ("bicubic", "does not look like a whole fundus"),
}
SCANS = {
    "head.nii.gz": ("medsr-mri", "taken for MRI"),
    "chest_ct.nii.gz": ("cubic", "CT, which values down to"),
    "sub-1_part-phase_bold.nii.gz": ("nearest", "a phase image"),
    "labels.nii.gz": ("nearest", "a label map"),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, whole_fundus: np.ndarray) -> Path:
    """An image of every kind."""
    folder = tmp_path_factory.mktemp("images")
    stored = (smooth_volume((40, 36, 1))[:, :, 0] * 2).astype(np.uint16)
    size = {"Rows": 40, "Columns": 36, "PixelData": stored.tobytes()}
    slice_of(0, **size).save_as(folder / "ct.dcm", enforce_file_format=True)
    slice_of(0, **size, Modality="MR", SOPClassUID=MRImageStorage).save_as(folder / "mr.dcm", enforce_file_format=True)
    write_xray(folder / "xray.dcm", stored, BodyPartExamined="CHEST")
    write_png(folder / "grey.png", whole_fundus[30:78, 30:70, :1])
    write_png(folder / "fundus.png", whole_fundus[::3, ::3])
    write_png(folder / "photo.png", whole_fundus[::3, ::3, ::-1])
    return folder


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of every kind."""
    folder = tmp_path_factory.mktemp("scans")
    stored = np.rint(smooth_volume((20, 18, 6))).astype(np.int16)
    labels = np.zeros((20, 18, 6), np.uint8)
    labels[4:12, 4:12, 1:4], labels[12:16, 5:12, 2:5] = 1, 2
    contents = zip(SCANS, (stored, stored - 1024, stored * 8 - 4096, labels), strict=True)
    for name, voxels in contents:
        nib.Nifti1Image(voxels, np.diag([1, 1, 3, 1])).to_filename(folder / name)
    return folder


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of all that came with medsr."""
    with serving(tmp_path_factory.mktemp("served"), "--engine", "torch") as running:
        yield running


def elsewhere(command: str, folder: Path, out: Path, outscale: float | None = None) -> list[Path]:
    """The results of command line, Python and cohort, a folder each."""
    options = {"engine": "torch"} | ({"outscale": outscale} if outscale else {})
    flags = ["--engine", "torch", *(["--outscale", str(outscale)] if outscale else [])]
    done = CliRunner().invoke(app, [command, str(folder), "--out", str(out / "line"), *flags])
    assert done.exit_code == 0, done.output
    getattr(medsr, command)(folder, out / "python", **options)
    status = medsr.cohort(command, folder, out=out / "cohort", on=Executor(workers=1), **options)
    assert not status.failed
    return [out / "line", out / "python", out / "cohort"]


@pytest.mark.parametrize("outscale", [None, pytest.param(3.0, marks=pytest.mark.slow)])
def test_every_kind_of_image_has_one_model_everywhere(
    bundled: Server, images: Path, tmp_path: Path, outscale: float | None
) -> None:
    folders, user = elsewhere("upscale", images, tmp_path, outscale), bundled.user()
    for name, (model, why) in IMAGES.items():
        file = user.file(images / name)
        assert file["facts"]["suggested"] == model
        assert why in file["facts"]["why"]
        [result] = user.done("image", file=file["id"], models=["auto"], outscale=outscale)["images"]
        assert result["model"] == (model.replace("x2", "x4") if outscale else model)
        served = user.http.get(result["download"]).content
        assert [served == (folder / name).read_bytes() for folder in folders] == [True] * 3, name


@pytest.mark.slow
def test_every_kind_of_scan_has_one_model_everywhere(bundled: Server, scans: Path, tmp_path: Path) -> None:
    folders, user = elsewhere("volume", scans, tmp_path), bundled.user()
    for name, (model, why) in SCANS.items():
        file = user.file(scans / name)
        assert file["facts"]["suggested"] == model
        assert why in file["facts"]["why"]
        result = user.done("volume", file=file["id"], model="auto")["volume"]
        assert result["model"] == model
        served = user.http.get(result["download"]).content
        assert [served == (folder / name).read_bytes() for folder in folders] == [True] * 3, name


def test_a_factor_in_the_facts_is_the_largest_that_a_model_is_for(bundled: Server, images: Path) -> None:
    facts = bundled.user().file(images / "xray.dcm")["facts"]
    assert [(entry["up_to"], entry["model"]) for entry in facts["by_factor"]] == [
        (2.0, "medsr-cxr-x2"),
        (None, "medsr-cxr-x4"),
    ]
    [photo] = bundled.user().file(images / "photo.png")["facts"]["by_factor"]
    assert (photo["up_to"], photo["model"]) == (None, "bicubic")
