"""What a scan's result says of its agreement, and which axis of it runs across the slices."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from medsr.cli.app import app
from medsr.commands.reproduce import reproduce
from medsr.commands.volume.run import volume
from medsr.core.errors import UsageError
from medsr.io.volumes.base import DICOM, NIFTI, Volume, slice_axis
from medsr.volumes.acquisition import Acquisition


def overlapping(noise: float, seed: int = 0) -> np.ndarray:
    """Slices of 6 mm every 3 mm, pixels of 1 mm."""
    field = gaussian_filter(np.random.default_rng(7).random((40, 48, 60)), 3)
    truth = (100 + 500 * (field - field.min()) / np.ptp(field)).astype(np.float32)
    seen = Acquisition((40, 48, 20), truth.shape, "box", 2.0, 2).simulate_acquisition(truth)
    return np.rint(seen + np.random.default_rng(seed).normal(0, noise, seen.shape)).astype(np.int16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "options"), [("back-projected", {}), ("back-projected", {"scale": 2}), ("medsr-mri", {})]
)
def test_overlapping_slices_keep_their_range(model: str, options: dict) -> None:
    scan = overlapping(8)
    result = volume(scan, affine=np.diag([1, 1, 3, 1]), thickness=6, model=model, **options)
    assert scan.min() - 30 < result.image.min()
    assert result.image.max() < scan.max() + 30
    summary = result.summary["consistency"]
    assert summary["noise"]["rms"] == pytest.approx(8, rel=0.15)
    assert summary["noise"]["rms_percent_of_range"] == pytest.approx(100 * summary["noise"]["rms"] / summary["range"])
    assert summary["after"]["rms"] < summary["noise"]["rms"]
    assert summary["noise_gain"] < 1.10
    assert summary["exact_noise_gain"] > 5


@pytest.mark.slow
def test_the_terminal_says_what_the_noise_allows(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(overlapping(8), np.diag([1, 1, 3, 1])), tmp_path / "s.nii.gz")
    options = ["--model", "back-projected", "--thickness", "6", "--report"]
    done = CliRunner().invoke(
        app, ["volume", str(tmp_path / "s.nii.gz"), "--out", str(tmp_path / "o.nii.gz"), *options]
    )
    assert done.exit_code == 0, done.output
    assert "the noise of the scan: about" in done.output
    assert "an exact agreement would make the noise" in done.output
    assert "An exact agreement would make the noise" in (tmp_path / "o_report.html").read_text()
    stated = CliRunner().invoke(
        app, ["volume", str(tmp_path / "s.nii.gz"), "--out", str(tmp_path / "p.nii.gz"), *options, "--noise", "8"]
    )
    assert stated.exit_code == 0, stated.output
    summary = json.loads((tmp_path / "p.json").read_text())
    assert summary["parameters"]["noise"] == 8
    assert summary["consistency"]["noise"]["rms"] == pytest.approx(8)
    assert reproduce(tmp_path / "p.json")[0].same


def test_noise_is_stated_in_the_images_own_units(tmp_path: Path) -> None:
    image = nib.Nifti1Image(overlapping(8), np.diag([1, 1, 3, 1]))
    image.header.set_slope_inter(0.5, 3)
    image.to_filename(tmp_path / "s.nii")
    nib_scan = nib.load(tmp_path / "s.nii")
    slope = float(nib_scan.dataobj.slope)
    [outcome] = volume(tmp_path / "s.nii", tmp_path / "o.nii", model="back-projected", thickness=6, noise=8 * slope)
    assert outcome.error is None
    summary = json.loads((tmp_path / "o.json").read_text())["consistency"]
    assert summary["noise"]["rms"] == pytest.approx(8 * slope)
    assert summary["noise_gain"] < 1.10


def test_every_volume_of_a_series_is_met_to_its_own_noise() -> None:
    """A quiet volume does not become less exact because the next one is noisy."""
    scans = [overlapping(noise).astype(np.float32) for noise in (0, 25)]
    together = volume(np.stack(scans, 3), affine=np.diag([1, 1, 3, 1]), thickness=6, model="back-projected").image
    for index, scan in enumerate(scans):
        alone = volume(scan, affine=np.diag([1, 1, 3, 1]), thickness=6, model="back-projected").image
        np.testing.assert_array_equal(together[..., index], alone)


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_noise_that_cannot_be_is_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="`noise="):
        volume(overlapping(8), affine=np.diag([1, 1, 3, 1]), noise=bad, model="cubic")


def test_thickness_is_compared_with_the_distance_of_the_slices() -> None:
    with pytest.raises(UsageError, match="more than twice the distance"):
        volume(overlapping(8), affine=np.diag([1, 1, 3, 1]), thickness=6.1, model="cubic")


@pytest.mark.parametrize(
    ("spacing", "kind", "named", "axis"),
    [
        ((1, 1, 3), NIFTI, None, 2),
        ((3, 1, 1), NIFTI, None, 0),
        ((1, 1, 1), NIFTI, None, 2),
        ((1, 1.02, 1), NIFTI, 0, 0),
        ((1, 1, 3), NIFTI, 0, 2),  # a stale name
        ((0.9, 0.9, 0.6), DICOM, None, 2),
    ],
)
def test_which_axis_runs_across_the_slices(spacing: tuple, kind: str, named: int | None, axis: int) -> None:
    header = nib.Nifti1Header()
    header.set_dim_info(slice=named)
    extra = (nib.Nifti1Image, header) if kind == NIFTI else None
    scan = Volume(np.zeros((4, 4, 4), np.int16), np.diag([*spacing, 1.0]), kind, extra=extra)
    assert slice_axis(scan) == axis
