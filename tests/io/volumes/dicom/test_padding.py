"""PixelPaddingValue of a series: background, each slice by its own header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

import medsr
from medsr.io.volumes import volume as volume_io
from tests.helpers.dicom import slice_of, write_slices

SPACING = (0.5, 0.7, 1.0)
SIGNED = {"PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15, "RescaleIntercept": 0}


def padded(index: int, value: int, signal: int = 1000, **tags: object) -> Dataset:
    """A slice of `signal`, its first two columns background."""
    pixels = np.full((6, 8), signal, np.int16)
    pixels[:, :2] = value
    return slice_of(index, PixelData=pixels.tobytes(), **(SIGNED | {"PixelPaddingValue": value} | tags))


def refine(folder: Path, model: str = "cubic", **options: object) -> np.ndarray:
    target = folder.parent / "out.nii.gz"
    (outcome,) = medsr.volume(folder, target, model=model, kind="image", spacing=SPACING, **options)  # type: ignore[arg-type]
    assert outcome.error is None
    result = volume_io.read(target)
    return result.stored * np.float64(result.slope) + result.intercept


def test_a_slice_without_any_picture_casts_no_ring_into_its_neighbours(tmp_path: Path) -> None:
    empty = slice_of(5, PixelData=np.full((6, 8), -2000, np.int16).tobytes(), **SIGNED, PixelPaddingValue=-2000)
    result = refine(write_slices(tmp_path / "series", [*(padded(k, -2000, 1000 + k % 2) for k in range(5)), empty]))
    assert (result[:, :, 15:] == -2000).all()
    assert (result[:2] == -2000).all()
    assert abs(result[2:, :, :15] - 1000.5).max() <= 1


def test_slices_with_slopes_of_their_own_keep_their_background(tmp_path: Path) -> None:
    slices = [padded(k, -5, 600 // (k + 1), RescaleSlope=k + 1, RescaleIntercept=-10) for k in range(5)]
    result = refine(write_slices(tmp_path / "series", slices))
    for n in range(15):
        np.testing.assert_array_equal(result[:2, :, n], -5 * (n // 3 + 1) - 10)
    assert abs(result[2:] - 590).max() < 1


def test_background_is_not_mixed_into_slices_at_uneven_steps(tmp_path: Path) -> None:
    slices = [padded(k, -2000) for k in range(6)]
    first = np.array(slices[0].ImagePositionPatient, float)
    step = np.array(slices[1].ImagePositionPatient, float) - first
    for k, region in enumerate((0, 1, 2.3, 3.1, 4, 5)):
        slices[k].ImagePositionPatient = [f"{x:.6f}" for x in first + region * step]
    volume = volume_io.read(write_slices(tmp_path / "series", slices))
    assert set(np.unique(volume.stored)) == {-2000, 1000}
    assert volume.background is not None
    np.testing.assert_array_equal(volume.background, volume.stored == -2000)


def test_a_range_of_background_is_all_background_and_certain(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    slices = []
    for k in range(6):
        pixels = rng.integers(900, 1100, (6, 8)).astype(np.int16)
        pixels[:, :2] = rng.integers(-2000, -1990, (6, 2))
        tags = SIGNED | {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": -1990}
        slices.append(slice_of(k, PixelData=pixels.tobytes(), **tags))
    folder = write_slices(tmp_path / "series", slices)
    acquired = volume_io.read(folder).stored
    result = refine(folder, "medsr-mri", uncertainty=True)
    np.testing.assert_array_equal(result[:2], np.repeat(acquired[:2], 3, axis=2))
    spread = volume_io.read(tmp_path / "out_uncertainty.nii.gz").stored
    assert (spread[:2] == 0).all()
    assert spread[2:].max() > 0


def test_background_does_not_widen_the_intensity_window(tmp_path: Path) -> None:
    """However far the background is from the picture, the network sees and makes the same."""
    results = []
    for padding in (-2000, -30000):
        rng, slices = np.random.default_rng(0), []
        for k in range(6):
            pixels = rng.integers(900, 1100, (6, 8)).astype(np.int16)
            pixels[:, :2] = padding
            slices.append(slice_of(k, PixelData=pixels.tobytes(), **(SIGNED | {"PixelPaddingValue": padding})))
        (tmp_path / str(padding)).mkdir()
        results.append(refine(write_slices(tmp_path / str(padding) / "series", slices), "medsr-mri"))
    np.testing.assert_array_equal(results[0][2:], results[1][2:])


def test_a_companion_keeps_its_background(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    slices = []
    for k in range(6):
        pixels = rng.integers(900, 1100, (6, 8)).astype(np.int16)
        pixels[:, : 8 if k == 5 else 2] = -2000
        slices.append(slice_of(k, PixelData=pixels.tobytes(), **SIGNED, PixelPaddingValue=-2000))
    scan = write_slices(tmp_path / "scan", [slice_of(k) for k in range(6)])
    beside = write_slices(tmp_path / "beside", slices)
    (outcome,) = medsr.volume(scan, tmp_path / "out", model="cubic", kind="image", spacing=SPACING, also=[beside])
    assert outcome.error is None
    (companion,) = (file for file in (tmp_path / "out").rglob("*.nii.gz") if "beside" in file.name)
    result = volume_io.read(companion).stored
    assert (result[:2] == -2000).all()
    assert (result[:, :, 15:] == -2000).all()
    assert len(np.unique(result[2:, :, :15])) > 100
    assert 800 < result[2:, :, :15].min() <= result[2:, :, :15].max() < 1200


def test_every_volume_of_a_series_keeps_its_background(tmp_path: Path) -> None:
    tags = [(time, k) for time in range(2) for k in range(6)]
    slices = [
        padded(k, -2000 + time, 1000 + 10 * time + k % 2, InstanceNumber=n, TemporalPositionIdentifier=time + 1)
        for n, (time, k) in enumerate(tags, 1)
    ]
    folder = tmp_path / "series"
    folder.mkdir()
    for n, dataset in enumerate(slices):
        dataset.save_as(folder / f"{n}.dcm", enforce_file_format=True)
    result = refine(folder)
    assert result.shape == (8, 6, 18, 2)
    assert [set(np.unique(result[:2, ..., time])) for time in range(2)] == [{-2000}, {-1999}]
    assert result[2:].min() >= 1000


def test_zeros_below_the_noise_of_air_leave_no_steps_in_an_outline(tmp_path: Path) -> None:
    """MR: background where the values begin anyway is refined like any value; far from them it is kept apart."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 1000, (6, 6, 8)).astype(np.int16)
    pixels[:, :, :2] = 0
    results = {}
    for padding in (None, 0):
        tags = {} if padding is None else {"PixelPaddingValue": padding}
        slices = [slice_of(k, PixelData=pixels[k].tobytes(), Modality="MR", **SIGNED, **tags) for k in range(6)]
        results[padding] = refine(write_slices(tmp_path / f"series{padding}", slices))
    np.testing.assert_array_equal(results[0], results[None])
    pixels[pixels == 0] = -2000
    slices = [
        slice_of(k, PixelData=pixels[k].tobytes(), Modality="MR", **SIGNED, PixelPaddingValue=-2000) for k in range(6)
    ]
    assert (refine(write_slices(tmp_path / "far", slices))[:2] == -2000).all()
