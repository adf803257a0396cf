"""A file given to the command of another kind of file is told which command takes it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import medsr
from medsr.commands.info import series_of
from medsr.core.errors import InputError, UsageError
from tests.helpers.images import write_png


def test_a_photograph_is_sent_to_upscale(tmp_path: Path) -> None:
    write_png(tmp_path / "eye.png", np.zeros((32, 32, 3), np.uint8))
    [outcome] = medsr.volume(tmp_path / "eye.png", tmp_path / "out", model="cubic")
    assert "a PNG image, not a scan; for images: medsr upscale" in str(outcome.error)


def test_a_scan_is_sent_to_volume(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / "scan.nii.gz")
    [outcome] = medsr.upscale(tmp_path / "scan.nii.gz", tmp_path / "out", model="bicubic")
    assert "a scan, not an image; for scans: medsr volume" in str(outcome.error)


def test_a_folder_of_scans_is_sent_to_volume(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / "in/scan.nii.gz")
    with pytest.raises(UsageError, match="holds scans, not images; for scans: medsr volume"):
        medsr.upscale(tmp_path / "in", tmp_path / "out", model="bicubic")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_photographs_is_sent_to_upscale(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in/eye.png", np.zeros((32, 32, 3), np.uint8))
    [outcome] = medsr.volume(tmp_path / "in", tmp_path / "out", model="cubic")
    assert "holds images, not scans; for images: medsr upscale" in str(outcome.error)
    with pytest.raises(UsageError, match="for images: medsr cohort upscale"):
        medsr.cohort("volume", tmp_path / "in", out=tmp_path / "cohort", model="cubic")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    (tmp_path / "scans").mkdir()
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / "scans/scan.nii.gz")
    return tmp_path / "scans"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    (tmp_path / "photographs").mkdir()
    write_png(tmp_path / "photographs/eye.png", np.zeros((32, 32, 3), np.uint8))
    return tmp_path / "photographs"


def test_training_and_measuring_name_what_takes_scans(scans: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds scans, not images; for scans: a recipe .* medsr finetune mri"):
        medsr.finetune("retina_compact", scans, out=tmp_path / "run", device="cpu", notify=lambda _: None)
    with pytest.raises(InputError, match="holds scans, not images; for scans: medsr evaluate volume --data"):
        medsr.evaluate("folder", scans, models=["bicubic"])


def test_training_and_measuring_name_what_takes_images(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds images, not scans; .* medsr finetune retina_compact"):
        medsr.finetune("mri", photographs, out=tmp_path / "run", device="cpu", notify=lambda _: None)
    with pytest.raises(InputError, match="holds images, not scans; for images: medsr evaluate folder --data"):
        medsr.evaluate("volume", photographs, models=["back-projected"])


def test_a_cohort_names_the_other_cohort(scans: Path, photographs: Path, tmp_path: Path) -> None:
    for source in (scans, scans / "scan.nii.gz", scans / "*.nii.gz"):
        with pytest.raises(UsageError, match=r"scans, not images; for scans: medsr cohort volume$"):
            medsr.cohort("upscale", source, out=tmp_path / "cohort", model="bicubic")
    for source in (photographs, photographs / "eye.png"):
        with pytest.raises(UsageError, match=r"images, not scans; for images: medsr cohort upscale$"):
            medsr.cohort("volume", source, out=tmp_path / "cohort", model="cubic")
    assert not (tmp_path / "cohort").exists()


def test_info_says_what_it_tells_of(scans: Path, photographs: Path) -> None:
    with pytest.raises(InputError, match="holds scans in files of their own; name one of them"):
        series_of(scans)
    with pytest.raises(InputError, match="holds images; medsr info tells of scans, and of series in DICOM"):
        series_of(photographs)
    with pytest.raises(InputError, match=r"eye\.png: an image; medsr info tells of scans"):
        series_of(photographs / "eye.png")


def test_results_of_upscale_go_into_a_folder_that_is_not_named_like_an_image(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "finer.png"
    with pytest.raises(UsageError, match="is the name of an image, and results go into a folder"):
        medsr.upscale(photographs / "eye.png", out, model="bicubic")
    assert not out.exists()


def test_a_photograph_or_a_folder_is_not_a_sidecar(photographs: Path) -> None:
    with pytest.raises(InputError, match="a folder; expected a sidecar, the JSON file beside a result"):
        medsr.reproduce(photographs)
    with pytest.raises(InputError, match=r"not a sidecar of medsr, which is text in JSON beside a result$"):
        medsr.reproduce(photographs / "eye.png")
