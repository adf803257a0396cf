"""Training slices of volumes: P2's six pairings; contrasts, sizes and noise drawn at random."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from medsr.data.augmentation import random_contrast, random_zoom
from medsr.data.slices import PAIRINGS, SliceCrops
from medsr.data.volumes import split
from medsr.recipe import Data, Jitter, Recipe
from tests.helpers.scans import smooth_volume


def test_crops_are_slices_of_the_volume_in_all_six_pairings() -> None:
    """Each axis of the volume counts its own voxels, so a crop says where it is from."""
    i, j, k = np.meshgrid(np.arange(40), np.arange(40), np.arange(40), indexing="ij")
    volume = (i * 10_000 + j * 100 + k).astype(np.float32)
    assert len(PAIRINGS) == 6
    for pairing in PAIRINGS:
        crops = SliceCrops(volume, Data(flips=False, darkest_crop=0), 32, 0, (pairing,))
        crop = crops[1, 0][0].numpy()[0].astype(int)
        coordinates = np.stack([crop // 10_000, crop // 100 % 100, crop % 100])
        normal, rows = pairing
        assert len(np.unique(coordinates[normal])) == 1
        assert (np.diff(coordinates[rows], axis=0) == 1).all()
        assert (np.diff(coordinates[3 - normal - rows], axis=1) == 1).all()


def test_crops_are_a_function_of_seed_iteration_and_slot(tmp_path: Path) -> None:
    for index in range(3):
        image = nib.Nifti1Image(smooth_volume((40, 44, 48), index), np.diag([1, 1, 1.1, 1]))
        image.to_filename(tmp_path / f"sub-{index}.nii.gz")
    sources = split(Data(train=str(tmp_path), validation=0), 32, 0).train
    data = Data(jitter=Jitter(gain=(0.7, 1.2), contrast=0.5, zoom=(0.7, 1.5), noise=(0, 0.03)))
    one, other = SliceCrops(sources, data, 32, 5), SliceCrops(sources, data, 32, 5)
    np.testing.assert_array_equal(one[7, 3][0], other[7, 3][0])
    assert not np.array_equal(one[7, 3][0], one[8, 3][0])
    assert one[1, 0][0].shape == (1, 32, 32)


def test_a_random_contrast_moves_tissues_not_edges() -> None:
    crop = np.kron(np.array([[0.1, 0.5], [0.9, 0.5]], np.float32), np.ones((8, 8), np.float32))
    changed = random_contrast(crop, Jitter(contrast=1.0), np.random.default_rng(0))
    assert len(np.unique(changed)) == 3
    assert not np.allclose(changed, crop)
    np.testing.assert_array_equal(random_contrast(crop, Jitter(), np.random.default_rng(0)), crop)


def test_noise_is_of_the_standard_deviation_asked_for() -> None:
    flat = np.full((96, 96), 0.5, np.float32)
    changed = random_contrast(flat, Jitter(noise=(0.02, 0.02)), np.random.default_rng(0))
    assert changed.mean() == pytest.approx(0.5, abs=1e-3)
    assert changed.std() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("shape", [(64, 64), (32, 64), (50, 90), (100, 41)])
def test_a_zoomed_slice_keeps_its_mean_and_its_ramps(shape: tuple[int, int]) -> None:
    rows, columns = ((np.arange(length) + 0.5) / length for length in shape)
    ramp = (rows[:, None] + 2 * columns).astype(np.float32)
    zoom = random_zoom(ramp, 64)
    expected = ((np.arange(64) + 0.5) / 64)[:, None] + 2 * (np.arange(64) + 0.5) / 64
    assert zoom.shape == (64, 64)
    np.testing.assert_allclose(zoom[8:-8, 8:-8], expected[8:-8, 8:-8], atol=2e-3)
    assert zoom.mean() == pytest.approx(ramp.mean(), abs=2e-3)


def test_zoom_makes_slices_softer_or_sharper() -> None:
    volume = np.random.default_rng(0).random((96, 96, 96), np.float32)

    def rough(zoom: tuple[float, float]) -> float:
        crops = SliceCrops(volume, Data(jitter=Jitter(zoom=zoom), darkest_crop=0), 64, 0)
        return float(np.mean([np.abs(np.diff(crops[n, 0][0].numpy(), axis=2)).mean() for n in range(8)]))

    assert rough((1.5, 1.5)) < 0.8 * rough((1, 1))
    assert rough((0.7, 0.7)) < rough((1, 1))  # of white noise, averaging takes some too
    small = SliceCrops(volume[:, :66], Data(jitter=Jitter(zoom=(0.25, 0.25)), darkest_crop=0), 64, 0)
    assert small[1, 0][0].shape == (1, 64, 64)  # no more is taken than there is


@pytest.mark.parametrize("only", [{"contrast": 0.5}, {"zoom": [0.8, 1.2]}, {"noise": [0, 0.1]}])
def test_images_have_no_such_settings(only: dict) -> None:
    with pytest.raises(ValidationError, match=f"{next(iter(only))}: for slices of volumes only"):
        Recipe.model_validate({"name": "eye", "scale": 2, "iterations": 1, "data": {"jitter": only}})


@pytest.mark.parametrize("zoom", [[0, 1], [1.2, 0.8], [1, 9]])
def test_a_zoom_is_a_range_that_makes_sense(zoom: list[float]) -> None:
    with pytest.raises(ValidationError, match="expected two numbers"):
        Jitter.model_validate({"zoom": zoom})
